/**
 * Writes down every request that a client makes, and what came of it, as the history that the checker reads: for raw
 * requests (`ask`), and for the SDK (`fetch`).
 */
import { createHash, type Hash } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream, type WriteStream } from 'node:fs'
import { Agent, type IncomingMessage, request } from 'node:http'
import type { Fetch } from '../../src/client/index.ts'
import { Answer, type Ask } from '../support/exchange.ts'
import { fetchRecorded } from './fetch.ts'
import { Hearing } from './hearing.ts'
import type { Asker, Line, RequestLine } from './line.ts'

export interface RecordedAsk extends Ask {
  /** How many redirects led here. */
  readonly hop?: number
  /** Of the bytes that came before, when a download goes on; it takes those of this answer. */
  readonly pieces?: Hash
  /** Wants no more after so many bytes of the body; `pieces` gets exactly those. */
  readonly until?: number
  readonly signal?: AbortSignal
  readonly deadlineMs?: number
}

/** What came, also when that is not all of it; no `answer` when nothing came. */
export interface Heard {
  readonly answer: Answer | undefined
  readonly line: RequestLine
}

const DEADLINE_MS = 60_000
const GIVEN_UP = 'given up'

/** Milliseconds of a clock that is the same in every process of this machine. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

export class Recorder implements AsyncDisposable {
  readonly #file: WriteStream
  #failure: Error | undefined
  #draining: Promise<void> | undefined

  private constructor(file: WriteStream) {
    this.#file = file
    file.on('error', (error) => {
      this.#failure = error
    })
  }

  /** Adds to the file, where there is one. */
  static async open(path: string): Promise<Recorder> {
    const file = createWriteStream(path, { flags: 'a' })
    await once(file, 'open')
    return new Recorder(file)
  }

  add(line: Line): void {
    if (this.#failure !== undefined) throw this.#failure
    this.#file.write(`${JSON.stringify(line)}\n`)
  }

  /** A request as it stands, without redirects. Never fails for what the other side does: that is written down. */
  async ask(asker: Asker, origin: string, path: string, ask: RecordedAsk = {}): Promise<Heard> {
    await this.#drained()
    const method = ask.method ?? 'GET'
    const hearing = new Hearing(asker, { method, url: path, headers: ask.headers ?? {} }, monotonicMs)
    if (ask.hop !== undefined) hearing.note({ hop: ask.hop })
    let answer: IncomingMessage | undefined
    try {
      answer = await sent(origin, path, ask)
      hearing.begin(answer.statusCode ?? 0, answer.rawHeaders)
      const isPiece = answer.statusCode === 200 || answer.statusCode === 206
      let left = ask.until ?? Number.POSITIVE_INFINITY
      for await (const whole of answer as AsyncIterable<Buffer>) {
        const piece = whole.subarray(0, left)
        left -= piece.length
        hearing.take(piece)
        if (isPiece) ask.pieces?.update(piece)
        // Leaving the loop breaks the connection.
        if (left === 0) throw new Error(GIVEN_UP)
      }
      if (ask.pieces !== undefined && answer.statusCode === 206)
        hearing.note({ whole: ask.pieces.copy().digest('hex') })
      hearing.end()
    } catch (error) {
      hearing.end(ask.signal?.aborted === true ? GIVEN_UP : reasonOf(error))
    }
    const line = hearing.line()
    this.add(line)
    const heard = answer && new Answer(answer.statusCode ?? 0, answer.rawHeaders, hearing.body())
    return { answer: heard, line }
  }

  /** For `connect({ fetch })`. The asker is looked at for every request, for what it knows changes. */
  fetch(asker: (url: URL) => Asker): Fetch {
    return fetchRecorded(asker, (line) => this.add(line), monotonicMs)
  }

  /** Many may wait for it at one time. */
  async #drained(): Promise<void> {
    if (!this.#file.writableNeedDrain) return
    this.#draining ??= once(this.#file, 'drain').then(() => {
      this.#draining = undefined
    })
    await this.#draining
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#file.end()
    if (!this.#file.closed) await once(this.#file, 'close')
    if (this.#failure !== undefined) throw this.#failure
  }
}

/** A hash for `pieces`. */
export function piecesHash(): Hash {
  return createHash('sha256')
}

async function sent(origin: string, path: string, ask: RecordedAsk): Promise<IncomingMessage> {
  const { hostname, port } = new URL(origin)
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const out = request({
    hostname: hostname.replace(/^\[(.*)\]$/, '$1'),
    port,
    path,
    method: ask.method ?? 'GET',
    agent: ask.agent ?? new Agent({ keepAlive: false }),
    headers: ask.headers as Record<string, string | string[]>,
    timeout: ask.deadlineMs ?? DEADLINE_MS,
    ...(ask.signal === undefined ? {} : { signal: ask.signal }),
  })
  out.on('response', resolve)
  out.on('timeout', () => out.destroy(new Error('no answer in time')))
  out.on('error', reject)
  out.end(ask.body)
  return await promise
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  return code === undefined ? message : `${code}: ${message}`
}
