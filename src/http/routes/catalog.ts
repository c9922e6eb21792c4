/**
 * `GET channels/{channel}/catalog`: every release of a channel as NDJSON, or with `?since=<gid>` what changed (K1).
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import Type from 'typebox'
import type { Depot } from '../../depot/depot.ts'
import { gzippedCatalog, plainCatalog } from '../../depot/read/catalog.ts'
import { differencesOf } from '../../depot/read/differences.ts'
import type { View } from '../../depot/read/view.ts'
import { digestOf } from '../../model/digest.ts'
import { failure } from '../../model/errors.ts'
import { parseGid } from '../../model/generation.ts'
import { slices } from '../../model/slice.ts'
import { MEDIA } from '../../wire/headers.ts'
import { type Reading, stampChanging } from '../answer.ts'
import { acceptsGzip } from '../conditional.ts'
import type { ReadingOf } from '../mounts.ts'
import { ndjson } from '../ndjson.ts'
import { pump } from '../pump.ts'

type Parts = Pick<Depot, 'reader' | 'nodes' | 'views' | 'generations' | 'clock'>
interface Query {
  readonly since?: string
}

const Querystring = Type.Object({ since: Type.Optional(Type.String({ maxLength: 64, description: 'gid' })) })

export function catalogRoute(server: FastifyInstance, parts: Parts, readingOf: ReadingOf): void {
  server.route<{ Params: { readonly channel: string }; Querystring: Query }>({
    method: ['GET', 'HEAD'],
    url: '/v1/channels/:channel/catalog',
    schema: {
      summary: 'The catalog of a channel, one release a line; with `since` only what changed',
      tags: ['read'],
      querystring: Querystring,
      produces: [MEDIA.ndjson],
    },
    handler: async (request, reply) => {
      const reading = await readingOf(request, reply)
      reply.type(MEDIA.ndjson)
      if (request.query.since !== undefined)
        return sendChanges(parts, reading, { request, reply, since: request.query.since })
      return sendCatalog(parts, reading, request, reply)
    },
  })
}

async function sendCatalog(
  parts: Parts,
  reading: Reading,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { channel } = request.params as { readonly channel: string }
  const tree = reading.view.channel(channel).releases
  const form = acceptsGzip(request.headers['accept-encoding']) ? 'gzip' : 'plain'
  if (stampChanging(request, reply, { reading, digest: tree.root, form })) return reply.code(304).send()
  if (form === 'gzip') reply.header('content-encoding', 'gzip')
  else reply.header('content-length', tree.bytes)
  if (request.method === 'HEAD') return reply.send()
  const sources = { reader: parts.reader, nodes: parts.nodes, slices: slices(parts.clock) }
  return pump(reply, form === 'gzip' ? gzippedCatalog(sources, tree) : plainCatalog(sources, tree))
}

interface Asked {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly since: string
}

/** Fails with `generation-lost` or `generation-retired` (410): the client then takes the whole catalog. */
async function sendChanges(
  parts: Parts,
  reading: Reading,
  { request, reply, since }: Asked,
): Promise<FastifyReply> {
  const { channel } = request.params as { readonly channel: string }
  const before = await viewSince(parts, reading, since)
  const now = reading.view.channel(channel)
  const was = before.known(channel)
  const digest = digestOf(`${was?.releases.root ?? ''} ${now.releases.root}`)
  if (stampChanging(request, reply, { reading, digest })) return reply.code(304).send()
  if (request.method === 'HEAD') return reply.send()
  return pump(reply, ndjson(differencesOf(parts.reader, was, now), parts.clock))
}

async function viewSince({ generations, views }: Parts, { head }: Reading, since: string): Promise<View> {
  const gid = parseGid(since)
  const generation = generations.get(gid)
  if (generation === undefined)
    throw failure('generation-lost', { wanted: gid, generation: head.gid, floor: false })
  if (generation.state === 'retired') throw failure('generation-retired', { wanted: gid })
  return views.of(generation)
}
