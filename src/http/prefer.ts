/** `Prefer: wait=N` (RFC 7240): how long a request may be held, and holding it for no longer than its client is there. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { LIMITS } from '../model/limits.ts'

const WAIT = /(?:^|[,;\s])wait=(\d+)(?:$|[,;\s])/i

/** Milliseconds, at most `maximumMs`; what is usual when the request does not say. */
export function waitOf(request: FastifyRequest, maximumMs: number, usualMs = 0): number {
  const seconds = secondsIn(request)
  return seconds === undefined ? usualMs : Math.min(Number(seconds) * 1000, maximumMs)
}

/** Whether the request says how long it may be held. */
export function isWaitAsked(request: FastifyRequest): boolean {
  return secondsIn(request) !== undefined
}

function secondsIn({ headers }: FastifyRequest): string | undefined {
  const { prefer } = headers
  return WAIT.exec(Array.isArray(prefer) ? prefer.join(',') : (prefer ?? ''))?.[1]
}

/** Waits as long as the request asks; the signal is aborted when the client goes away. */
export async function held<Outcome>(
  request: FastifyRequest,
  reply: FastifyReply,
  wait: (waitMs: number, gone: AbortSignal) => Promise<Outcome>,
): Promise<Outcome> {
  const waitMs = waitOf(request, LIMITS.waitMs)
  const gone = new AbortController()
  const onClose = (): void => {
    gone.abort()
  }
  reply.raw.once('close', onClose)
  try {
    return await wait(waitMs, gone.signal)
  } finally {
    reply.raw.off('close', onClose)
    if (waitMs > 0) reply.header('preference-applied', `wait=${Math.ceil(waitMs / 1000)}`)
  }
}
