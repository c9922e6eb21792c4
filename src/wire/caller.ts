/**
 * The one HTTP caller, for the SDK and for nodes that ask their upstream (PROTOCOL §6, §13).
 *
 *   answer       2xx, or a status that the call expects: handed on, its body still unread
 *   redirect     followed a few times; another origin never sees the token
 *   refusal      a problem document becomes the `DepotError` it was made of
 *   trouble      sent again on a new connection, if doing it twice does no harm, until patience ends
 *
 * The token stands in one header and nowhere else: not in a failure, not in a URL.
 */
import type { TUnsafe } from 'typebox'
import { failure, isFailure } from '../model/errors.ts'
import type { Clock, Random } from '../model/world.ts'
import type { Answer } from './caller-answer.ts'
import {
  addressOf,
  type CallBody,
  exchange,
  type Method,
  type Request,
  type Wire,
} from './caller-exchange.ts'
import { readProblem } from './caller-problem.ts'
import {
  backoff,
  type Repeat,
  retryAfterIn,
  type Trouble,
  troubleOfAnswer,
  troubleOfConnection,
  waitBeforeNext,
} from './caller-retry.ts'
import type { Fetch } from './fetch.ts'
import { MEDIA } from './headers.ts'

/** A clock that can also wait. `sleep` rejects with the signal's reason when it is aborted. */
export interface WaitingClock extends Clock {
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>
}

export interface CallerOptions {
  /** Where the depot is; a path before `/v1` is kept. */
  readonly url: string
  readonly token?: string
  readonly clock: WaitingClock
  readonly random: Random
  /** By default our own: `fetch.ts`. */
  readonly fetch?: Fetch
  readonly bounds?: Partial<CallerBounds>
}

/** All in milliseconds. */
export interface CallerBounds {
  /** For all attempts of one call together. */
  readonly patience: number
  /** The same while nothing has answered yet: a wrong address shall not take a minute to be told. */
  readonly firstPatience: number
  /** From the end of a request without body to the head of its answer. */
  readonly answerWithin: number
}

export interface Call {
  /** By default GET. */
  readonly method?: Method
  /** Path and query, encoded. */
  readonly path: string
  /** With lower-case names. */
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: CallBody
  /** By default `unsent` for POST and PATCH, `always` for the others. */
  readonly repeat?: Repeat
  /** Statuses that are answers although they are not 2xx. */
  readonly expect?: readonly number[]
  /** On a connection that was not used before. */
  readonly fresh?: boolean
}

type Attempted =
  | { readonly kind: 'answered'; readonly answer: Answer }
  | { readonly kind: Trouble; readonly error: Error; readonly retryAfter?: number | undefined }

const BOUNDS: CallerBounds = { patience: 60_000, firstPatience: 5_000, answerWithin: 60_000 }
/** Answers in a row whose connection broke in the middle. */
const BROKEN_MAXIMUM = 5
const REPEAT: Readonly<Record<Method, Repeat>> = {
  GET: 'always',
  HEAD: 'always',
  PUT: 'always',
  DELETE: 'always',
  POST: 'unsent',
  PATCH: 'unsent',
}

export function jsonBody(value: unknown): CallBody {
  return bytesBody(MEDIA.json, Buffer.from(JSON.stringify(value)))
}

export function bytesBody(type: string, bytes: Uint8Array): CallBody {
  return { type, size: bytes.length, open: () => bytes }
}

export class Caller {
  /** The depot's address, without a slash at its end. */
  readonly url: string
  readonly #wire: Wire
  readonly #bounds: CallerBounds
  readonly #clock: WaitingClock
  readonly #random: Random
  #answered = false

  /** Fails with `bad-request` for an address or a token that cannot be one. */
  constructor({ url, token, clock, random, fetch, bounds }: CallerOptions) {
    const address = parseAddress(url)
    if (token !== undefined && !/^[\x21-\x7e]+$/.test(token))
      throw failure('bad-request', { reason: 'the token has characters that no token has' })
    this.url = address.href.replace(/\/+$/, '')
    this.#bounds = { ...BOUNDS, ...bounds }
    this.#wire = { origin: address.origin, token, fetch, answerWithin: this.#bounds.answerWithin }
    this.#clock = clock
    this.#random = random
  }

  /** Fails with what the depot refused, or with `depot-unreachable` or `answer-invalid`. */
  async call(call: Call, signal?: AbortSignal): Promise<Answer> {
    const begun = this.#clock.monotonic()
    for (let before = 0; ; before += 1) {
      const attempted = await this.#attempt(call, before > 0, signal)
      if (attempted.kind === 'answered') return attempted.answer
      const wait = waitBeforeNext(
        {
          trouble: attempted.kind,
          repeat: repeatOf(call),
          before,
          elapsed: this.#clock.monotonic() - begun,
          patience: this.#answered ? this.#bounds.patience : this.#bounds.firstPatience,
          retryAfter: attempted.retryAfter,
        },
        this.#random,
      )
      if (wait === undefined) throw attempted.error
      await this.#clock.sleep(wait, signal)
    }
  }

  /**
   * Asks, and reads the answer whole; asks again when the connection breaks in the middle of it. Only for what is the
   * same when done twice. `ask` is told whether to take a new connection.
   */
  async whole<Result>(
    ask: (fresh: boolean) => Promise<Answer>,
    read: (answer: Answer) => Promise<Result>,
    signal?: AbortSignal,
  ): Promise<Result> {
    for (let before = 0; ; before += 1) {
      const answer = await ask(before > 0)
      try {
        return await read(answer)
      } catch (error) {
        if (!isFailure(error, 'depot-unreachable') || before === BROKEN_MAXIMUM) throw error
      }
      await this.pause(before, signal)
    }
  }

  /** Calls, and reads the answer whole; again when that breaks off, if doing it twice does no harm. */
  async read<Result>(
    call: Call,
    read: (answer: Answer) => Promise<Result>,
    signal?: AbortSignal,
  ): Promise<Result> {
    if (repeatOf(call) !== 'always') return await read(await this.call(call, signal))
    const ask = async (fresh: boolean): Promise<Answer> =>
      await this.call(fresh ? { ...call, fresh } : call, signal)
    return await this.whole(ask, read, signal)
  }

  /** The same for an answer that is one JSON value. */
  async json<Body>(schema: TUnsafe<Body>, call: Call, signal?: AbortSignal): Promise<Body> {
    return await this.read(call, async (answer) => await answer.json(schema), signal)
  }

  /** The same for an answer whose body tells nothing. */
  async done(call: Call, signal?: AbortSignal): Promise<Answer> {
    const answer = await this.call(call, signal)
    await answer.discard()
    return answer
  }

  /** Waits before something is tried again, longer the more often it failed `before`. */
  async pause(before: number, signal?: AbortSignal): Promise<void> {
    await this.#clock.sleep(backoff(before, this.#random), signal)
  }

  async #attempt(call: Call, again: boolean, signal?: AbortSignal): Promise<Attempted> {
    const request = requestOf(call, addressOf(this.url, call.path), again)
    signal?.throwIfAborted()
    try {
      const answer = await exchange(this.#wire, request, signal)
      this.#answered = true
      if (isExpected(answer.status, call.expect)) return { kind: 'answered', answer }
      const error = await readProblem(answer, this.#wire.token)
      const retryAfter = retryAfterIn(answer.headers, this.#clock.now())
      return { kind: troubleOfAnswer(answer.status, error), error, retryAfter }
    } catch (error) {
      if (!isFailure(error, 'depot-unreachable')) throw error
      return { kind: troubleOfConnection(error), error }
    }
  }
}

function requestOf({ method, headers, body, fresh }: Call, url: URL, again: boolean): Request {
  return { method: method ?? 'GET', url, headers: headers ?? {}, body, fresh: fresh === true || again }
}

function repeatOf({ repeat, method }: Call): Repeat {
  return repeat ?? REPEAT[method ?? 'GET']
}

function isExpected(status: number, expected: readonly number[] = []): boolean {
  return (status >= 200 && status < 300) || expected.includes(status)
}

function parseAddress(text: string): URL {
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw failure('bad-request', { reason: 'the address of a depot begins with http:// or https://' })
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    throw failure('bad-request', {
      reason: 'the address of a depot has no user, password, query or fragment',
    })
  return url
}
