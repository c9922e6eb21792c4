/**
 * Answers to what never becomes a request: bytes that are not HTTP, headers that are too large, a client that is too
 * slow. They bypass the framework, and carry `Depot-Generation` and a problem all the same (PROTOCOL §11, I1). Each is
 * the last answer on its connection, and waits for those before it.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type DepotError, failure } from '../model/errors.ts'
import { LIMITS } from '../model/limits.ts'
import { HEADERS, MEDIA } from '../wire/headers.ts'
import { problemOf } from './problem.ts'

const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
}

/** What node:http knows of a connection without a public word for it; its own handlers ask the same. */
interface Known {
  /** The answer whose turn it is. Those behind it wait until it has ended. */
  readonly _httpMessage?: ServerResponse | null
  /** With the request that was read last, or is being read. */
  readonly parser?: { readonly incoming?: IncomingMessage | null } | null
}

/** What every answer says of where it comes from. */
export interface Stamp {
  readonly generation: string
  readonly node: string
}

/**
 * Answers everything that node:http would answer by itself, or not at all. For `patienceMs` such an answer waits for
 * those before it.
 */
export function answerUnread(
  server: Server,
  stamp: () => Stamp,
  patienceMs: number = LIMITS.requestTimeoutMs,
): void {
  const refused = new WeakSet<Socket>()
  const refuse = (error: Error & { readonly code?: string }, duplex: Duplex): void => {
    const socket = duplex as Socket
    // The parser fails again at whatever comes after the first nonsense.
    if (refused.has(socket) && socket.writable) return
    refused.add(socket)
    answerBare(failureOfParser(error), socket, stamp(), patienceMs)
  }
  server.on('clientError', refuse)
  // There is no proxy here. Without a listener the connection would be closed without a word.
  server.on('connect', (_request, socket) => {
    // node:http has let go of this connection, and nobody else would hear that it was reset.
    socket.on('error', () => undefined)
    answerBare(failure('bad-request', { reason: 'this is no proxy' }), socket as Socket, stamp(), patienceMs)
  })
  // An expectation that nobody knows may be passed over (RFC 9110 §10.1.1).
  server.on('checkExpectation', (request, response) => server.emit('request', request, response))
}

/**
 * Answers a connection whose request could not be read, and closes it. Answers to earlier requests that are still under
 * way go first, for a client takes what comes for the answer to its oldest request (RFC 9112 §9.3.2).
 */
export function answerBare(
  error: DepotError,
  socket: Socket,
  stamp: Stamp,
  patienceMs: number = LIMITS.requestTimeoutMs,
): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  // A request that is being read at this moment is the one that is refused: there is no other answer to it.
  const reading = (socket as Known).parser?.incoming
  const own = reading?.complete === false ? reading : undefined
  if (answerBefore(own, socket) === undefined) write(error, socket, stamp)
  else
    afterThoseBefore(own, socket, patienceMs, () => {
      write(error, socket, stamp)
    })
}

/** Calls back when no other answer comes first. A connection that does not come to that in time is closed. */
function afterThoseBefore(
  own: IncomingMessage | undefined,
  socket: Socket,
  patienceMs: number,
  then: () => void,
): void {
  const timer = closeSoon(socket, patienceMs)
  const next = (): void => {
    // An answer may end its connection, and the client may have gone.
    if (!socket.writable) return
    const before = answerBefore(own, socket)
    if (before !== undefined) {
      before.once('close', next)
      return
    }
    clearTimeout(timer)
    then()
  }
  next()
}

/** The answer that is under way to another request than `own`. */
function answerBefore(own: IncomingMessage | undefined, socket: Socket): ServerResponse | undefined {
  const message = (socket as Known)._httpMessage ?? undefined
  return message?.req === own ? undefined : message
}

function write(error: DepotError, socket: Socket, { generation, node }: Stamp): void {
  // What is written now would land in the middle of the body.
  if ((socket as Known)._httpMessage?.headersSent === true) {
    socket.destroy()
    return
  }
  const { status, body } = problemOf(error, 'unread', generation)
  const text = JSON.stringify(body)
  const head = [
    `HTTP/1.1 ${status} ${REASONS[status] ?? 'Bad Request'}`,
    `${HEADERS.generation}: ${generation}`,
    `${HEADERS.node}: ${node}`,
    `content-type: ${MEDIA.problem}`,
    'cache-control: no-store',
    `content-length: ${Buffer.byteLength(text)}`,
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${text}`)
  closeSoon(socket, LIMITS.unreadMs)
}

/**
 * Closes a connection that the client has not closed by then. Not at once: bytes of his that nobody reads any more
 * would take an answer away that he has not read yet.
 */
function closeSoon(socket: Socket, waitMs: number): NodeJS.Timeout {
  const timer = setTimeout(() => socket.destroy(), waitMs)
  socket.once('close', () => {
    clearTimeout(timer)
  })
  return timer
}

function failureOfParser({ code, message }: Error & { readonly code?: string }): DepotError {
  if (code === 'HPE_HEADER_OVERFLOW') return failure('headers-too-large', { limit: LIMITS.headerBytes })
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return failure('request-timeout', {})
  return failure('bad-request', { reason: `this is not HTTP: ${message}` })
}
