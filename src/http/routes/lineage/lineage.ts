/**
 * `POST /v1/fork` and `POST /v1/adopt`: the two ways out for an origin that has lost generations (PROTOCOL §10). Of the
 * origin alone; a replica passes them on.
 */
import type { FastifyInstance } from 'fastify'
import type { Testimony } from '../../../depot/lineage/origin-check.ts'
import { isFailure } from '../../../model/errors.ts'
import type { Generation } from '../../../model/generation.ts'
import type { Clock } from '../../../model/world.ts'
import type { AdoptLine, AdoptRequest } from '../../../wire/bodies.ts'
import { HEADERS, MEDIA } from '../../../wire/headers.ts'
import { generationPath, PATHS } from '../../../wire/paths.ts'
import { AdoptRequest as AdoptSchema, GenerationBody } from '../../../wire/schemas.ts'
import type { Guard } from '../../guard.ts'
import { ndjson } from '../../ndjson.ts'
import { problemOf } from '../../problem.ts'
import { pump } from '../../pump.ts'

/** What is done about the lineage of this depot, and what its followers tell of it. */
export interface LineageFace {
  /** A heartbeat; resolves when what has to be kept of it is durable. */
  hear(testimony: Testimony): Promise<void>
  /** A node follows no more. */
  left(id: string): Promise<void>
  /** Begins another lineage at the head. */
  fork(publisher: string): Promise<Generation>
  /** Brings back what another node has of the own lineage; without a token by one that is made for that. */
  adopt(from: string, token: string | undefined, gone: AbortSignal): AsyncIterable<AdoptLine>
}

interface Parts {
  readonly lineage: LineageFace
  readonly clock: Clock
}

export function lineageRoutes(server: FastifyInstance, { lineage, clock }: Parts, guard: Guard): void {
  server.post(
    PATHS.fork,
    {
      schema: {
        summary: 'Begin another lineage at the head, and give up what other nodes have beyond it',
        tags: ['operate'],
        response: { 201: GenerationBody },
      },
    },
    async (request, reply) => {
      const { label } = guard.admin(request)
      const generation = await lineage.fork(label)
      return reply
        .code(201)
        .header(HEADERS.generation, generation.gid)
        .header('cache-control', 'private, no-store')
        .header('location', generationPath(generation.gid))
        .send(generation)
    },
  )

  server.post<{ Body: AdoptRequest }>(
    PATHS.adopt,
    {
      schema: {
        summary: 'Bring back generations that a replica has and the origin has lost',
        tags: ['operate'],
        body: AdoptSchema,
        produces: [MEDIA.ndjson],
      },
    },
    async (request, reply) => {
      guard.admin(request)
      const gone = new AbortController()
      reply.raw.once('close', () => {
        gone.abort()
      })
      const lines = lineage.adopt(request.body.from, request.body.token, gone.signal)
      reply.type(MEDIA.ndjson).header('cache-control', 'private, no-store')
      return pump(reply, ndjson(toldOf(lines, request.id), clock, 1))
    },
  )
}

/** How it failed is the last line, for what was sent already cannot be taken back. */
async function* toldOf(lines: AsyncIterable<AdoptLine>, instance: string): AsyncGenerator<object> {
  let isBegun = false
  try {
    for await (const line of lines) {
      isBegun = true
      yield line
    }
  } catch (error) {
    if (!isBegun || !isFailure(error)) throw error
    yield { ...problemOf(error, instance, 'none').body, kind: 'failed' }
  }
}
