/**
 * Answers that many wait for, each asked of another node once (PROTOCOL §6, edge case 16).
 *
 * A small answer is shared in memory. A large blob is pulled into the pool, where everybody reads it at a pace of their
 * own while it comes. What is large and no blob goes to the one who asked first; the others ask for themselves. So a
 * slow reader keeps nobody waiting, and no more than `LIMITS.sharedAnswerBytes` of an answer are ever in memory.
 */
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { LIMITS } from '../../model/limits.ts'
import { Counter } from '../progress.ts'
import { answerOf, openCall } from './call.ts'
import { passedOn, toPeer } from './headers.ts'
import type { Pulls } from './pulls.ts'
import { blobIn, expectedOf, isGood, type SentBlob, type Target, type Wish } from './wish.ts'

export interface FlightParts {
  readonly pulls: Pick<Pulls, 'bring'>
  /** The id of this node. */
  readonly id: string
  readonly idleMs: number
  /** A peer answers within so long, or another node is asked. */
  readonly peerMs: number
}

export type Body =
  | { readonly kind: 'small'; readonly bytes: Promise<Buffer> }
  | { readonly kind: 'blob'; readonly blob: SentBlob }
  /** For whoever takes it first. */
  | { readonly kind: 'single'; take(): IncomingMessage | undefined }

export interface Shared {
  readonly status: number
  /** Names and values in turn. */
  readonly headers: string[]
  readonly body: Body
}

export interface Asked {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly wish: Wish
  readonly targets: readonly Target[]
}

export class Flight {
  /** The answer as far as its body; undefined when nobody could give one. */
  readonly head: Promise<Shared | undefined>
  /** Resolves when nothing comes from the other node any more. Never fails. */
  readonly ended: Promise<void>
  readonly #parts: FlightParts
  readonly #asked: Asked
  readonly #stop = new AbortController()
  readonly #end = Promise.withResolvers<void>()
  #aboard = 0

  constructor(parts: FlightParts, asked: Asked) {
    this.#parts = parts
    this.#asked = asked
    this.ended = this.#end.promise
    this.head = this.#ask()
  }

  board(): void {
    this.#aboard += 1
  }

  /** The last one to leave ends it. */
  leave(): void {
    this.#aboard -= 1
    if (this.#aboard === 0) this.#stop.abort(new Error('nobody waits for it any more'))
  }

  async #ask(): Promise<Shared | undefined> {
    for (const target of this.#asked.targets) {
      const answer = await this.#askOf(target)
      if (answer === undefined) continue
      if (isGood(answer, this.#asked.wish, target)) return this.#shared(answer)
      answer.destroy()
    }
    this.#end.resolve()
    return undefined
  }

  /** Undefined when it does not answer: then somebody else may. */
  async #askOf({ url, isPeer }: Target): Promise<IncomingMessage | undefined> {
    const { id, idleMs, peerMs } = this.#parts
    const { path, headers } = this.#asked
    const stop = this.#stop.signal
    if (stop.aborted) return undefined
    const own = isPeer ? toPeer(headers) : headers
    try {
      const outgoing = openCall({ to: url, method: 'GET', path, headers: own, id, idleMs })
      outgoing.end()
      return await answerOf(outgoing, isPeer ? AbortSignal.any([stop, AbortSignal.timeout(peerMs)]) : stop)
    } catch {
      // However it failed, the next one is asked, and whoever waits is told that nobody could.
      return undefined
    }
  }

  #shared(answer: IncomingMessage): Shared {
    return { status: answer.statusCode ?? 502, headers: passedOn(answer), body: this.#bodyOf(answer) }
  }

  #bodyOf(answer: IncomingMessage): Body {
    const { wish } = this.#asked
    const stop = this.#stop.signal
    const size = Number(answer.headers['content-length'] ?? Number.NaN)
    if (size <= LIMITS.sharedAnswerBytes) {
      const bytes = wholeOf(answer, stop, expectedOf(answer, { method: 'GET' }, wish))
      this.#endsWith(bytes, answer)
      return { kind: 'small', bytes }
    }
    const blob = blobIn(answer, wish)
    if (blob !== undefined) {
      this.#endsWith(this.#parts.pulls.bring(blob, new Counter(), stop, answer), answer)
      return { kind: 'blob', blob }
    }
    return this.#single(answer, stop)
  }

  #single(answer: IncomingMessage, stop: AbortSignal): Body {
    let left: IncomingMessage | undefined = answer
    const onStop = (): void => {
      answer.destroy()
    }
    stop.addEventListener('abort', onStop)
    // It may break off before anybody has taken it.
    answer.on('error', () => undefined)
    answer.once('close', () => {
      stop.removeEventListener('abort', onStop)
      this.#end.resolve()
    })
    return {
      kind: 'single',
      take: () => {
        const taken = left
        left = undefined
        return taken
      },
    }
  }

  /** How it ended is told by what was awaited to those who are aboard. */
  #endsWith(work: Promise<unknown>, answer: IncomingMessage): void {
    void work
      .catch(() => undefined)
      .then(() => {
        answer.destroy()
        this.#end.resolve()
      })
  }
}

/** All bytes. Fails when they are not what they should be, when they end early, and when nobody wants them any more. */
async function wholeOf(
  answer: IncomingMessage,
  stop: AbortSignal,
  expected: string | undefined,
): Promise<Buffer> {
  const onStop = (): void => {
    answer.destroy(new Error('nobody waits for it any more'))
  }
  stop.addEventListener('abort', onStop)
  try {
    const pieces: Buffer[] = []
    for await (const piece of answer as AsyncIterable<Buffer>) pieces.push(piece)
    const bytes = Buffer.concat(pieces)
    if (expected !== undefined && createHash('sha256').update(bytes).digest('hex') !== expected)
      throw new Error('the bytes are not what their digest says')
    return bytes
  } finally {
    stop.removeEventListener('abort', onStop)
  }
}
