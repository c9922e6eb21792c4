/**
 * Bytes whose digest and size are known beforehand: read through broken connections, verified while they come.
 *
 * A connection that breaks is followed by a request for the rest (Range, with the strong ETag of the digest as
 * If-Range, PROTOCOL §7); a node that answers with the whole again is read from the start up to where we were. The
 * last chunk is held back until the digest is right, so nobody is ever handed the whole of something wrong.
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

const FRUITLESS_MAXIMUM = 5
const CONTENT_RANGE = /^bytes (\d{1,15})-\d{1,15}\/(\d{1,15})$/

/** Fails with `digest-mismatch` for other bytes, `answer-invalid` for more or fewer, or as `Caller.call` does. */
export async function* download(
  caller: Pick<Caller, 'call' | 'pause'>,
  wanted: Wanted,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const hash = hasher()
  let held: Uint8Array | undefined
  for await (const chunk of untilWhole(caller, wanted, signal)) {
    hash.update(chunk)
    if (held !== undefined) yield held
    held = chunk
  }
  const found = hash.digest()
  if (found !== wanted.digest) throw failure('digest-mismatch', { expected: wanted.digest, found })
  if (held !== undefined) yield held
}

/** As many bytes as there must be, over as many connections as it takes. */
async function* untilWhole(
  caller: Pick<Caller, 'call' | 'pause'>,
  wanted: Wanted,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let offset = 0
  for (let fruitless = 0; offset < wanted.size; fruitless += 1) {
    const answer = await ask(caller, wanted, offset, signal)
    const part = new Part(answer, wanted, offset)
    for await (const chunk of part.chunks()) {
      offset += chunk.length
      fruitless = 0
      yield chunk
    }
    if (offset === wanted.size) return
    if (fruitless === FRUITLESS_MAXIMUM) throw part.ending
    await caller.pause(fruitless, signal)
  }
}

async function ask(
  caller: Pick<Caller, 'call'>,
  wanted: Wanted,
  offset: number,
  signal?: AbortSignal,
): Promise<Answer> {
  const resuming = offset > 0
  return await caller.call(
    {
      path: wanted.path,
      fresh: resuming,
      headers: {
        'accept-encoding': 'identity',
        ...(resuming ? { range: `bytes=${offset}-`, 'if-range': `"sha256-${hexOf(wanted.digest)}"` } : {}),
      },
    },
    signal,
  )
}

/** What one answer has from `offset` on, and why there was no more of it. */
class Part {
  ending: Error
  readonly #answer: Answer
  readonly #size: number
  readonly #offset: number

  constructor(answer: Answer, { size }: Wanted, offset: number) {
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
    let at = this.#answer.status === 206 ? startOf(this.#answer, this.#offset, this.#size) : 0
    for await (const chunk of this.#answer.chunks()) {
      const skipped = Math.min(chunk.length, Math.max(0, this.#offset - at))
      at += chunk.length
      if (at > this.#size) throw this.#answer.invalid(`more than ${this.#size} bytes`)
      if (skipped < chunk.length) yield chunk.subarray(skipped)
    }
  }
}

function startOf(answer: Answer, offset: number, size: number): number {
  const [, start, total] = CONTENT_RANGE.exec(answer.headers.get('content-range') ?? '') ?? []
  if (Number(start) === offset && Number(total) === size) return offset
  throw answer.invalid('with another range than was asked for')
}
