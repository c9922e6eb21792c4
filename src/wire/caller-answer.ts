/**
 * An answer as the caller hands it on: its status and headers are there, its body is still to be read.
 *
 * The body is read in one of three ways, each at most once: as chunks, whole up to a bound, or not at all. Until one
 * of them has ended the connection is taken.
 */

import type { TUnsafe } from 'typebox'
import Value from 'typebox/value'
import { failure } from '../model/errors.ts'
import { type Gid, isGid } from '../model/generation.ts'
import { LIMITS } from '../model/limits.ts'
import { ANY_GENERATION, HEADERS, NO_GENERATION } from './headers.ts'

/** What `Depot-Generation` can say (PROTOCOL §2). */
export type AnsweredGeneration = Gid | typeof ANY_GENERATION | typeof NO_GENERATION

export class Answer {
  readonly url: string
  readonly status: number
  readonly headers: Headers
  /** Undefined when the header is absent or malformed: then something else than a depot answered. */
  readonly generation: AnsweredGeneration | undefined
  readonly #body: Response['body']
  readonly #signal: AbortSignal | undefined

  constructor(url: string, response: Response, signal?: AbortSignal) {
    this.url = url
    this.status = response.status
    this.headers = response.headers
    this.generation = generationOf(response.headers)
    this.#body = response.body
    this.#signal = signal
  }

  /** Fails with `depot-unreachable` when the connection breaks before the end. */
  async *chunks(): AsyncGenerator<Uint8Array> {
    if (this.#body === null) return
    try {
      yield* this.#body
    } catch (cause) {
      this.#signal?.throwIfAborted()
      throw unreachable(this.url, cause)
    }
  }

  /** The whole body. Fails with `answer-invalid` when it has more than `maximum` bytes. */
  async bytes(maximum: number): Promise<Buffer> {
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const chunk of this.chunks()) {
      size += chunk.length
      if (size > maximum) throw this.invalid(`a body of more than ${maximum} bytes`)
      chunks.push(chunk)
    }
    return Buffer.concat(chunks, size)
  }

  /** The whole body as JSON of this schema. Fails with `answer-invalid`. */
  async json<Body>(schema: TUnsafe<Body>, maximum: number = LIMITS.requestBodyBytes): Promise<Body> {
    const value = jsonOf(await this.bytes(maximum))
    if (value === undefined) throw this.invalid(`${this.status} with ${this.#type()} that is not JSON`)
    if (!Value.Check(schema, value)) throw this.invalid(`${this.status} with JSON of another form`)
    return value as Body
  }

  /** Leaves the body unread. */
  async discard(): Promise<void> {
    await this.#body?.cancel().catch(() => undefined)
  }

  /** What to throw when this answer makes no sense; `reason` continues "the URL answered". */
  invalid(reason: string): Error {
    return failure('answer-invalid', { url: this.url, reason })
  }

  #type(): string {
    return this.headers.get('content-type')?.slice(0, 60) ?? 'a body'
  }
}

/** A connection that could not be made, or that broke, in one sentence. */
export function unreachable(url: string, cause: unknown): Error {
  return failure('depot-unreachable', { url, reason: reasonOf(cause) }, { cause })
}

/** `fetch` says "fetch failed" and keeps what happened in `cause`. */
export function reasonOf(error: unknown): string {
  const { cause, code, message } = error as { cause?: unknown; code?: unknown; message?: unknown }
  if (cause !== undefined && cause !== null) return reasonOf(cause)
  const text = typeof message === 'string' && message !== '' ? message : 'the connection failed'
  return typeof code === 'string' && !text.includes(code) ? `${text} (${code})` : text
}

function generationOf(headers: Headers): AnsweredGeneration | undefined {
  const [text] = (headers.get(HEADERS.generation) ?? '').split(';', 1)
  const generation = text?.trim()
  if (generation === ANY_GENERATION || generation === NO_GENERATION) return generation
  return isGid(generation) ? generation : undefined
}

function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
}
