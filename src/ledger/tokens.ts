/**
 * Tokens: all of them in memory, read at the start, changed only after the change is durable.
 *
 * What a token uploaded is counted in a row of its own, eight bytes in whatever transaction comes next; it is added up
 * in memory at once, so that no upload is lost of two that end together. The places of tokens are taken at once too.
 *
 * Every token that is added or revoked moves the edition, in the same transaction. Such changes become visible in the
 * order of their editions: who has asked up to one of them has missed none before it.
 */
import { strict as assert } from 'node:assert'
import { type Digest, digestOf, hexOf } from '../model/digest.ts'
import { failure } from '../model/errors.ts'
import { LIMITS } from '../model/limits.ts'
import { numberKey, numberOf, textKey } from './keys.ts'
import type { AccessEdition, Token, TokenChanges, Tokens, TokensSince } from './ledger.ts'
import type { Row, Store, Tables } from './store.ts'

/** A token as its row has it; of a row that is older than editions, without one. */
interface StoredToken extends Token {
  readonly edition?: AccessEdition
}

const EDITION = textKey('access')
/** Before the first change. */
const FIRST_EDITION = '0.0000000000000000' as AccessEdition
const CHAIN_DIGITS = 16

export class LmdbTokens implements Tokens, TokenChanges {
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
  /** The edition with which each token was added or revoked. */
  readonly #editions = new Map<string, AccessEdition>()
  /** Editions that there have been, oldest first: those of the tokens that were read, and all since. */
  readonly #known = new Set<string>()
  #edition: AccessEdition
  /** The edition of the change that was begun last, and when all up to it are visible or have failed. */
  #begun: AccessEdition
  #settled: Promise<unknown> = Promise.resolve()

  constructor(store: Store) {
    this.#store = store
    this.#tables = store.tables
    for (const { key, value } of this.#tables.tokens.getRange()) {
      const used = this.#tables.usage.get(key)
      const { edition, ...token } = JSON.parse(value.toString()) as StoredToken
      this.#keep(used === undefined ? token : { ...token, usedBytes: numberOf(used) })
      if (edition !== undefined) this.#note(token.id, edition)
    }
    this.#edition = (this.#tables.marks.get(EDITION)?.toString() ?? FIRST_EDITION) as AccessEdition
    this.#begun = this.#edition
    this.#known.add(this.#edition)
  }

  async add(token: Token): Promise<void> {
    assert(!this.#byId.has(token.id) && !this.#byHash.has(token.hash), `token ${token.id} was there before`)
    const spare = this.#hasPlace() ? [] : [this.#longestRevoked()]
    this.#coming.add(token.id)
    for (const { id } of spare) this.#leaving.add(id)
    try {
      const rows = spare.flatMap((one) => this.#rowsOfDrop(one))
      await this.#move(token, rows, () => {
        for (const one of spare) this.#drop(one)
        this.#keep(token)
      })
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
    await this.#move({ ...token, revokedMs: atMs }, [], () => {
      this.#change(id, { revokedMs: atMs })
    })
  }

  edition(): AccessEdition {
    return this.#edition
  }

  since(edition: string | undefined): TokensSince {
    if (edition === undefined || !this.#known.has(edition))
      return { edition: this.#edition, isWhole: true, tokens: this.list() }
    const seen = numberIn(edition)
    const tokens = this.list().filter(({ id }) => numberIn(this.#editions.get(id) ?? FIRST_EDITION) > seen)
    return { edition: this.#edition, isWhole: false, tokens }
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

  /** Writes a token with the next edition, and makes it visible after the changes that were begun before. */
  async #move(token: Token, more: readonly Row[], show: () => void): Promise<void> {
    const edition = editionAfter(this.#begun, token)
    this.#begun = edition
    const stored: StoredToken = { ...token, edition }
    const rows: Row[] = [
      [this.#tables.tokens, textKey(token.id), Buffer.from(JSON.stringify(stored))],
      [this.#tables.marks, EDITION, Buffer.from(edition)],
    ]
    const written = this.#store.write([...rows, ...more])
    const shown = this.#show(written, this.#settled, () => {
      show()
      this.#edition = edition
      this.#note(token.id, edition)
    })
    this.#settled = shown.catch(() => undefined)
    await shown
  }

  #note(id: string, edition: AccessEdition): void {
    this.#editions.set(id, edition)
    this.#known.add(edition)
    const [oldest] = this.#known
    if (oldest !== undefined && this.#known.size > LIMITS.tokens) this.#known.delete(oldest)
  }

  async #show(written: Promise<void>, before: Promise<unknown>, show: () => void): Promise<void> {
    await Promise.allSettled([written, before])
    await written
    show()
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
    this.#editions.delete(token.id)
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

  #rowsOfDrop({ id }: Token): readonly Row[] {
    const { tokens, usage } = this.#tables
    return [
      [tokens, textKey(id), undefined],
      [usage, textKey(id), undefined],
    ]
  }
}

function numberIn(edition: string): number {
  return Number(edition.split('.')[0])
}

/** One number higher, and a digest over the edition before and what changes: equal edition, equal history. */
function editionAfter(before: AccessEdition, change: Token): AccessEdition {
  const chain = hexOf(digestOf(`${before} ${JSON.stringify(change)}`)).slice(0, CHAIN_DIGITS)
  return `${numberIn(before) + 1}.${chain}` as AccessEdition
}
