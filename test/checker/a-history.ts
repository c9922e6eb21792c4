/**
 * Small histories by hand: a test says only what it is about.
 */
import type { Violation } from './finding.ts'
import { type History, historyOf } from './history.ts'
import { type ActiveLine, kindOf, type Line, type RequestLine, splitPin } from './line.ts'

const LINEAGE = 'abcdefghijkl'

/** The id of generation `number`; another letter is another digest. */
export function gid(number: number, letter = 'a', lineage: string = LINEAGE): string {
  return `g${number}.${lineage}.${letter.repeat(16)}`
}

/** Generation `number` became active at `number * 100`. */
export function active(...numbers: readonly number[]): readonly ActiveLine[] {
  return numbers.map((number) => ({ what: 'active', gid: gid(number), at: number * 100 }))
}

/** A request of 10 ms that was answered as it should be, but for what is said. */
export function asked(wish: Partial<RequestLine> & { readonly at?: number }): RequestLine {
  const { at = 1_000, ...said } = wish
  const { method = 'GET', url = '/v1/head', status = 200 } = said
  const kind = kindOf(method, url)
  const generation = kind === 'K4' && status < 300 ? 'any' : (splitPin(url).pin ?? gid(1))
  return {
    what: 'request',
    client: 'c',
    start: at,
    end: at + 10,
    kind,
    method,
    url,
    status,
    generations: [generation],
    cacheControl: status >= 400 ? 'no-store' : 'no-cache',
    bytes: 0,
    ...said,
  }
}

/** A request without an answer. */
export function failed(wish: Partial<RequestLine> & { readonly at?: number }): RequestLine {
  const { status: _status, generations: _generations, cacheControl: _control, ...line } = asked(wish)
  return { ...line, error: 'ECONNRESET' }
}

/** What a check finds: the requests it shows, by their place among the requests, and how many there are. */
export function rowsOf(found: readonly Violation[]): readonly (readonly number[])[] {
  return found.map(({ rows }) => rows)
}

export function history(...lines: readonly (Line | readonly Line[])[]): History {
  return historyOf(lines.flat())
}

/** SHA-256 in hex as `Repr-Digest` writes it. */
export function reprDigest(hex: string): string {
  return `sha-256=:${Buffer.from(hex, 'hex').toString('base64')}:`
}
