/**
 * Tokens: all of them in memory, read at the start, changed only after the change is durable.
 *
 * What a token uploaded is counted in a row of its own, eight bytes in whatever transaction comes next; it is added up
 * in memory at once, so that no upload is lost of two that end together. The places of tokens are taken at once too.
 *
 * Every token that is added or revoked moves the edition, in the same transaction. Such changes become visible in the
 * order of their editions: who has asked up to one of them has missed none before it. Where a revoked token has made
 * room, nobody can tell of its revocation any more: who has not heard of it yet is told all that there is.
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
/** Up to this number of an edition somebody may have missed a revocation of which nothing is left. */
const FORGOTTEN = textKey('access-forgotten')
/** Before the first change. */
const FIRST_EDITION = '0.0000000000000000' as AccessEdition
/** Of tokens that were taken over in part. */
const UNFINISHED = '0.unfinished' as AccessEdition
/** Tokens of one transaction: what is handed over in one go takes 3 ms. */
const AT_ONCE = 500
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
  /** Who has asked up to an edition below this number is told all. */
  #forgotten: number
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
    const forgotten = this.#tables.marks.get(FORGOTTEN)
    this.#forgotten = forgotten === undefined ? 0 : numberOf(forgotten)
  }

  async add(token: Token): Promise<void> {
    assert(!this.#byId.has(token.id) && !this.#byHash.has(token.hash), `token ${token.id} was there before`)
    const spare = this.#hasPlace() ? [] : [this.#longestRevoked()]
    this.#coming.add(token.id)
    for (const { id } of spare) this.#leaving.add(id)
    try {
      await this.#move(token, this.#forget(spare), () => {
        this.#drop(spare)
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
    if (edition === undefined || !this.#known.has(edition) || numberIn(edition) < this.#forgotten)
      return { edition: this.#edition, isWhole: true, tokens: this.list() }
    const seen = numberIn(edition)
    const tokens = this.list().filter(({ id }) => numberIn(this.#editions.get(id) ?? FIRST_EDITION) > seen)
    return { edition: this.#edition, isWhole: false, tokens }
  }

  async adopt({ edition, isWhole, tokens }: TokensSince): Promise<void> {
    const adopted = tokens.map((token) => ({ ...token, usedBytes: this.#used.get(token.id) ?? 0 }))
    const left = this.#leftBy(adopted, isWhole)
    // Rows of a list that came in part, and was not shown.
    if (this.#edition === UNFINISHED) await this.#store.write(this.#strays())
    this.#begun = edition
    await this.#ordered(this.#writeAdopted(adopted, left, { edition, isWhole }), () => {
      // Perhaps of another history: what was known of editions says nothing about this one.
      if (isWhole) {
        this.#known.clear()
        this.#forgotten = 0
      }
      this.#drop(left)
      this.#edition = edition
      this.#remember(edition)
      for (const token of adopted) {
        this.#keep(token)
        this.#editions.set(token.id, edition)
      }
    })
  }

  /**
   * All at once, or where they are many one part after the other: then the ledger has no edition until the last of them
   * is written, so that whoever dies in between asks for all of them again.
   */
  async #writeAdopted(
    adopted: readonly Token[],
    left: readonly Token[],
    { edition, isWhole }: Pick<TokensSince, 'edition' | 'isWhole'>,
  ): Promise<void> {
    const { marks } = this.#tables
    const isLong = adopted.length + left.length > AT_ONCE
    if (isLong) {
      await this.#store.write([[marks, EDITION, Buffer.from(UNFINISHED)]])
      // Should the rest fail, this one asks for all of them again as well.
      this.#edition = UNFINISHED
    }
    for (let from = 0; isLong && from < left.length; from += AT_ONCE)
      await this.#store.write(this.#forget(left.slice(from, from + AT_ONCE)))
    let from = 0
    for (; from + AT_ONCE < adopted.length; from += AT_ONCE)
      await this.#store.write(adopted.slice(from, from + AT_ONCE).map((token) => this.#rowOf(token, edition)))
    await this.#store.write([
      ...(isLong ? [] : this.#forget(left)),
      ...adopted.slice(from).map((token) => this.#rowOf(token, edition)),
      ...(isWhole ? [[marks, FORGOTTEN, numberKey(0)] as const] : []),
      [marks, EDITION, Buffer.from(edition)],
    ])
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
    const rows: Row[] = [this.#rowOf(token, edition), [this.#tables.marks, EDITION, Buffer.from(edition)]]
    await this.#ordered(this.#store.write([...rows, ...more]), () => {
      show()
      this.#edition = edition
      this.#note(token.id, edition)
    })
  }

  #rowOf(token: Token, edition: AccessEdition): Row {
    return [this.#tables.tokens, textKey(token.id), Buffer.from(JSON.stringify({ ...token, edition }))]
  }

  #note(id: string, edition: AccessEdition): void {
    this.#editions.set(id, edition)
    this.#remember(edition)
  }

  #remember(edition: AccessEdition): void {
    this.#known.add(edition)
    const [oldest] = this.#known
    if (oldest !== undefined && this.#known.size > LIMITS.tokens) this.#known.delete(oldest)
  }

  /** Shows what is written, after all that was begun before. */
  async #ordered(written: Promise<void>, show: () => void): Promise<void> {
    const before = this.#settled
    const shown = (async () => {
      await Promise.allSettled([written, before])
      await written
      show()
    })()
    this.#settled = shown.catch(() => undefined)
    await shown
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

  #drop(tokens: readonly Token[]): void {
    for (const { id, hash } of tokens) {
      this.#byId.delete(id)
      this.#byHash.delete(hash)
      this.#used.delete(id)
      this.#editions.delete(id)
    }
  }

  #hasPlace(): boolean {
    return this.#byId.size + this.#coming.size - this.#leaving.size < LIMITS.tokens
  }

  /** Makes room among those that nobody can use any more. Fails with `limit-exceeded` when there is none. */
  #longestRevoked(): Token {
    const [first] = revokedOf(this.list()).filter(({ id }) => !this.#leaving.has(id))
    if (first === undefined) throw failure('limit-exceeded', { what: 'tokens', limit: LIMITS.tokens })
    return first
  }

  /** Who is here and not in a whole list, or made room at the origin: that is not told. */
  #leftBy(adopted: readonly Token[], isWhole: boolean): readonly Token[] {
    const coming = new Set(adopted.map(({ id }) => id))
    const others = this.list().filter(({ id }) => !coming.has(id))
    if (isWhole) return others
    const excess = Math.max(0, others.length + adopted.length - LIMITS.tokens)
    return revokedOf(others).slice(0, excess)
  }

  #strays(): readonly Row[] {
    const { tokens } = this.#tables
    const keys = tokens.getKeys().filter((key) => !this.#byId.has(key.toString()))
    return Array.from(keys, (key): Row => [tokens, key, undefined])
  }

  /** Rows that take these away. With each goes that it was revoked, and when. */
  #forget(leaving: readonly Token[]): readonly Row[] {
    if (leaving.length === 0) return []
    const { tokens, usage, marks } = this.#tables
    const numbers = leaving.map(({ id }) => numberIn(this.#editions.get(id) ?? FIRST_EDITION))
    this.#forgotten = numbers.reduce((most, number) => Math.max(most, number), this.#forgotten)
    const rows = leaving.flatMap(({ id }): Row[] => [
      [tokens, textKey(id), undefined],
      [usage, textKey(id), undefined],
    ])
    return [...rows, [marks, FORGOTTEN, numberKey(this.#forgotten)]]
  }
}

/** Those that were revoked, the longest first. */
function revokedOf(tokens: readonly Token[]): Token[] {
  return tokens
    .filter(({ revokedMs }) => revokedMs !== undefined)
    .sort((a, b) => (a.revokedMs ?? 0) - (b.revokedMs ?? 0))
}

function numberIn(edition: string): number {
  return Number(edition.split('.')[0])
}

/** One number higher, and a digest over the edition before and what changes: equal edition, equal history. */
function editionAfter(before: AccessEdition, change: Token): AccessEdition {
  const chain = hexOf(digestOf(`${before} ${JSON.stringify(change)}`)).slice(0, CHAIN_DIGITS)
  return `${numberIn(before) + 1}.${chain}` as AccessEdition
}
