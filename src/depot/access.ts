/**
 * Tokens: 256 random bits, shown once, stored as a hash, revocable (DESIGN §7).
 *
 * The secret is found by its SHA-256, so no secret is ever compared byte by byte; the hash that was found is compared
 * with the one that was asked in constant time all the same, whatever the map below does.
 */
import { timingSafeEqual } from 'node:crypto'
import type { Ledger, Token } from '../ledger/ledger.ts'
import { digestOf, rawOf } from '../model/digest.ts'
import { failure } from '../model/errors.ts'
import { LIMITS } from '../model/limits.ts'
import { demandText } from '../model/name.ts'
import { parseScopes } from '../model/scope.ts'
import type { Clock, Random } from '../model/world.ts'
import type { Actor } from './actor.ts'

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

  constructor(tokens: Ledger['tokens'], clock: Clock, random: Random) {
    this.#tokens = tokens
    this.#clock = clock
    this.#random = random
  }

  /** Who holds this secret; undefined when nobody does, or no longer. */
  actorOf(secret: string): Actor | undefined {
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
    if (this.list().filter((token) => token.revokedMs === undefined).length >= LIMITS.tokens)
      throw failure('limit-exceeded', { what: 'tokens', limit: LIMITS.tokens })
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
    return { token, secret }
  }

  list(): readonly Token[] {
    return this.#tokens.list()
  }

  /** Fails with `not-found`. */
  async revoke(id: string): Promise<void> {
    if (!this.list().some((token) => token.id === id)) throw failure('not-found', { what: `token ${id}` })
    await this.#tokens.revoke(id, this.#clock.now())
  }

  /** Fails with `quota-exceeded` when the token may not upload so many bytes more. */
  afford(id: string, bytes: number): void {
    const token = this.#tokenCalled(id)
    if (token?.quotaBytes !== undefined && token.usedBytes + bytes > token.quotaBytes)
      throw failure('quota-exceeded', { quota: token.quotaBytes, used: token.usedBytes, offered: bytes })
  }

  /** How many bytes more a token may upload; infinitely many without a quota. */
  left(id: string): number {
    const token = this.#tokenCalled(id)
    return token?.quotaBytes === undefined ? Number.POSITIVE_INFINITY : token.quotaBytes - token.usedBytes
  }

  /** Counts uploaded bytes. Fails with `quota-exceeded`. */
  async use(id: string, bytes: number): Promise<void> {
    if (bytes > 0) await this.#tokens.use(id, bytes)
  }

  #tokenCalled(id: string): Token | undefined {
    return this.list().find((candidate) => candidate.id === id)
  }

  tokenOf(secret: string): Token | undefined {
    const hash = digestOf(secret)
    const token = this.#tokens.byHash(hash)
    if (token === undefined || !timingSafeEqual(rawOf(token.hash), rawOf(hash))) return undefined
    if (token.revokedMs !== undefined) return undefined
    if (token.expiresMs !== undefined && token.expiresMs <= this.#clock.now()) return undefined
    return token
  }
}
