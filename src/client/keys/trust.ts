/**
 * Whom a client believes (PROTOCOL §13): the first key that it sees of a depot, or the one that it was told, and every
 * key that one leads to. What is kept changes only along what keys have signed for each other, or when somebody says
 * so by `acceptKey`; a depot that is refused leaves everything as it was.
 *
 * A depot that signs nothing yet is taken as it is; from the first key that was seen on nothing counts without one. A
 * generation is checked once, and everything below it by the digests of its tree.
 */
import { digestOf } from '../../model/digest.ts'
import { failure, isFailure } from '../../model/errors.ts'
import { encodeRecord, type Generation, type GenerationRecord } from '../../model/generation.ts'
import { parseInstant } from '../../model/instant.ts'
import type { KeyId } from '../../model/keys/key.ts'
import { ledOn, type Pinned, pinnedFor } from '../../model/keys/pinned.ts'
import { currentKey, isKeyRing, type KeyRing } from '../../model/keys/ring.ts'
import { demandSigned, type SignedRecord, signersOf } from '../../model/keys/signed.ts'
import { trustIn } from '../../model/keys/trust.ts'
import { LIMITS } from '../../model/limits.ts'
import type { Caller } from '../../wire/caller.ts'
import type { Answer } from '../../wire/caller-answer.ts'
import { KeysBody, ringIn } from '../../wire/keys.ts'
import { PATHS } from '../../wire/paths.ts'
import { decodePin, encodePin, type Pin, type PinStore, type PinText } from './pins.ts'

export interface KeyTrustOptions {
  readonly caller: Pick<Caller, 'read'>
  readonly pins: PinStore
  /** The key that must be the depot's, or lead to it. */
  readonly key?: KeyId | undefined
  /** The key to go on with although what was seen before does not lead to it. */
  readonly acceptKey?: KeyId | undefined
}

/** What is kept, as it was read, and whom it makes believe. */
interface Known {
  readonly text: PinText | undefined
  readonly pinned: Pinned | undefined
  readonly newest: Pin['newest']
}

export class KeyTrust {
  readonly #options: KeyTrustOptions
  /** Digests of records that were found signed, with those who had signed them. */
  readonly #checked = new Set<string>()
  #known: Known | undefined

  constructor(options: KeyTrustOptions) {
    this.#options = options
  }

  /**
   * Lets a generation pass that a trusted key has signed. Where an unknown one has, the depot is asked for its keys.
   * Fails with `generation-unsigned`, `signature-wrong` or `key-untrusted`.
   */
  async demand({ gid, record, signatures }: Generation, signal?: AbortSignal): Promise<void> {
    const bytes = encodeRecord(record)
    const check = [digestOf(bytes), ...signatures].join(' ')
    if (this.#checked.has(check)) return
    const { key, acceptKey } = this.#options
    let { pinned } = await this.#now()
    const isUnsigned = signatures.length === 0 && pinned === undefined
    if (isUnsigned && key === undefined && acceptKey === undefined) return
    if (this.#mustAsk(signatures, pinned)) pinned = await this.#learn(signal)
    const signed: SignedRecord = { gid, record, bytes, signatures }
    if (pinned === undefined) throw this.#unsigned(signed)
    demandSigned(signed, pinned.trust)
    if (pinned.trust.keys.size > 1) await this.#demandInOrder(signed, record, pinned)
    this.#note(check)
  }

  /** Whether the depot's keys may say something that is not known here, or what is known is not what was asked for. */
  #mustAsk(signatures: readonly string[], pinned: Pinned | undefined): boolean {
    const { key, acceptKey } = this.#options
    if (pinned === undefined) return true
    const { keys } = pinned.trust
    const wanted = [...signersOf(signatures), ...[key, acceptKey].flatMap((id) => id ?? [])]
    return !wanted.every((id) => keys.has(id))
  }

  /** What to believe with what the depot says of its keys now; kept, durable, before anything is believed for it. */
  async #learn(signal?: AbortSignal): Promise<Pinned | undefined> {
    const ring = await this.#ask(signal)
    for (;;) {
      const { text, pinned, newest } = await this.#now(true)
      if (ring === undefined) return pinned
      const next = await this.#next(pinned, ring)
      const believed = next ?? pinned
      this.#demandKey(believed, ring)
      if (next === undefined) return pinned
      if (await this.#keep(text, next, newest)) return next
    }
  }

  /** Undefined for what is kept already. */
  async #next(pinned: Pinned | undefined, ring: KeyRing): Promise<Pinned | undefined> {
    const { key, acceptKey } = this.#options
    if (pinned === undefined) return await pinnedFor(ring, acceptKey ?? key ?? currentKey(ring).id)
    try {
      const next = await ledOn(pinned, ring)
      const { keys } = (next ?? pinned).trust
      if (acceptKey === undefined || keys.has(acceptKey)) return next
    } catch (error) {
      if (acceptKey === undefined || !isFailure(error, 'key-untrusted')) throw error
    }
    return await pinnedFor(ring, acceptKey)
  }

  /**
   * The keys of the past count for what was created in their time, and whoever got hold of one may write any time into
   * a record. So what no key of now has signed may not come after what was seen and be created before it.
   */
  async #demandInOrder(
    signed: SignedRecord,
    { number, created }: GenerationRecord,
    { trust }: Pinned,
  ): Promise<void> {
    for (;;) {
      const { text, pinned, newest } = await this.#now(true)
      if (pinned === undefined || (newest !== undefined && number <= newest.number)) return
      const isOfNow = signersOf(signed.signatures).includes(trust.current.id)
      const isLater = newest === undefined || parseInstant(created) > parseInstant(newest.created)
      if (!isOfNow && !isLater) throw this.#unsigned(signed, pinned)
      if (await this.#keep(text, pinned, { number, created })) return
    }
  }

  /** Whether it was kept; false when what was kept is no longer `before`. */
  async #keep(before: PinText | undefined, pinned: Pinned, newest: Pin['newest']): Promise<boolean> {
    const { ring, pinned: key } = pinned
    const text = encodePin({ ring, pinned: key, ...(newest === undefined ? {} : { newest }) })
    if (!(await this.#options.pins.replace(before, text))) return false
    this.#known = { text, pinned, newest }
    return true
  }

  #demandKey(believed: Pinned | undefined, ring: KeyRing): void {
    const { key, acceptKey } = this.#options
    if (key === undefined || acceptKey !== undefined || believed === undefined) return
    if (!believed.trust.keys.has(key))
      throw failure('key-untrusted', { pinned: key, offered: currentKey(ring).id })
  }

  /** Undefined where the depot has no keys. */
  async #ask(signal?: AbortSignal): Promise<KeyRing | undefined> {
    const read = async (answer: Answer): Promise<KeyRing> => {
      const ring = ringIn(await answer.json(KeysBody, LIMITS.keyRingBytes))
      if (!isKeyRing(ring)) throw answer.invalid('what is no key ring')
      return ring
    }
    try {
      return await this.#options.caller.read({ path: PATHS.keys }, read, signal)
    } catch (error) {
      if (isFailure(error, 'not-found')) return undefined
      throw error
    }
  }

  async #now(isAnew = false): Promise<Known> {
    if (this.#known !== undefined && !isAnew) return this.#known
    const text = await this.#options.pins.read()
    if (this.#known === undefined || this.#known.text !== text) {
      const kept = text === undefined ? undefined : decodePin(text)
      const pinned = kept && { ...kept, trust: await trustIn(kept.ring, kept.pinned) }
      this.#known = { text, pinned, newest: kept?.newest }
    }
    return this.#known
  }

  #unsigned({ gid, signatures }: SignedRecord, known?: Pinned): Error {
    const { acceptKey, key } = this.#options
    const pinned = known?.trust.current.id ?? acceptKey ?? key ?? 'no key'
    return failure('generation-unsigned', { wanted: gid, pinned, signers: signersOf(signatures) })
  }

  #note(check: string): void {
    this.#checked.add(check)
    const [oldest] = this.#checked
    if (oldest !== undefined && this.#checked.size > LIMITS.signedCacheEntries) this.#checked.delete(oldest)
  }
}
