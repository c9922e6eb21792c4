/** `/v1/stages`: opening, showing and aborting stages (K6). */
import type { FastifyInstance, FastifyReply } from 'fastify'
import Type from 'typebox'
import { missingBlobs } from '../../depot/commit/closure.ts'
import type { Depot } from '../../depot/depot.ts'
import { resolveGeneration } from '../../depot/freshness.ts'
import type { Stage } from '../../depot/types.ts'
import { parseGid } from '../../model/generation.ts'
import { instantOf } from '../../model/instant.ts'
import { LIMITS } from '../../model/limits.ts'
import type { StageBody, StageRequest } from '../../wire/bodies.ts'
import { HEADERS } from '../../wire/headers.ts'
import { PATHS, stagePath } from '../../wire/paths.ts'
import {
  StageRequest as StageRequestSchema,
  StageBody as StageSchema,
  StagesBody,
} from '../../wire/schemas.ts'
import type { Guard } from '../guard.ts'

type Parts = Pick<Depot, 'stages' | 'head' | 'generations' | 'ledger' | 'pool' | 'clock'>

/** `Depot-Generation` of what is asked of a stage: its base (PROTOCOL §2). */
export function stampStage(reply: FastifyReply, stage: Pick<Stage, 'base'>): FastifyReply {
  return reply
    .header(HEADERS.generation, `${stage.base};st=staging`)
    .header('cache-control', 'private, no-store')
}

/** For the routes of this context: who may not add to the stage is refused before anything of the body is read. */
export function stageFirst(server: FastifyInstance, parts: Pick<Depot, 'stages'>, guard: Guard): void {
  server.addHook('onRequest', (request, _reply, done) => {
    const { stage } = request.params as { readonly stage: string }
    parts.stages.use(guard.actor(request), stage)
    done()
  })
}

export function stageRoutes(server: FastifyInstance, parts: Parts, guard: Guard): void {
  server.post<{ Body: StageRequest | null }>(
    PATHS.stages,
    {
      schema: {
        summary: 'Open a stage',
        tags: ['publish'],
        body: Type.Union([StageRequestSchema, Type.Null()]),
        response: { 201: StageSchema },
      },
    },
    async (request, reply) => {
      const actor = guard.actor(request)
      const { base, message = '', members = [] } = request.body ?? {}
      const head = parts.head.now()
      const on =
        base === undefined ? head : resolveGeneration(parts.generations, head, { pin: parseGid(base) })
      const stage = await parts.stages.open(actor, { base: on, message, members })
      stampStage(reply, stage).header('location', stagePath(stage.id))
      return reply.code(201).send(await fullBodyOf(parts, stage))
    },
  )

  server.get(
    PATHS.stages,
    { schema: { summary: 'Open stages', tags: ['publish'], response: { 200: StagesBody } } },
    async (request, reply) => {
      const listed = parts.stages.list(guard.actor(request)).slice(0, LIMITS.listPage)
      const stages = listed.map((stage) => bodyOf(parts, stage))
      return reply.header('cache-control', 'private, no-store').send({ stages })
    },
  )

  server.get<{ Params: { readonly stage: string } }>(
    `${PATHS.stages}/:stage`,
    { schema: { summary: 'One stage', tags: ['publish'], response: { 200: StageSchema } } },
    async (request, reply) => {
      const stage = parts.stages.show(guard.actor(request), request.params.stage)
      return stampStage(reply, stage).send(await fullBodyOf(parts, stage))
    },
  )

  server.delete<{ Params: { readonly stage: string } }>(
    `${PATHS.stages}/:stage`,
    { schema: { summary: 'Abort a stage', tags: ['publish'], response: { 204: Type.Null() } } },
    async (request, reply) => {
      const actor = guard.actor(request)
      const stage = parts.stages.show(actor, request.params.stage)
      await parts.stages.abort(actor, stage.id)
      return stampStage(reply, stage).code(204).send()
    },
  )
}

/** With what is missing, for which every change of the stage is looked at. */
async function fullBodyOf(parts: Parts, stage: Stage): Promise<StageBody> {
  const missing = stage.state === 'open' ? await missingBlobs(parts, stage) : []
  return { ...bodyOf(parts, stage), missing: missing.map(({ digest }) => digest) }
}

function bodyOf(parts: Pick<Parts, 'ledger'>, stage: Stage): StageBody {
  return {
    id: stage.id,
    base: stage.base,
    state: stage.state,
    created: instantOf(stage.createdMs),
    expires: instantOf(stage.expiresMs),
    message: stage.message,
    owner: stage.owner,
    members: stage.members,
    changes: stage.state === 'open' ? parts.ledger.changes.count(stage.id) : 0,
    ...(stage.committed === undefined ? {} : { committed: stage.committed }),
  }
}
