/**
 * The keys of this depot as others see them: the ring, which every node has, and at the origin those that sign.
 *
 * Every ring has an edition, which is a digest of it, so that who follows asks for the one after the one that he has.
 */
import type { Ring } from '../../ledger/ledger.ts'
import { digestOf, hexOf } from '../../model/digest.ts'
import { failure } from '../../model/errors.ts'
import { parseInstant } from '../../model/instant.ts'
import type { PinnedRing } from '../../model/keys/pinned.ts'
import { type KeyStanding, standingsOf } from '../../model/keys/ring.ts'
import { LIMITS } from '../../model/limits.ts'
import type { Clock } from '../../model/world.ts'
import type { Turns } from '../commit/turns.ts'
import type { Head } from '../head.ts'
import { Waiting } from '../waiting.ts'
import type { Signers } from './signers.ts'

export interface KeysParts {
  readonly ring: Ring
  readonly head: Pick<Head, 'now'>
  readonly clock: Pick<Clock, 'now'>
  /** Undefined on a node that commits nothing. */
  readonly signers?: Signers | undefined
  /** What is signed and what signs change in turn. */
  readonly turns: Turns
}

export interface KeysView extends PinnedRing {
  readonly edition: string
  readonly standings: readonly KeyStanding[]
}

/** Of a node that has no ring yet. */
const NO_EDITION = 'none'
const EDITION_DIGITS = 32

export class Keys {
  readonly #parts: KeysParts
  readonly #waiting = new Waiting(LIMITS.nodes)

  constructor(parts: KeysParts) {
    this.#parts = parts
  }

  /** Undefined where none is: a replica of a depot that has none, or one that has not heard of any yet. */
  view(): KeysView | undefined {
    const kept = this.#parts.ring.kept()
    return (
      kept && {
        ...kept,
        edition: this.edition(),
        standings: standingsOf(kept.ring, this.#parts.clock.now()),
      }
    )
  }

  edition(): string {
    const kept = this.#parts.ring.kept()
    return kept === undefined
      ? NO_EDITION
      : hexOf(digestOf(JSON.stringify(kept.ring))).slice(0, EDITION_DIGITS)
  }

  /** Waits until the edition is another one than `seen`, up to `waitMs`; whether it is. Fails with `hold-limit`. */
  async movedFrom(seen: string, waitMs: number, signal: AbortSignal): Promise<boolean> {
    if (this.edition() === seen) await this.#waiting.wait(waitMs, signal)
    return this.edition() !== seen
  }

  /** Puts a new key in the place of `from`; the same again does nothing. Whether something was done. */
  async rotate(from: string): Promise<boolean> {
    return await this.#change(async (signers, headMs) => await signers.rotate(from, headMs))
  }

  /** Ends the overlap of a key; the same again does nothing. Whether something was done. */
  async retire(id: string): Promise<boolean> {
    return await this.#change(async (signers, headMs) => await signers.retire(id, headMs))
  }

  /** Drops private keys that sign nothing any more. */
  async tidy(): Promise<void> {
    if (this.#parts.signers === undefined) return
    await this.#parts.turns.take(async () => await this.#parts.signers?.tidy(this.#headMs()))
  }

  /** Takes over a ring that was checked. */
  async adopt(kept: PinnedRing): Promise<void> {
    await this.#parts.ring.keep(kept)
    this.#waiting.wake()
  }

  /** Lets everybody go who waits: the node is closing. */
  release(): void {
    this.#waiting.release()
  }

  isClosing(): boolean {
    return this.#waiting.isClosing()
  }

  async #change(work: (signers: Signers, headMs: number) => Promise<boolean>): Promise<boolean> {
    const { signers, turns } = this.#parts
    if (signers === undefined) throw failure('origin-unreachable', { reason: 'this node signs nothing' })
    const isDone = await turns.take(async () => await work(signers, this.#headMs()))
    if (isDone) this.#waiting.wake()
    return isDone
  }

  #headMs(): number {
    return parseInstant(this.#parts.head.now().record.created)
  }
}
