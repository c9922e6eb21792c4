/**
 * Answers to what never becomes a request: bytes that are not HTTP, headers that are too large, a client that is too
 * slow. They bypass the framework, and carry `Depot-Generation` and a problem all the same (PROTOCOL §11, I1).
 */
import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { type DepotError, failure } from '../model/errors.ts'
import { LIMITS } from '../model/limits.ts'
import { HEADERS, MEDIA } from '../wire/headers.ts'
import { problemOf } from './problem.ts'

const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
}

/** Answers everything that node:http would answer by itself, or not at all. */
export function answerUnread(server: Server, generation: () => string): void {
  server.on('clientError', (error: Error & { readonly code?: string }, socket) => {
    answerBare(failureOfParser(error), socket as Socket, generation())
  })
  // There is no proxy here. Without a listener the connection would be closed without a word.
  server.on('connect', (_request, socket) => {
    answerBare(failure('bad-request', { reason: 'this is no proxy' }), socket as Socket, generation())
  })
  // An expectation that nobody knows may be passed over (RFC 9110 §10.1.1).
  server.on('checkExpectation', (request, response) => server.emit('request', request, response))
}

/** Answers a connection whose request could not be read, and closes it. */
export function answerBare(error: DepotError, socket: Socket, generation: string): void {
  if (!socket.writable || isAnswering(socket)) {
    socket.destroy()
    return
  }
  const { status, body } = problemOf(error, 'unread', generation)
  const text = JSON.stringify(body)
  const head = [
    `HTTP/1.1 ${status} ${REASONS[status] ?? 'Bad Request'}`,
    `${HEADERS.generation}: ${generation}`,
    `content-type: ${MEDIA.problem}`,
    'cache-control: no-store',
    `content-length: ${Buffer.byteLength(text)}`,
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${text}`)
}

/**
 * Whether an answer is on its way out already: what is written now would land in the middle of its body. node:http has
 * no public word for it and asks the same in its own handler.
 */
function isAnswering(socket: Socket): boolean {
  const { _httpMessage: message } = socket as { _httpMessage?: ServerResponse | null }
  return message?.headersSent === true
}

function failureOfParser({ code, message }: Error & { readonly code?: string }): DepotError {
  if (code === 'HPE_HEADER_OVERFLOW') return failure('headers-too-large', { limit: LIMITS.headerBytes })
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return failure('request-timeout', {})
  return failure('bad-request', { reason: `this is not HTTP: ${message}` })
}
