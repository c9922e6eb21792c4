/**
 * The keys that a depot signs with, and what becomes of them: made at the beginning, rotated, retired.
 *
 * The file comes first and the ledger second: a crash in between leaves a key of which nobody has heard, which the next
 * start takes up where there is no other one, and drops where there is. The private half of a key that is retired goes
 * when the ledger says so, or at the next start.
 */
import { strict as assert } from 'node:assert'
import type { Ring } from '../../ledger/ledger.ts'
import { failure } from '../../model/errors.ts'
import type { GenerationRecord } from '../../model/generation.ts'
import { parseInstant } from '../../model/instant.ts'
import { type KeyId, parseKeyId, type SigningKey } from '../../model/keys/key.ts'
import {
  currentKey,
  endOf,
  type KeyRing,
  type RingKey,
  replaced,
  retired,
  ringOf,
  rotated,
} from '../../model/keys/ring.ts'
import { LIMITS } from '../../model/limits.ts'
import type { Clock } from '../../model/world.ts'
import type { KeySafe } from './safe.ts'

export interface SignersParts {
  readonly ring: Ring
  readonly safe: KeySafe
  readonly clock: Pick<Clock, 'now'>
  /** For how long an old key signs beside the new one. */
  readonly overlapMs: number
  /** Whether a new key is made where the private half of the current one is gone. No old key vouches for it. */
  readonly replacesLost: boolean
}

export class Signers {
  readonly #parts: SignersParts
  readonly #keys = new Map<KeyId, SigningKey>()
  #ring: KeyRing

  private constructor(parts: SignersParts, ring: KeyRing) {
    this.#parts = parts
    this.#ring = ring
  }

  /** Fails with `data-unusable` when the key that this depot signs with is not there, or not only its own. */
  static async open(parts: SignersParts): Promise<Signers> {
    const { ring, safe, clock } = parts
    const kept = ring.kept()?.ring
    if (kept !== undefined) {
      const signers = new Signers(parts, kept)
      await signers.#take()
      return signers
    }
    const key = (await leftover(safe, [])) ?? (await safe.make())
    const signers = new Signers(parts, ringOf(key, clock.now()))
    signers.#keys.set(key.id, key)
    await signers.#keep(signers.#ring)
    return signers
  }

  ring(): KeyRing {
    return this.#ring
  }

  /** One signature of each key that counts for what was created then; the newest key first. */
  sign({ created }: GenerationRecord, bytes: Uint8Array): readonly string[] {
    const atMs = parseInstant(created)
    const signing = this.#ring.keys.filter(({ id }) => endOf(this.#ring, id) >= atMs)
    const signatures = signing.flatMap(({ id }) => this.#keys.get(id)?.sign('generation', bytes) ?? [])
    assert(signatures.length > 0, 'the current key signs')
    return signatures.toReversed()
  }

  /**
   * Puts a new key in the place of `from`, which goes on beside it for the overlap. The same again does nothing. Fails
   * with `not-found` for what is no key of this depot, and with `limit-exceeded`.
   */
  async rotate(from: string, headMs: number): Promise<boolean> {
    const { safe, clock, overlapMs } = this.#parts
    const id = this.#mustKnow(from)
    const current = this.#keys.get(currentKey(this.#ring).id)
    if (id !== current?.id) return false
    const nowMs = Math.max(clock.now(), headMs)
    if (this.#signingAt(nowMs).length >= LIMITS.signingKeys)
      throw failure('limit-exceeded', { what: 'keys that sign at the same time', limit: LIMITS.signingKeys })
    if (this.#ring.keys.length >= LIMITS.ringKeys)
      throw failure('limit-exceeded', { what: 'keys that a depot had', limit: LIMITS.ringKeys })
    const to = await safe.make()
    await this.#keep(rotated(this.#ring, { from: current, to, nowMs, untilMs: nowMs + overlapMs }))
    this.#keys.set(to.id, to)
    return true
  }

  /**
   * Ends the overlap of a key: it signs nothing that comes after the head, and its private half goes. The same again
   * does nothing. Fails with `not-found`, or with `bad-request` for the current one.
   */
  async retire(text: string, headMs: number): Promise<boolean> {
    const { clock } = this.#parts
    const id = this.#mustKnow(text)
    const current = this.#keys.get(currentKey(this.#ring).id)
    if (id === current?.id)
      throw failure('bad-request', { reason: `${id} is the current key; rotate it, then retire it` })
    const endMs = endOf(this.#ring, id)
    if (current === undefined || endMs <= headMs || endMs < clock.now()) return false
    await this.#keep(retired(this.#ring, id, current, headMs))
    await this.tidy(headMs)
    return true
  }

  /** Drops what signs nothing any more: what comes is created after the head, whatever the clock says. */
  async tidy(headMs: number): Promise<void> {
    const { safe, clock } = this.#parts
    const signing = new Set(this.#signingAt(Math.max(clock.now(), headMs + 1)))
    for (const id of await safe.list()) {
      if (signing.has(id)) continue
      this.#keys.delete(id)
      await safe.drop(id)
    }
  }

  async #take(): Promise<void> {
    const { safe, clock, replacesLost } = this.#parts
    const { id } = currentKey(this.#ring)
    for (const other of this.#signingAt(clock.now())) {
      const key = await safe.open(other)
      if (key !== undefined) this.#keys.set(other, key)
    }
    if (this.#keys.has(id)) return
    if (!replacesLost) throw lost(id)
    const key = (await leftover(safe, this.#ring.keys)) ?? (await safe.make())
    await this.#keep(replaced(this.#ring, key, clock.now()))
    this.#keys.clear()
    this.#keys.set(key.id, key)
  }

  async #keep(ring: KeyRing): Promise<void> {
    await this.#parts.ring.keep({ ring, pinned: currentKey(ring).id })
    this.#ring = ring
  }

  #mustKnow(text: string): KeyId {
    const id = parseKeyId(text)
    if (this.#ring.keys.some((key) => key.id === id)) return id
    throw failure('not-found', { what: `key ${id} of this depot` })
  }

  #signingAt(atMs: number): readonly KeyId[] {
    return this.#ring.keys.filter(({ id }) => endOf(this.#ring, id) >= atMs).map(({ id }) => id)
  }
}

/** What a start that was cut short has left: a key of which the ring has not heard. */
async function leftover(
  safe: KeySafe,
  known: readonly Pick<RingKey, 'id'>[],
): Promise<SigningKey | undefined> {
  const id = (await safe.list()).find((one) => !known.some((key) => key.id === one))
  return id === undefined ? undefined : await safe.open(id)
}

function lost(id: KeyId): Error {
  const reason = `the private half of the signing key ${id} is not there; put it back from a backup, or from the old origin where this was a replica; where it is lost for ever, start once with --replace-lost-key, and every client and replica has to accept the new key`
  return failure('data-unusable', { folder: 'keys/ in the data folder', reason })
}
