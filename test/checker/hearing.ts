/**
 * One request while it is under way, and the line that it becomes: what was sent, what came, and how much of it.
 */
import { createHash } from 'node:crypto'
import { type Asker, kindOf, type RequestLine } from './line.ts'

export interface Sent {
  readonly method: string
  /** Path and query. */
  readonly url: string
  /** With lower-case names. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>
}

type Open<T> = { -readonly [Key in keyof T]: T[Key] }
type Notes = { readonly [Key in keyof RequestLine]?: RequestLine[Key] | undefined }

const HOLD_MS = 2_000
const HOLD_MAXIMUM_MS = 10_000
const WATCH_MAXIMUM_MS = 25_000
/** What is kept of a body for who asked; the digest is of all of it. */
const KEPT_BYTES = 33_554_432
/** Headers that a line takes as they are. */
const TAKEN = {
  'depot-head': 'head',
  'depot-node': 'node',
  etag: 'etag',
  'cache-control': 'cacheControl',
  'content-encoding': 'encoding',
  'content-type': 'type',
  location: 'location',
  'repr-digest': 'reprDigest',
} as const
/** The same of what was asked. */
const ASKED = {
  'depot-min-generation': 'min',
  'depot-exact-generation': 'exact',
  'if-none-match': 'ifNoneMatch',
  'if-range': 'ifRange',
  range: 'range',
  'idempotency-key': 'key',
} as const

export class Hearing {
  readonly #line: Open<RequestLine>
  readonly #now: () => number
  readonly #digest = createHash('sha256')
  readonly #kept: Uint8Array[] = []

  constructor(asker: Asker, { method, url, headers }: Sent, now: () => number) {
    const kind = kindOf(method, url)
    const start = now()
    this.#now = now
    this.#line = { what: 'request', ...asker, start, end: start, kind, method, url, bytes: 0 }
    for (const [header, field] of Object.entries(ASKED))
      if (headers[header] !== undefined) this.#line[field] = String(headers[header])
    if (headers['depot-preview'] !== undefined) this.#line.preview = true
    if (kind === 'K1' || kind === 'K2') this.#line.budget = budgetOf(url, String(headers['prefer'] ?? ''))
  }

  note(more: Notes): void {
    Object.assign(this.#line, more)
  }

  /** The head of the answer is here: names and values in turn. */
  begin(status: number, rawHeaders: readonly string[]): void {
    this.#line.first = this.#now()
    this.#line.status = status
    const generations: string[] = []
    for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
      const [name, value] = [rawHeaders[at]!.toLowerCase(), rawHeaders[at + 1]!]
      if (name === 'depot-generation') generations.push(value)
      if (name === 'content-length') this.#line.length = Number(value)
      if (name in TAKEN) this.#line[TAKEN[name as keyof typeof TAKEN]] = value
    }
    if (generations.length > 0) this.#line.generations = generations
  }

  take(piece: Uint8Array): void {
    this.#digest.update(piece)
    if (this.#line.bytes + piece.length <= KEPT_BYTES) this.#kept.push(piece)
    this.#line.bytes += piece.length
  }

  /** With why it is not whole, where it is not. */
  end(error?: string): void {
    this.#line.end = this.#now()
    if (error !== undefined) this.#line.error = error
    else if (this.#line.method === 'GET' && this.#line.status === 200)
      this.#line.digest = this.#digest.digest('hex')
    const { type, status = 0 } = this.#line
    if (type?.startsWith('application/problem+json') === true)
      this.note({ problem: this.#member('type')?.replace('/problems/', '') })
    else if (this.#line.kind === 'K7' && status >= 200 && status < 300)
      this.note({ made: this.#member('gid') })
  }

  line(): RequestLine {
    return this.#line
  }

  body(): Buffer {
    return Buffer.concat(this.#kept)
  }

  #member(name: string): string | undefined {
    try {
      const value = (JSON.parse(this.body().toString()) as Record<string, unknown>)[name]
      return typeof value === 'string' ? value : undefined
    } catch {
      return undefined
    }
  }
}

/** How long a node may hold this request (PROTOCOL §6). */
function budgetOf(url: string, prefer: string): number {
  const [, seconds] = /\bwait=(\d+)/.exec(prefer) ?? []
  if (url.startsWith('/v1/head?') && url.includes('after='))
    return Math.min(Number(seconds ?? 0) * 1_000, WATCH_MAXIMUM_MS)
  return seconds === undefined ? HOLD_MS : Math.min(Number(seconds) * 1_000, HOLD_MAXIMUM_MS)
}
