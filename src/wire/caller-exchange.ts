/**
 * One request over the wire and the answer to it, whatever its status; redirects are followed here.
 *
 * The token goes to the depot's own origin only: once a redirect has left it, the rest of the way is without.
 */
import { failure } from '../model/errors.ts'
import { Answer, unreachable } from './caller-answer.ts'
import { redirectOf } from './caller-retry.ts'
import { type Fetch, fetchAnew, fetchKept } from './fetch.ts'
import { HEADERS } from './headers.ts'
import { SENT_ON } from './paths.ts'

export type Method = 'GET' | 'HEAD' | 'PUT' | 'POST' | 'PATCH' | 'DELETE'

export interface CallBody {
  readonly type: string
  readonly size: number
  /** Opened again for every attempt. */
  readonly open: () => Uint8Array | AsyncIterable<Uint8Array>
}

export interface Request {
  readonly method: Method
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: CallBody | undefined
  /** On a connection that was not used before, so that a balancer may choose another node. */
  readonly fresh: boolean
}

export interface Wire {
  readonly origin: string
  readonly token: string | undefined
  /** Undefined for our own. */
  readonly fetch: Fetch | undefined
  /** Milliseconds from the end of a request without body to the head of its answer. */
  readonly answerWithin: number
}

const REDIRECTS_MAXIMUM = 3
const DOT_SEGMENT = /\/(?:\.|%2e){1,2}(?=[/?#]|$)/i

/** The address of a path; names that would climb out of it are refused. Fails with `bad-request`. */
export function addressOf(base: string, path: string): URL {
  if (!path.startsWith('/') || DOT_SEGMENT.test(path))
    throw failure('bad-request', { reason: 'a name in a URL cannot be empty, "." or ".."' })
  return new URL(base + path)
}

/**
 * Fails with `depot-unreachable`, and with `answer-invalid` when redirects lead nowhere. A node that another one has
 * sent us to may want the token, which is for this depot's address alone: there it is asked for without being sent on.
 */
export async function exchange(wire: Wire, request: Request, signal?: AbortSignal): Promise<Answer> {
  const { answer, trusted } = await follow(wire, request, signal)
  if (trusted || answer.status !== 401 || wire.token === undefined || !isSentOn(answer.url)) return answer
  await answer.discard()
  const url = new URL(request.url)
  url.searchParams.set(SENT_ON, '1')
  return (await follow(wire, { ...request, url }, signal)).answer
}

/** The answer at the end of all redirects, and whether each of them stayed at the depot's address. */
async function follow(
  wire: Wire,
  request: Request,
  signal?: AbortSignal,
): Promise<{ readonly answer: Answer; readonly trusted: boolean }> {
  let { url } = request
  let trusted = true
  for (let hops = 0; ; hops += 1) {
    const answer = await send(wire, { ...request, url, headers: headersFor(wire, request, trusted) }, signal)
    const next = redirectOf(answer, url, request.method)
    if (next === undefined) return { answer, trusted }
    await answer.discard()
    if (next === null) throw answer.invalid('with a redirect to where a depot cannot be')
    // Nodes send a client to one another once (PROTOCOL §6).
    if (isSentOn(url)) throw answer.invalid('with a redirect, although another node had sent us there')
    if (hops === REDIRECTS_MAXIMUM) throw answer.invalid(`with more than ${REDIRECTS_MAXIMUM} redirects`)
    trusted &&= next.origin === wire.origin
    url = next
  }
}

function isSentOn(url: URL | string): boolean {
  return new URL(url).searchParams.has(SENT_ON)
}

async function send(wire: Wire, request: Request, signal?: AbortSignal): Promise<Answer> {
  const { url, body } = request
  const watched = body && new WatchedBody(body)
  const late = new AbortController()
  // Nobody can tell how long a body takes to send; without one, silence has a bound.
  const timer = setTimeout(() => late.abort(lateness(wire.answerWithin)), wire.answerWithin)
  if (body !== undefined) clearTimeout(timer)
  try {
    const init = {
      ...initOf(request, watched),
      signal: AbortSignal.any(signal ? [signal, late.signal] : [late.signal]),
    }
    return new Answer(url.href, await fetchOf(wire, request)(url, init), signal)
  } catch (cause) {
    signal?.throwIfAborted()
    throw watched?.fault ?? unreachable(url.href, cause)
  } finally {
    clearTimeout(timer)
  }
}

function initOf({ method, headers }: Request, body: WatchedBody | undefined): RequestInit {
  return {
    method,
    headers,
    redirect: 'manual',
    ...(body === undefined ? {} : { body: body.open() as NonNullable<RequestInit['body']>, duplex: 'half' }),
  }
}

/** Another `fetch` may not know what a pool is. */
function fetchOf(wire: Wire, request: Request): Fetch {
  if (wire.fetch !== undefined) return wire.fetch
  return request.fresh ? fetchAnew : fetchKept
}

function headersFor(wire: Wire, request: Request, trusted: boolean): Readonly<Record<string, string>> {
  const { [HEADERS.preview]: preview, ...headers } = request.headers
  return {
    ...headers,
    ...(trusted && preview !== undefined ? { [HEADERS.preview]: preview } : {}),
    ...(trusted && wire.token !== undefined ? { authorization: `Bearer ${wire.token}` } : {}),
    ...(request.body && { 'content-type': request.body.type, 'content-length': String(request.body.size) }),
    ...(request.fresh ? { connection: 'close' } : {}),
  }
}

/** Tells a source that could not be read from a connection that broke, which `fetch` does not. */
class WatchedBody {
  fault: Error | undefined
  readonly #body: CallBody

  constructor(body: CallBody) {
    this.#body = body
  }

  open(): Uint8Array | AsyncIterable<Uint8Array> {
    const opened = this.#body.open()
    return opened instanceof Uint8Array ? opened : this.#watch(opened)
  }

  async *#watch(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    try {
      yield* chunks
    } catch (error) {
      this.fault = error instanceof Error ? error : new Error(String(error))
      throw error
    }
  }
}

function lateness(milliseconds: number): Error {
  return new Error(`there was no answer within ${Math.ceil(milliseconds / 1000)} s`)
}
