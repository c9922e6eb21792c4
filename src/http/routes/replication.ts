/**
 * What a node asks of the one it follows: many blobs or nodes at once, the log from where it has it, the lineages
 * (PROTOCOL §4). With the scope `replicate`.
 */
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import type { Depot } from '../../depot/depot.ts'
import { objectsOf, type SentObject } from '../../depot/read/objects.ts'
import type { Generation } from '../../model/generation.ts'
import { LIMITS } from '../../model/limits.ts'
import { slices } from '../../model/slice.ts'
import { batchedSize, batchHeader } from '../../wire/batch.ts'
import { HEADERS, MEDIA } from '../../wire/headers.ts'
import { PATHS } from '../../wire/paths.ts'
import { LineagesBody, ObjectsRequest, OriginBody } from '../../wire/replication.ts'
import { ndjson } from '../ndjson.ts'
import { pump } from '../pump.ts'
import { formOf } from './objects.ts'

type Parts = Pick<Depot, 'pool' | 'nodes' | 'head' | 'generations' | 'clock'> & {
  readonly whereOrigin: () => OriginBody
}

/** Of a batch, in one write. */
const PIECE_BYTES = 262_144
/** Records that are read at once. */
const RECORDS = 100
const NUMBER_MAXIMUM = 999_999_999_999_999
const Span = Type.Object({
  after: Type.Optional(
    Type.Integer({ minimum: -1, maximum: NUMBER_MAXIMUM, description: 'number; from the one above it on' }),
  ),
  upTo: Type.Optional(
    Type.Integer({ minimum: 0, maximum: NUMBER_MAXIMUM, description: 'number; the head where it is absent' }),
  ),
})

export function replicationRoutes(server: FastifyInstance, parts: Parts): void {
  objectsRoute(server, parts)

  server.get<{ Querystring: { readonly after?: number; readonly upTo?: number } }>(
    PATHS.log,
    {
      schema: {
        summary: 'The log, oldest first, a generation a line',
        tags: ['replicate'],
        querystring: Span,
        produces: [MEDIA.ndjson],
      },
    },
    async (request, reply) => {
      const { after = -1, upTo = NUMBER_MAXIMUM } = request.query
      const last = Math.min(upTo, parts.head.now().record.number)
      reply.type(MEDIA.ndjson).header('cache-control', 'private, no-store')
      return pump(reply, ndjson(logOf(parts, after, last), parts.clock))
    },
  )

  server.get(
    PATHS.lineages,
    { schema: { summary: 'Every lineage', tags: ['replicate'], response: { 200: LineagesBody } } },
    async (_request, reply) =>
      reply
        .header('cache-control', 'private, no-store')
        .send({ lineages: [...parts.generations.lineages().values()] }),
  )

  server.get(
    PATHS.origin,
    {
      schema: {
        summary: 'Whether this node is the origin, and where that is',
        tags: ['replicate'],
        response: { 200: OriginBody },
      },
    },
    async (_request, reply) => reply.header('cache-control', 'private, no-store').send(parts.whereOrigin()),
  )
}

function objectsRoute(server: FastifyInstance, parts: Parts): void {
  server.post<{ Body: ObjectsRequest }>(
    PATHS.objects,
    {
      // So many digests are a list that may be parsed at one go.
      bodyLimit: LIMITS.jsonListBytes,
      schema: {
        summary: 'Many small blobs, or nodes as they are stored',
        tags: ['replicate'],
        body: ObjectsRequest,
        produces: [MEDIA.blobs, MEDIA.segments],
      },
    },
    async (request, reply) => {
      const form = formOf(request)
      const objects = objectsOf(parts, {
        digests: request.body.digests,
        form,
        slices: slices(parts.clock),
        onDamaged: (err) => {
          request.log.warn({ err }, 'a node asks for what is damaged here')
        },
      })
      reply
        .type(form === 'segment' ? MEDIA.segments : MEDIA.blobs)
        .header('cache-control', 'private, no-store')
        .header('vary', HEADERS.form)
      return pump(reply, batched(objects))
    },
  )
}

/** In pieces worth a write: what is sent is all that is in memory. */
async function* batched(objects: AsyncIterable<SentObject>): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = []
  let size = 0
  for await (const { digest, bytes } of objects) {
    parts.push(batchHeader(digest, bytes.length), bytes)
    size += batchedSize(bytes.length)
    if (size < PIECE_BYTES) continue
    yield Buffer.concat(parts, size)
    parts = []
    size = 0
  }
  if (size > 0) yield Buffer.concat(parts, size)
}

/** No transaction stays open between two pages. */
async function* logOf({ generations }: Parts, after: number, upTo: number): AsyncGenerator<Generation> {
  for (let above = after; above < upTo; ) {
    const page = generations.list({ kind: 'above', number: above }, RECORDS)
    for (const generation of page) {
      above = generation.record.number
      if (above > upTo) return
      yield generation
    }
    if (page.length < RECORDS) return
  }
}
