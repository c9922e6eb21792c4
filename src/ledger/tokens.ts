/**
 * Tokens: all of them in memory, read at the start, changed only after the change is durable.
 *
 * What a token uploaded is counted in a row of its own, eight bytes in whatever transaction comes next; it is added up
 * in memory at once, so that no upload is lost of two that end together. The places of tokens are taken at once too.
 */
import { strict as assert } from 'node:assert'
import type { Digest } from '../model/digest.ts'
import { failure } from '../model/errors.ts'
import { LIMITS } from '../model/limits.ts'
import { numberKey, numberOf, textKey } from './keys.ts'
import type { Token, Tokens } from './ledger.ts'
import type { Row, Store, Tables } from './store.ts'

export class LmdbTokens implements Tokens {
  readonly #store: Store
  readonly #tables: Tables
  readonly #byId = new Map<string, Token>()
  readonly #byHash = new Map<Digest, string>()
  /** Bytes in use, with those whose row is being written. */
  readonly #used = new Map<string, number>()
  /** Ids of those whose row is being written. */
  readonly #coming = new Set<string>()
  /** Ids of those who make room for them. */
  readonly #leaving = new Set<string>()

  constructor(store: Store) {
    this.#store = store
    this.#tables = store.tables
    for (const { key, value } of this.#tables.tokens.getRange()) {
      const used = this.#tables.usage.get(key)
      const token = JSON.parse(value.toString()) as Token
      this.#keep(used === undefined ? token : { ...token, usedBytes: numberOf(used) })
    }
  }

  async add(token: Token): Promise<void> {
    assert(!this.#byId.has(token.id) && !this.#byHash.has(token.hash), `token ${token.id} was there before`)
    const spare = this.#hasPlace() ? [] : [this.#longestRevoked()]
    this.#coming.add(token.id)
    for (const { id } of spare) this.#leaving.add(id)
    try {
      await this.#store.write([this.#rowOf(token), ...spare.flatMap((one) => this.#rowsOfDrop(one))])
      for (const one of spare) this.#drop(one)
      this.#keep(token)
    } finally {
      this.#coming.delete(token.id)
      for (const { id } of spare) this.#leaving.delete(id)
    }
  }

  list(): readonly Token[] {
    return [...this.#byId.values()]
  }

  byHash(hash: Digest): Token | undefined {
    const id = this.#byHash.get(hash)
    const token = id === undefined ? undefined : this.#byId.get(id)
    return token?.revokedMs === undefined ? token : undefined
  }

  async revoke(id: string, atMs: number): Promise<void> {
    const token = this.#byId.get(id)
    if (token === undefined || token.revokedMs !== undefined) return
    await this.#store.write([this.#rowOf({ ...token, revokedMs: atMs })])
    this.#change(id, { revokedMs: atMs })
  }

  async use(id: string, bytes: number): Promise<void> {
    const used = this.#used.get(id)
    // It made room for another token meanwhile.
    if (used === undefined) return
    const total = used + bytes
    this.#used.set(id, total)
    try {
      await this.#store.write([[this.#tables.usage, textKey(id), numberKey(total)]])
      this.#change(id, { usedBytes: total })
    } catch (error) {
      const now = this.#used.get(id)
      if (now !== undefined) this.#used.set(id, now - bytes)
      throw error
    }
  }

  #keep(token: Token): void {
    this.#byId.set(token.id, token)
    this.#byHash.set(token.hash, token.id)
    this.#used.set(token.id, token.usedBytes)
  }

  #change(id: string, change: Partial<Token>): void {
    const token = this.#byId.get(id)
    if (token !== undefined) this.#byId.set(id, { ...token, ...change })
  }

  #drop(token: Token): void {
    this.#byId.delete(token.id)
    this.#byHash.delete(token.hash)
    this.#used.delete(token.id)
  }

  #hasPlace(): boolean {
    return this.#byId.size + this.#coming.size - this.#leaving.size < LIMITS.tokens
  }

  /** Makes room among those that nobody can use any more. Fails with `limit-exceeded` when there is none. */
  #longestRevoked(): Token {
    const [first] = this.list()
      .filter(({ id, revokedMs }) => revokedMs !== undefined && !this.#leaving.has(id))
      .sort((a, b) => (a.revokedMs ?? 0) - (b.revokedMs ?? 0))
    if (first === undefined) throw failure('limit-exceeded', { what: 'tokens', limit: LIMITS.tokens })
    return first
  }

  #rowOf(token: Token): Row {
    return [this.#tables.tokens, textKey(token.id), Buffer.from(JSON.stringify(token))]
  }

  #rowsOfDrop({ id }: Token): readonly Row[] {
    const { tokens, usage } = this.#tables
    return [
      [tokens, textKey(id), undefined],
      [usage, textKey(id), undefined],
    ]
  }
}
