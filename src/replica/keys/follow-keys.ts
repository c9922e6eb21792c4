/**
 * Follows the keys of an upstream: waits there for another key ring, and takes it over before it asks again. So this
 * node knows of a rotation before the first generation that only the new key has signed, and answers for the keys itself.
 *
 * It also fetches signatures of what was copied before there were any. The first generation of the log is signed last:
 * who finds it signed knows that all are, wherever he was cut off before.
 */
import type { Head } from '../../depot/head.ts'
import type { Generations, SignedGid } from '../../ledger/ledger.ts'
import { failure, isFailure } from '../../model/errors.ts'
import { encodeRecord } from '../../model/generation.ts'
import { isSignedWell } from '../../model/keys/signed.ts'
import { LIMITS } from '../../model/limits.ts'
import type { Clock, Random } from '../../model/world.ts'
import type { KeysBody } from '../../wire/keys.ts'
import { overAndOver, type Sleep, unlessSilent, WaitingAsk } from '../sleep.ts'
import type { SentRecord, Upstream } from '../upstream.ts'
import type { UpstreamTrust } from './trust.ts'

export interface KeyFollowerParts {
  readonly trust: Pick<UpstreamTrust, 'take' | 'trusted' | 'demand' | 'whenPinned'>
  /** The ring after an edition, as soon as there is one; undefined when there was none within `waitMs`. */
  readonly keysAfter: (
    edition: string | undefined,
    waitMs: number,
    signal: AbortSignal,
  ) => Promise<KeysBody | undefined>
  readonly upstream: Pick<Upstream, 'log'>
  readonly generations: Pick<Generations, 'head' | 'get' | 'list' | 'sign'>
  readonly head: Pick<Head, 'restate'>
  readonly clock: Pick<Clock, 'monotonic'>
  readonly random: Random
  readonly sleep: Sleep
  readonly events?: Partial<KeyEvents>
}

/** Called in passing: they must be short, and never fail. */
export interface KeyEvents {
  /** The upstream has told its keys, and they are trusted. */
  adopted(current: string): void
  /** So many generations that were here have got their signatures. */
  signed(count: number): void
  failed(error: unknown, retryMs: number): void
}

/** Generations of one transaction. */
const AT_ONCE = 128

export class KeyFollower {
  readonly #parts: KeyFollowerParts
  readonly #asks: WaitingAsk
  /** What the upstream told last: perhaps less than this node knows. */
  #seen: string | undefined

  constructor(parts: KeyFollowerParts) {
    this.#parts = parts
    this.#asks = new WaitingAsk(parts.clock, LIMITS.accessWaitMs)
  }

  /** Follows until the signal is aborted, and resolves when nothing is under way any more. */
  async run(signal: AbortSignal): Promise<void> {
    await overAndOver(
      this.#parts,
      signal,
      async () => await this.#follow(signal),
      (error, retryMs) => this.#parts.events?.failed?.(error, retryMs),
    )
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { trust, keysAfter, events } = this.#parts
    try {
      await this.#asks.once(
        async (waitMs) => await keysAfter(this.#seen, waitMs, unlessSilent(signal, waitMs)),
        async (body) => {
          await trust.take(body)
          this.#seen = body.edition
          events?.adopted?.(body.current)
        },
      )
    } catch (error) {
      if (!isFailure(error, 'not-found') || (await trust.trusted()) !== undefined) throw error
      // It signs nothing yet. With its first signature there will be keys.
      await trust.whenPinned(signal)
      return
    }
    await this.#sign(signal)
  }

  async #sign(signal: AbortSignal): Promise<void> {
    if (!(await this.#isUnsigned())) return
    const { upstream, generations, events } = this.#parts
    const last = generations.head()?.record.number ?? -1
    const first: SentRecord[] = []
    let group: SentRecord[] = []
    let signed = 0
    for await (const sent of upstream.log(-1, last, signal)) {
      if (first.length === 0) first.push(sent)
      else group.push(sent)
      if (group.length < AT_ONCE) continue
      signed += await this.#keep(group, signal)
      group = []
    }
    signed += await this.#keep(group, signal)
    signed += await this.#keep(first, signal)
    events?.signed?.(signed)
  }

  /** Whether the log begins with what nobody has signed whom this node believes. */
  async #isUnsigned(): Promise<boolean> {
    const trusted = await this.#parts.trust.trusted()
    const [first] = this.#parts.generations.list({ kind: 'above', number: -1 }, 1)
    if (trusted === undefined || first === undefined) return false
    return !isSignedWell({ ...first, bytes: encodeRecord(first.record) }, trusted)
  }

  async #keep(sent: readonly SentRecord[], signal: AbortSignal): Promise<number> {
    if (sent.length === 0) return 0
    const { trust, generations, head } = this.#parts
    await trust.demand(sent, signal)
    const rows = sent.map(({ gid, signatures }): SignedGid => {
      const own = generations.get(gid)
      if (own !== undefined) return { gid, signatures }
      throw failure('origin-diverged', { generation: generations.head()?.gid ?? 'none', seen: gid })
    })
    await generations.sign(rows)
    const now = generations.head()
    if (now !== undefined) head.restate(now)
    return rows.length
  }
}
