/** `Prefer: wait=N` (RFC 7240): how long a request may be held. */
import type { FastifyRequest } from 'fastify'

const WAIT = /(?:^|[,;\s])wait=(\d+)(?:$|[,;\s])/i

/** Milliseconds, at most `maximumMs`; 0 when the request does not ask to wait. */
export function waitOf(request: FastifyRequest, maximumMs: number): number {
  const prefer = request.headers['prefer']
  const seconds = WAIT.exec(Array.isArray(prefer) ? prefer.join(',') : (prefer ?? ''))?.[1]
  return seconds === undefined ? 0 : Math.min(Number(seconds) * 1000, maximumMs)
}
