/**
 * Whom a replica believes: the first key that it saw of its upstream, or the one that it was started with, and every key
 * that one leads to. What nobody of them has signed is not taken over, whoever sent it (PROTOCOL §10).
 *
 * A depot that has signed nothing yet is taken as it is; from its first signature on nothing counts without one.
 */
import { type DepotError, failure, isFailure } from '../../model/errors.ts'
import { checkedRecord } from '../../model/generation.ts'
import type { KeyId } from '../../model/keys/key.ts'
import { ledOn, type Pinned, type PinnedRing, pinnedFor } from '../../model/keys/pinned.ts'
import { currentKey, isKeyRing, type KeyRing } from '../../model/keys/ring.ts'
import { demandSigned, type SignedRecord, signersOf } from '../../model/keys/signed.ts'
import { type Trust, trustIn } from '../../model/keys/trust.ts'
import { slices } from '../../model/slice.ts'
import type { Clock } from '../../model/world.ts'
import { type KeysBody, ringIn } from '../../wire/keys.ts'
import type { SentRecord } from '../upstream.ts'

export interface UpstreamTrustParts {
  readonly keys: {
    readonly view: () => PinnedRing | undefined
    readonly adopt: (ring: PinnedRing) => Promise<void>
  }
  /** The key ring of the upstream as it is. */
  readonly ask: (signal: AbortSignal) => Promise<KeysBody | undefined>
  /** The key that an operator says is the depot's. */
  readonly given: KeyId | undefined
  readonly clock: Pick<Clock, 'monotonic'>
}

const REFUSALS = ['key-untrusted', 'generation-unsigned', 'signature-wrong'] as const

export class UpstreamTrust {
  readonly #parts: UpstreamTrustParts
  readonly #pinned = Promise.withResolvers<void>()
  readonly #refused: { records?: DepotError; keys?: DepotError } = {}
  #known: Pinned | undefined
  #taken: Promise<unknown> = Promise.resolve()

  constructor(parts: UpstreamTrustParts) {
    this.#parts = parts
  }

  /** Why what the upstream sends is not taken over; undefined when it is. */
  refusal(): DepotError | undefined {
    return this.#refused.keys ?? this.#refused.records
  }

  /** Whom this node believes now; undefined as long as it has seen no key. */
  async trusted(): Promise<Trust | undefined> {
    return (await this.#now())?.trust
  }

  /** Resolves when a key is pinned, or the signal is aborted. */
  async whenPinned(signal: AbortSignal): Promise<void> {
    if ((await this.#now()) !== undefined || signal.aborted) return
    const gone = Promise.withResolvers<void>()
    const onAbort = (): void => gone.resolve()
    signal.addEventListener('abort', onAbort)
    await Promise.race([this.#pinned.promise, gone.promise])
    signal.removeEventListener('abort', onAbort)
  }

  /**
   * Lets records pass that a trusted key has signed. Where none has, the upstream is asked for its keys first. Fails with
   * `generation-unsigned`, `signature-wrong` or `key-untrusted`, and as `checkedRecord` does.
   */
  async demand(records: readonly SentRecord[], signal: AbortSignal): Promise<void> {
    await this.#noting('records', async () => {
      await this.#demand(records, signal)
    })
  }

  /** Takes over a key ring, if it leads on from what is trusted here. Fails with `key-untrusted`. */
  async take(body: KeysBody): Promise<void> {
    await this.#noting('keys', async () => {
      await this.#take(ringIn(body))
    })
  }

  async #demand(records: readonly SentRecord[], signal: AbortSignal): Promise<void> {
    const pace = slices(this.#parts.clock)
    let trust = await this.trusted()
    let isAsked = false
    for (const sent of records) {
      const signed: SignedRecord = { ...sent, record: checkedRecord(sent.gid, sent.bytes) }
      await pace.breathe()
      if (trust === undefined && sent.signatures.length === 0 && this.#parts.given === undefined) continue
      if (!isAsked && isStrange(signed, trust)) {
        isAsked = true
        trust = await this.#asked(signal)
      }
      if (trust === undefined) throw this.#unsigned(signed)
      demandSigned(signed, trust)
    }
  }

  /** With what the upstream says of its keys now. */
  async #asked(signal: AbortSignal): Promise<Trust | undefined> {
    try {
      const body = await this.#parts.ask(signal)
      if (body !== undefined) await this.#take(ringIn(body))
    } catch (error) {
      // It has no keys, or no longer: what is trusted here is all there is.
      if (!isFailure(error, 'not-found')) throw error
    }
    return await this.trusted()
  }

  /** One ring after the other: what one has said the next one must not undo. */
  async #take(ring: KeyRing): Promise<void> {
    const before = this.#taken
    const taken = (async () => {
      await before
      await this.#takeNext(ring)
    })()
    this.#taken = taken.catch(() => undefined)
    await taken
  }

  async #takeNext(ring: KeyRing): Promise<void> {
    if (!isKeyRing(ring))
      throw failure('answer-invalid', { url: 'the keys of the upstream', reason: 'what is no key ring' })
    const known = await this.#now()
    const next =
      known === undefined
        ? await pinnedFor(ring, this.#parts.given ?? currentKey(ring).id)
        : await ledOn(known, ring)
    if (next === undefined) return
    await this.#parts.keys.adopt({ ring: next.ring, pinned: next.pinned })
    this.#known = next
    this.#pinned.resolve()
  }

  /** What was kept counts, unless an operator names a key to which it does not lead. */
  async #now(): Promise<Pinned | undefined> {
    if (this.#known !== undefined) return this.#known
    const kept = this.#parts.keys.view()
    if (kept === undefined) return undefined
    const { ring, pinned } = kept
    const trust = await trustIn(ring, pinned)
    const { given } = this.#parts
    if (given !== undefined && !trust.keys.has(given)) return undefined
    this.#known = { ring, pinned, trust }
    return this.#known
  }

  #unsigned({ gid, signatures }: SignedRecord): Error {
    const pinned = this.#parts.given ?? 'no key'
    return failure('generation-unsigned', { wanted: gid, pinned, signers: signersOf(signatures) })
  }

  async #noting(what: 'records' | 'keys', work: () => Promise<void>): Promise<void> {
    try {
      await work()
      delete this.#refused[what]
    } catch (error) {
      if (isFailure(error) && REFUSALS.some((code) => code === error.code)) this.#refused[what] = error
      throw error
    }
  }
}

/** Whether there is something about it that the upstream's keys may explain: a key that nobody here knows. */
function isStrange({ signatures }: SignedRecord, trust: Trust | undefined): boolean {
  return trust === undefined || !signersOf(signatures).every((id) => trust.keys.has(id))
}
