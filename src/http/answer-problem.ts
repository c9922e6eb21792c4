/**
 * A refusal as an answer: the problem of `problem.ts`, the generation that it is true for, and how long it may be
 * kept (PROTOCOL §2, §7).
 *
 * Nearly every refusal is `no-store`. Only under a pin some are final: what a complete generation does not have it
 * never will, and a generation that is retired or lost never comes back.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { DepotError } from '../model/errors.ts'
import type { ErrorCode } from '../model/failures.ts'
import { ANY_GENERATION, HEADERS, MEDIA } from '../wire/headers.ts'
import { pinIn } from './mounts.ts'
import { problemOf } from './problem.ts'

export interface Refusal {
  readonly error: DepotError
  /** The head of this moment. */
  readonly head: string
  readonly closedReads: boolean
}

/** Headers of the answer that did not come about. */
const ABANDONED = [
  'etag',
  'content-location',
  'accept-ranges',
  'repr-digest',
  'content-length',
  'content-encoding',
  'vary',
]
const FINAL_SECONDS: Readonly<Partial<Record<ErrorCode, number>>> = {
  'generation-retired': 3600,
  'generation-lost': 3600,
  withdrawn: 3600,
}
const ABSENT_SECONDS = 300

export function answerProblem(request: FastifyRequest, reply: FastifyReply, refusal: Refusal): FastifyReply {
  const { error, head } = refusal
  const stamped = String(reply.getHeader(HEADERS.generation) ?? head)
  // Only bytes that were found are the same in any generation; that they are not here is true for the head.
  const generation = stamped === ANY_GENERATION ? head : stamped
  const [gid = head] = generation.split(';')
  const { status, body, retryAfter } = problemOf(error, request.id, gid)
  for (const name of ABANDONED) reply.removeHeader(name)
  stampCaching(reply, refusal, secondsToKeep(request, error, gid))
  reply.header(HEADERS.generation, generation)
  if (retryAfter !== undefined) reply.header('retry-after', retryAfter)
  if (status === 401) reply.header('www-authenticate', 'Bearer realm="depot"')
  // What would have been understood (RFC 9110 §15.5.16).
  if (error.code === 'unsupported-content-encoding') reply.header('accept-encoding', 'identity')
  if (status === 416) reply.header('content-range', `bytes */${String(error.details['size'])}`)
  return reply.code(status).type(MEDIA.problem).send(JSON.stringify(body))
}

function stampCaching(reply: FastifyReply, { closedReads }: Refusal, seconds: number): void {
  if (seconds === 0) {
    reply.header('cache-control', 'no-store')
    return
  }
  reply.removeHeader(HEADERS.head)
  reply.header('cache-control', `${closedReads ? 'private' : 'public'}, max-age=${seconds}`)
}

/** 0 where it may change; `gid` is the generation that the refusal is true for. */
function secondsToKeep(request: FastifyRequest, { code, details }: DepotError, gid: string): number {
  const pin = pinIn(request)
  if (pin === undefined || details['floor'] === true) return 0
  if (code === 'not-found') return pin === gid ? ABSENT_SECONDS : 0
  return details['wanted'] === pin ? (FINAL_SECONDS[code] ?? 0) : 0
}
