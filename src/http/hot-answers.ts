/**
 * Whole answers for URLs that can never answer anything else: small files and manifests under a pin or by digest.
 *
 * A hot answer goes out before the framework sees the request: one look-up, the headers as one prepared list, the
 * bytes. Only the plainest GET gets it: whatever carries a condition, a range, a floor, a pin or a token goes the
 * long way, which is where the rules are. So does whatever has a query: there is no end of those that mean the same.
 */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { LRUCache } from 'lru-cache'
import { LIMITS } from '../model/limits.ts'
import { HEADERS } from '../wire/headers.ts'

interface HotAnswer {
  /** Names and values in turn, as `writeHead` takes them. */
  readonly headers: readonly string[]
  readonly bytes: Uint8Array
}

/** What the cache itself needs for an entry, whatever is in it. */
const ENTRY_BYTES = 256

export class HotAnswers {
  readonly #answers: LRUCache<string, HotAnswer>
  #given = 0
  readonly #maximumBytes: number

  /** 0 bytes keep nothing. */
  constructor(maximumBytes: number) {
    this.#maximumBytes = maximumBytes
    this.#answers = new LRUCache({
      maxSize: Math.max(1, maximumBytes),
      sizeCalculation: sizeOf,
    })
  }

  /** How many answers were given from here. */
  given(): number {
    return this.#given
  }

  /** Answers the request if that takes no thought; false when it goes the long way. */
  answer(request: IncomingMessage, response: ServerResponse): boolean {
    if (request.method !== 'GET') return false
    const hot = this.#answers.get(request.url ?? '')
    if (hot === undefined || !isPlain(request.headers)) return false
    response.writeHead(200, hot.headers as string[])
    response.end(hot.bytes)
    this.#given += 1
    return true
  }

  /** Keeps the answer to a plain request; `headers` are those of a 200, names and values in turn. */
  keep(request: IncomingMessage, headers: readonly string[], bytes: Uint8Array): void {
    const { url, method } = request
    if (this.#maximumBytes === 0 || bytes.length > LIMITS.answerCacheEntryBytes) return
    if (url === undefined || url.includes('?') || method !== 'GET' || !isPlain(request.headers)) return
    // Bytes of their own: what was read shares its memory with what was read beside it, and would keep all of that.
    this.#answers.set(url, { headers, bytes: new Uint8Array(bytes) })
  }
}

/** All that the entry holds; a character of a text may take two bytes. */
function sizeOf({ headers, bytes }: HotAnswer, url: string): number {
  const characters = headers.reduce((sum, text) => sum + text.length, url.length)
  return ENTRY_BYTES + bytes.length + 2 * characters
}

/** Whether nothing in the headers asks for more than the bytes. */
export function isPlain(headers: IncomingHttpHeaders): boolean {
  return (
    headers.range === undefined &&
    headers['if-none-match'] === undefined &&
    headers['if-match'] === undefined &&
    headers['if-range'] === undefined &&
    headers.authorization === undefined &&
    headers.expect === undefined &&
    headers[HEADERS.minGeneration] === undefined &&
    headers[HEADERS.exactGeneration] === undefined &&
    headers[HEADERS.preview] === undefined &&
    headers[HEADERS.form] === undefined
  )
}
