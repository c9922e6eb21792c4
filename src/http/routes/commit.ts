/** `POST /v1/stages/{stage}/commit` and `POST /v1/rollback`: everything becomes true by one flip (K7). */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import Type from 'typebox'
import type { CommitWish, Outcome } from '../../depot/commit/commit.ts'
import type { Depot } from '../../depot/depot.ts'
import { findGeneration } from '../../depot/read/find-generation.ts'
import type { Stage } from '../../depot/types.ts'
import { canonicalText, type Json } from '../../model/canonical.ts'
import { digestOf } from '../../model/digest.ts'
import { failure } from '../../model/errors.ts'
import { type Gid, parseGid } from '../../model/generation.ts'
import { epochOf } from '../../model/instant.ts'
import { LIMITS } from '../../model/limits.ts'
import { clip } from '../../model/name.ts'
import type { CommitRequest, RollbackRequest } from '../../wire/bodies.ts'
import { HEADERS } from '../../wire/headers.ts'
import { generationPath, PATHS } from '../../wire/paths.ts'
import {
  CommitRequest as CommitSchema,
  GenerationBody,
  RollbackRequest as RollbackSchema,
} from '../../wire/schemas.ts'
import type { Guard } from '../guard.ts'

type Parts = Pick<Depot, 'stages' | 'commits' | 'head' | 'generations' | 'clock'>

const STRONG_GID = /^"([^"]+)"$/
// Printable ASCII, so that a key can stand in a log line and an LMDB key as it is.
const KEY = /^[\x21-\x7e]+$/

export function commitRoutes(server: FastifyInstance, parts: Parts, guard: Guard): void {
  server.post<{ Params: { readonly stage: string }; Body: CommitRequest | null }>(
    `${PATHS.stages}/:stage/commit`,
    {
      schema: {
        summary: 'Commit a stage: 201 with the new generation, 200 with the head when nothing changed',
        tags: ['publish'],
        body: Type.Union([CommitSchema, Type.Null()]),
        response: { 200: GenerationBody, 201: GenerationBody },
      },
    },
    async (request, reply) => {
      const actor = guard.actor(request)
      const shown = parts.stages.show(actor, request.params.stage)
      const wish = wishOf(request, request.body?.message)
      const commit = async (stage: Stage): Promise<Outcome> => await parts.commits.commit(actor, stage, wish)
      const isOver = shown.state === 'committed'
      return sendOutcome(reply, await (isOver ? commit(shown) : parts.stages.during(actor, shown.id, commit)))
    },
  )

  server.post<{ Body: RollbackRequest }>(
    PATHS.rollback,
    {
      schema: {
        summary: 'A new generation with the channels of an old one; 200 with the head when it has just these',
        tags: ['publish'],
        body: RollbackSchema,
        response: { 200: GenerationBody, 201: GenerationBody },
      },
    },
    async (request, reply) => {
      const actor = guard.admin(request)
      demandPast(request.body.to, parts.clock.now())
      const target = findGeneration(parts, request.body.to)
      const wish = wishOf(request, request.body.message)
      return sendOutcome(reply, await parts.commits.rollback(actor, target, wish))
    },
  )
}

function sendOutcome(reply: FastifyReply, { generation, changed }: Outcome): FastifyReply {
  return reply
    .code(changed ? 201 : 200)
    .header(HEADERS.generation, generation.gid)
    .header('cache-control', 'private, no-store')
    .header('location', generationPath(generation.gid))
    .send(generation)
}

/** There is a generation of every moment to come: the head. Going back to it is not what anybody means. */
function demandPast(to: string, now: number): void {
  const moment = epochOf(to)
  if (moment !== undefined && moment > now)
    throw failure('bad-request', { reason: `${clip(to)} is yet to come` })
}

/** What body and headers ask for: a message, a head that it must be on, and a key to know the request by. */
function wishOf(request: FastifyRequest, message: string | undefined): CommitWish {
  const onlyOn = ifMatchOf(request)
  const key = keyOf(request, onlyOn)
  return {
    ...(message === undefined ? {} : { message }),
    ...(onlyOn === undefined ? {} : { onlyOn }),
    ...(key === undefined ? {} : { key }),
  }
}

function ifMatchOf(request: FastifyRequest): Gid | undefined {
  const text = request.headers['if-match']
  if (text === undefined) return undefined
  return parseGid(STRONG_GID.exec(text)?.[1] ?? text)
}

/** The key and the digest of all that the request says, so that another request is recognised. */
function keyOf(
  request: FastifyRequest,
  onlyOn: Gid | undefined,
): { readonly text: string; readonly bodyDigest: ReturnType<typeof digestOf> } | undefined {
  const text = request.headers[HEADERS.idempotencyKey]
  if (text === undefined) return undefined
  if (typeof text !== 'string' || text.length > LIMITS.idempotencyKeyBytes || !KEY.test(text))
    throw failure('bad-request', {
      reason: `${HEADERS.idempotencyKey} must be 1 to ${LIMITS.idempotencyKeyBytes} printable ASCII characters`,
    })
  const said = canonicalText([(request.body ?? {}) as Json, onlyOn ?? null])
  return { text, bodyDigest: digestOf(said) }
}
