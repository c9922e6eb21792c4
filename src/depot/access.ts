/**
 * Tokens: 256 random bits, shown once, stored as a hash, revocable (DESIGN §7).
 *
 * The secret is found by its SHA-256, so no secret is ever compared byte by byte; the hash that was found is compared
 * with the one that was asked in constant time all the same, whatever the map below does.
 *
 * A node that follows has a copy of its origin's tokens, and lets nobody in by it when the origin's last word on it is
 * too old: what was revoked since nobody knows there (PROTOCOL §4).
 */
import { timingSafeEqual } from 'node:crypto'
import type { AccessEdition, Ledger, Token, TokensSince } from '../ledger/ledger.ts'
import { type Digest, digestOf, rawOf } from '../model/digest.ts'
import { failure } from '../model/errors.ts'
import { LIMITS } from '../model/limits.ts'
import { demandText } from '../model/name.ts'
import { parseScopes } from '../model/scope.ts'
import type { Clock, Random } from '../model/world.ts'
import type { Actor } from './actor.ts'
import { type Allowance, Quotas } from './quotas.ts'
import { Waiting } from './waiting.ts'

export interface TokenWish {
  readonly label: string
  readonly scopes: readonly string[]
  readonly expiresMs?: number
  readonly quotaBytes?: number
}

/** A new token with its secret, which nobody can see again. */
export interface NewToken {
  readonly token: Token
  readonly secret: string
}

const SECRET_PREFIX = 'depot_'
const ID_BYTES = 6
// oxlint-disable-next-line no-control-regex -- control characters are what it refuses
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/

export class Access {
  readonly #tokens: Ledger['tokens']
  readonly #clock: Clock
  readonly #random: Random
  readonly #quotas: Quotas
  readonly #waiting = new Waiting(LIMITS.nodes)
  /** The hash of every token that was not revoked, by its id: what is asked for every piece of an upload. */
  #hashes: Map<string, Digest>
  readonly #isCopy: boolean
  /** Of a copy: the monotonic time at which it was all that the origin had. */
  #confirmedMs: number | undefined

  constructor(tokens: Ledger['tokens'], clock: Clock, random: Random, isCopy = false) {
    this.#isCopy = isCopy
    this.#tokens = tokens
    this.#clock = clock
    this.#random = random
    this.#quotas = new Quotas(async (id, bytes) => await tokens.use(id, bytes))
    this.#hashes = hashesOf(tokens.list())
  }

  /** Who holds this secret; undefined when nobody does, or no longer. Fails with `access-unconfirmed`. */
  actorOf(secret: string): Actor | undefined {
    this.#demandConfirmed()
    const token = this.tokenOf(secret)
    return token && { id: token.id, label: token.label, scopes: token.scopes }
  }

  /** A secret that nobody can guess. */
  newSecret(): string {
    return SECRET_PREFIX + Buffer.from(this.#random.bytes(LIMITS.tokenBytes)).toString('base64url')
  }

  /** Fails with `bad-request`, `name-invalid` or `limit-exceeded`. */
  async create(wish: TokenWish, secret: string = this.newSecret()): Promise<NewToken> {
    demandText(wish.label, 'the label')
    if (CONTROL.test(wish.label))
      throw failure('bad-request', { reason: 'the label has a control character' })
    const scopes = parseScopes(wish.scopes)
    const token: Token = {
      id: `t${Buffer.from(this.#random.bytes(ID_BYTES)).toString('hex')}`,
      hash: digestOf(secret),
      label: wish.label,
      scopes,
      createdMs: this.#clock.now(),
      usedBytes: 0,
      ...(wish.expiresMs === undefined ? {} : { expiresMs: wish.expiresMs }),
      ...(wish.quotaBytes === undefined ? {} : { quotaBytes: wish.quotaBytes }),
    }
    await this.#tokens.add(token)
    this.#hashes.set(token.id, token.hash)
    this.#waiting.wake()
    return { token, secret }
  }

  list(): readonly Token[] {
    return this.#tokens.list()
  }

  /** Fails with `not-found`. */
  async revoke(id: string): Promise<void> {
    if (!this.list().some((token) => token.id === id)) throw failure('not-found', { what: `token ${id}` })
    await this.#tokens.revoke(id, this.#clock.now())
    this.#hashes.delete(id)
    this.#waiting.wake()
  }

  /** What changed after an edition, or all that there is where nobody can tell. */
  since(edition: string | undefined): TokensSince {
    return this.#tokens.since(edition)
  }

  /**
   * Waits until the edition is another one than `seen`, up to `waitMs`; whether it is. Fails with `hold-limit` when too
   * many wait already.
   */
  async movedFrom(seen: string, waitMs: number, signal: AbortSignal): Promise<boolean> {
    if (this.#tokens.edition() === seen) await this.#waiting.wait(waitMs, signal)
    return this.#tokens.edition() !== seen
  }

  /** The edition that is here, for who asks what came after it. */
  edition(): AccessEdition {
    return this.#tokens.edition()
  }

  /** Takes over what changed at the origin. What was revoked there is of no use here from now on. */
  async adopt(change: TokensSince): Promise<void> {
    await this.#tokens.adopt(change)
    this.#hashes = hashesOf(this.list())
    this.#waiting.wake()
  }

  /** The copy is what the origin had at this moment of the monotonic clock, or later. */
  confirm(atMs: number): void {
    this.#confirmedMs = atMs
  }

  /** Milliseconds since the copy was confirmed; undefined before that. What is no copy is always confirmed. */
  ageMs(): number | undefined {
    if (!this.#isCopy) return 0
    return this.#confirmedMs === undefined ? undefined : this.#clock.monotonic() - this.#confirmedMs
  }

  /** Lets everybody go who waits: the node is closing. */
  release(): void {
    this.#waiting.release()
  }

  isClosing(): boolean {
    return this.#waiting.isClosing()
  }

  /** Fails with `quota-exceeded` when the token may not upload so many bytes more, or with `unauthorised`. */
  async afford(id: string, bytes: number): Promise<void> {
    const allowance = this.allowance(id)
    try {
      allowance.hold(bytes)
    } finally {
      await allowance.settle(0)
    }
  }

  /** What one upload may bring, of what other uploads leave of the quota. Fails with `unauthorised`. */
  allowance(id: string): Allowance {
    return this.#quotas.open(this.#tokenCalled(id))
  }

  /** Does what brings so many bytes, which count when it has succeeded. Fails with `quota-exceeded` before it begins. */
  async charge<Result>(id: string, bytes: number, work: () => Promise<Result>): Promise<Result> {
    const allowance = this.allowance(id)
    let came = 0
    try {
      allowance.hold(bytes)
      const result = await work()
      came = bytes
      return result
    } finally {
      await allowance.settle(came)
    }
  }

  /** Whether the token may still do something: what runs for long asks again, for tokens are revoked and expire. */
  isLive(id: string): boolean {
    const token = this.#tokenCalled(id)
    return token !== undefined && !this.#isExpired(token)
  }

  #demandConfirmed(): void {
    const ageMs = this.ageMs()
    if (ageMs !== undefined && ageMs <= LIMITS.accessAgeMs) return
    throw failure('access-unconfirmed', ageMs === undefined ? {} : { age: Math.floor(ageMs / 1000) })
  }

  /** Not one that was revoked. */
  #tokenCalled(id: string): Token | undefined {
    const hash = this.#hashes.get(id)
    return hash && this.#tokens.byHash(hash)
  }

  #isExpired({ expiresMs }: Token): boolean {
    return expiresMs !== undefined && expiresMs <= this.#clock.now()
  }

  tokenOf(secret: string): Token | undefined {
    const hash = digestOf(secret)
    const token = this.#tokens.byHash(hash)
    if (token === undefined || !timingSafeEqual(rawOf(token.hash), rawOf(hash))) return undefined
    if (token.revokedMs !== undefined) return undefined
    return this.#isExpired(token) ? undefined : token
  }
}

function hashesOf(tokens: readonly Token[]): Map<string, Digest> {
  const live = tokens.filter(({ revokedMs }) => revokedMs === undefined)
  return new Map(live.map(({ id, hash }) => [id, hash]))
}
