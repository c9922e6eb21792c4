/**
 * Whole answers for URLs that can never answer anything else: small files and manifests under a pin or by digest.
 *
 * A hot answer goes out before the framework sees the request: one look-up, the headers as one prepared list, the
 * bytes. Only the plainest GET gets it: whatever carries a condition, a range, a floor, a pin or a token goes the
 * long way, which is where the rules are.
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

const HEADERS_BYTES = 1024

export class HotAnswers {
  readonly #answers: LRUCache<string, HotAnswer>
  readonly #count: () => void

  /** `count` is called for each answer given from here. */
  constructor(maximumBytes: number, count: () => void) {
    this.#answers = new LRUCache({
      maxSize: Math.max(1, maximumBytes),
      sizeCalculation: ({ bytes }) => bytes.length + HEADERS_BYTES,
    })
    this.#count = count
  }

  /** Answers the request if that takes no thought; false when it goes the long way. */
  answer(request: IncomingMessage, response: ServerResponse): boolean {
    if (request.method !== 'GET') return false
    const hot = this.#answers.get(request.url ?? '')
    if (hot === undefined || !isPlain(request.headers)) return false
    response.writeHead(200, hot.headers as string[])
    response.end(hot.bytes)
    this.#count()
    return true
  }

  /** Keeps the answer to a URL; `headers` are those of a 200. */
  keep(url: string, headers: Readonly<Record<string, unknown>>, bytes: Uint8Array): void {
    if (bytes.length > LIMITS.answerCacheEntryBytes) return
    const list = Object.entries(headers).flatMap(([name, value]) => [name, String(value)])
    this.#answers.set(url, { headers: list, bytes })
  }
}

/** Whether nothing in the headers asks for more than the bytes. */
function isPlain(headers: IncomingHttpHeaders): boolean {
  return (
    headers.range === undefined &&
    headers['if-none-match'] === undefined &&
    headers['if-match'] === undefined &&
    headers['if-range'] === undefined &&
    headers.authorization === undefined &&
    headers.expect === undefined &&
    headers[HEADERS.minGeneration] === undefined &&
    headers[HEADERS.exactGeneration] === undefined &&
    headers[HEADERS.preview] === undefined
  )
}
