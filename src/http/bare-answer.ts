/**
 * Answers to what never becomes a request: bytes that are not HTTP, headers that are too large, a client that is too
 * slow. They bypass the framework, and carry `Depot-Generation` and a problem all the same (PROTOCOL §11, I1).
 */
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

/** Answers a connection whose request could not be read, and closes it. */
export function answerBare(
  error: Error & { readonly code?: string },
  socket: Socket,
  generation: string,
): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const { status, body } = problemOf(failureOfParser(error), 'unread', generation)
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

function failureOfParser({ code, message }: Error & { readonly code?: string }): DepotError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return failure('headers-too-large', { limit: LIMITS.headerBytes })
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return failure('request-timeout', {})
    default:
      return failure('bad-request', { reason: `this is not HTTP: ${message}` })
  }
}
