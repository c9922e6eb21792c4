/**
 * Bytes that are the same whoever sends them, read through broken connections; and such whose digest and size are known
 * beforehand, verified while they come.
 *
 * A connection that breaks is followed by a request for the rest (Range, with the strong ETag of the digest as
 * If-Range, PROTOCOL §7); a node that answers with the whole again is read from the start up to where we were. The
 * last chunk of a download is held back until the digest is right, so nobody is ever handed the whole of something
 * wrong.
 */
import { type Digest, hasher, hexOf } from '../model/digest.ts'
import { failure, isFailure } from '../model/errors.ts'
import type { Caller } from './caller.ts'
import type { Answer } from './caller-answer.ts'

export interface Wanted {
  readonly path: string
  readonly digest: Digest
  readonly size: number
}

/** Something that never changes. */
export interface Lasting {
  readonly path: string
  /** How many bytes it has; where nobody knows, the end of an answer is the end. */
  readonly size?: number
  /** Its strong ETag, under which a node may send the rest alone. */
  readonly etag?: string
  /** The first answer, where somebody has asked already. */
  readonly first?: Answer
  /** Sees every answer. Fails when it is one of something else. */
  readonly check?: (answer: Answer) => void
}

type Asking = Pick<Caller, 'call' | 'pause'>

const FRUITLESS_MAXIMUM = 5
const CONTENT_RANGE = /^bytes (\d{1,15})-\d{1,15}\/(\d{1,15})$/
const FORM_IN_ETAG = /;[a-z]+"$/

/** Fails with `digest-mismatch` for other bytes, `answer-invalid` for more or fewer, or as `Caller.call` does. */
export async function* download(
  caller: Asking,
  { path, digest, size }: Wanted,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const hash = hasher()
  let held: Uint8Array | undefined
  const etag = `"sha256-${hexOf(digest)}"`
  const chunks = size === 0 ? [] : lasting(caller, { path, size, etag }, signal)
  for await (const chunk of chunks) {
    hash.update(chunk)
    if (held !== undefined) yield held
    held = chunk
  }
  const found = hash.digest()
  if (found !== digest) throw failure('digest-mismatch', { expected: digest, found })
  if (held !== undefined) yield held
}

/**
 * All the bytes, each once, over as many connections as it takes. Fails with `answer-invalid` when two answers are not
 * of the same thing, or as `Caller.call` does.
 */
export async function* lasting(
  caller: Asking,
  wanted: Lasting,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { size } = wanted
  const parts = new Parts(caller, wanted)
  let offset = 0
  for (let fruitless = 0; ; fruitless += 1) {
    const part = await parts.from(offset, signal)
    for await (const chunk of part.chunks()) {
      offset += chunk.length
      fruitless = 0
      yield chunk
    }
    if (part.isWhole || offset === size) return
    if (fruitless === FRUITLESS_MAXIMUM) throw part.ending
    await caller.pause(fruitless, signal)
  }
}

/** The answers to one question, held against the first of them. */
class Parts {
  readonly #caller: Asking
  readonly #wanted: Lasting
  #begun: Answer | undefined

  constructor(caller: Asking, wanted: Lasting) {
    this.#caller = caller
    this.#wanted = wanted
  }

  async from(offset: number, signal?: AbortSignal): Promise<Part> {
    const { first, size, check } = this.#wanted
    const answer = this.#begun === undefined && first !== undefined ? first : await this.#ask(offset, signal)
    try {
      check?.(answer)
      this.#demandSame(answer)
    } catch (error) {
      // Nobody will read the rest.
      await answer.discard()
      throw error
    }
    return new Part(answer, size, offset)
  }

  async #ask(offset: number, signal?: AbortSignal): Promise<Answer> {
    const { path, etag } = this.#wanted
    const resuming = offset > 0
    // Ranges count the bytes as they are. What has no ranges may as well come compressed.
    const headers = {
      ...(etag === undefined ? {} : { 'accept-encoding': 'identity' }),
      ...(resuming && etag !== undefined ? { range: `bytes=${offset}-`, 'if-range': etag } : {}),
    }
    return await this.#caller.call({ path, fresh: resuming, headers }, signal)
  }

  /** A node that sends the same from the start says so in its ETag, compressed or not. */
  #demandSame(answer: Answer): void {
    const now = tagOf(answer)
    const before = this.#begun === undefined ? now : tagOf(this.#begun)
    this.#begun ??= answer
    if (before !== undefined && now !== undefined && before !== now)
      throw answer.invalid(`with ${now.slice(0, 80)}, although ${before.slice(0, 80)} was begun`)
  }
}

function tagOf({ headers }: Answer): string | undefined {
  return headers.get('etag')?.replace(FORM_IN_ETAG, '"')
}

/** What one answer has from `offset` on, and why there was no more of it. */
class Part {
  /** Whether the last byte of all has come, as far as anybody knows. */
  isWhole = false
  ending: Error
  readonly #answer: Answer
  readonly #size: number | undefined
  readonly #offset: number

  constructor(answer: Answer, size: number | undefined, offset: number) {
    this.ending = answer.invalid(`fewer than ${size} bytes`)
    this.#answer = answer
    this.#size = size
    this.#offset = offset
  }

  async *chunks(): AsyncGenerator<Uint8Array> {
    try {
      yield* this.#rest()
    } catch (error) {
      if (!isFailure(error, 'depot-unreachable')) throw error
      this.ending = error
    }
  }

  async *#rest(): AsyncGenerator<Uint8Array> {
    const most = this.#size ?? Number.POSITIVE_INFINITY
    let at = this.#answer.status === 206 ? startOf(this.#answer, this.#offset, this.#size) : 0
    for await (const chunk of this.#answer.chunks()) {
      const skipped = Math.min(chunk.length, Math.max(0, this.#offset - at))
      at += chunk.length
      if (at > most) throw this.#answer.invalid(`more than ${this.#size} bytes`)
      if (skipped < chunk.length) yield chunk.subarray(skipped)
    }
    this.isWhole = at === (this.#size ?? Math.max(at, this.#offset))
    if (!this.isWhole && this.#size === undefined)
      throw this.#answer.invalid(`${at} bytes, although ${this.#offset} came before`)
  }
}

function startOf(answer: Answer, offset: number, size: number | undefined): number {
  const [, start, total] = CONTENT_RANGE.exec(answer.headers.get('content-range') ?? '') ?? []
  if (Number(start) === offset && Number(total) === size) return offset
  throw answer.invalid('with another range than was asked for')
}
