/**
 * `GET /v1/head` (and the watch), `GET /v1/generations`, one of them, and the difference of two.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import Type from 'typebox'
import type { Depot } from '../../depot/depot.ts'
import { channelsThatDiffer, type Difference, differencesOf } from '../../depot/read/differences.ts'
import { findGeneration } from '../../depot/read/find-generation.ts'
import type { View } from '../../depot/read/view.ts'
import { digestOf } from '../../model/digest.ts'
import { failure } from '../../model/errors.ts'
import { type Generation, isGid, parseGid } from '../../model/generation.ts'
import { LIMITS } from '../../model/limits.ts'
import { clip } from '../../model/name.ts'
import { HEADERS, MEDIA } from '../../wire/headers.ts'
import { PATHS, pinned } from '../../wire/paths.ts'
import { GenerationBody, GenerationsBody } from '../../wire/schemas.ts'
import { type Reading, sendJson, stampAny, stampChanging } from '../answer.ts'
import type { ReadingOf } from '../mounts.ts'
import { ndjson } from '../ndjson.ts'
import { type Page, PageQuery, pageOf } from '../page.ts'
import { held } from '../prefer.ts'
import { pump } from '../pump.ts'

type Parts = Pick<Depot, 'head' | 'generations' | 'views' | 'reader' | 'clock'>

const After = Type.Object({
  after: Type.Optional(Type.String({ maxLength: 64, description: 'gid; wait for another one' })),
})
const Channel = Type.Object({ channel: Type.Optional(Type.String({ maxLength: LIMITS.channelNameBytes })) })

export function headRoute(server: FastifyInstance, parts: Parts, readingOf: ReadingOf): void {
  server.route<{ Querystring: { readonly after?: string } }>({
    method: ['GET', 'HEAD'],
    url: PATHS.head,
    schema: {
      summary: 'The head, or the next one',
      tags: ['time'],
      querystring: After,
      response: { 200: GenerationBody },
    },
    handler: async (request, reply) => {
      const { after } = request.query
      const before = await readingOf(request, reply)
      // Under a pin there is nothing to wait for.
      if (after === undefined || before.mount !== 'head')
        return sendJson(request, reply, told(before), shown(before, newestOf(parts, before)))
      const arrived = await watch(parts, request, reply, after)
      if (!arrived) return reply.code(304).header('cache-control', 'no-store').send()
      const reading = await readingOf(request, reply)
      return sendJson(request, reply, told(reading), shown(reading, newestOf(parts, reading)))
    },
  })
}

export function generationRoutes(server: FastifyInstance, parts: Parts, readingOf: ReadingOf): void {
  server.route<{ Querystring: Page }>({
    method: ['GET', 'HEAD'],
    url: PATHS.generations,
    schema: {
      summary: 'The log, newest first; under a pin without state and signatures',
      tags: ['time'],
      querystring: PageQuery,
      response: { 200: GenerationsBody },
    },
    handler: async (request, reply) => {
      const reading = await readingOf(request, reply)
      const { limit, after } = pageOf(request.query)
      const newest = newestOf(parts, reading).record.number
      if (after !== undefined && !/^\d{1,15}$/.test(after))
        throw failure('bad-request', { reason: 'after must be a generation number' })
      const atMost = after === undefined ? newest : Math.min(newest, Number(after) - 1)
      const found = parts.generations.list({ kind: 'number', atMost }, limit + 1)
      const generations = found.slice(0, limit)
      const last = generations.at(-1)?.record.number
      const next =
        found.length > limit
          ? pinned(reading.view.gid, `${PATHS.generations}?limit=${limit}&after=${last ?? 0}`)
          : undefined
      const page = generations.map((generation) => shown(reading, generation))
      return sendJson(request, reply, told(reading), { generations: page, next })
    },
  })

  server.route<{ Params: { readonly ref: string } }>({
    method: ['GET', 'HEAD'],
    url: `${PATHS.generations}/:ref`,
    schema: {
      summary: 'A generation by gid, number, time or `head`',
      tags: ['time'],
      response: { 200: GenerationBody },
    },
    handler: async (request, reply) => {
      const reading = await readingOf(request, reply)
      const found = findGeneration(seenFrom(parts, reading), request.params.ref)
      return sendJson(request, reply, told(reading), shown(reading, found))
    },
  })

  diffRoute(server, parts, readingOf)
}

function diffRoute(server: FastifyInstance, parts: Parts, readingOf: ReadingOf): void {
  server.route<{
    Params: { readonly ref: string; readonly other: string }
    Querystring: { readonly channel?: string }
  }>({
    method: ['GET', 'HEAD'],
    url: `${PATHS.generations}/:ref/diff/:other`,
    schema: {
      summary: 'What changed from one generation to another, a release a line',
      tags: ['time'],
      querystring: Channel,
      produces: [MEDIA.ndjson],
    },
    handler: async (request, reply) => {
      const { ref, other } = request.params
      const { channel } = request.query
      const reading = await readingOf(request, reply)
      const seen = seenFrom(parts, reading)
      const before = await parts.views.of(findGeneration(seen, ref))
      const after = await parts.views.of(findGeneration(seen, other))
      demandChannel(channel, before, after)
      // Between two gids nothing ever changes, whatever the head is: cached like a pinned answer (DESIGN §7).
      const isFixed = isGid(ref) && isGid(other) && reading.mount === 'head'
      const fixed: Reading = isFixed ? { ...reading, mount: 'pinned' } : reading
      reply.type(MEDIA.ndjson)
      const digest = digestOf(`${before.gid} ${after.gid} ${channel ?? ''}`)
      const isUnmodified = stampChanging(request, reply, { reading: fixed, digest })
      if (isFixed) stampAny(reply)
      if (isUnmodified) return reply.code(304).send()
      if (request.method === 'HEAD') return reply.send()
      return pump(reply, ndjson(differences(parts, before, after, channel), parts.clock))
    },
  })
}

/** Fails with `not-found`: nothing would be a wrong answer, and one that is kept for a week. */
function demandChannel(channel: string | undefined, before: View, after: View): void {
  if (channel === undefined || before.known(channel) !== undefined || after.known(channel) !== undefined)
    return
  throw failure('not-found', { what: `channel ${clip(channel)} in either generation` })
}

async function* differences(
  { reader }: Parts,
  before: View,
  after: View,
  channel: string | undefined,
): AsyncGenerator<Difference & { readonly channel?: string }> {
  if (channel !== undefined) {
    yield* differencesOf(reader, before.known(channel), after.known(channel))
    return
  }
  for (const name of channelsThatDiffer(before, after))
    for await (const difference of differencesOf(reader, before.known(name), after.known(name)))
      yield { ...difference, channel: name }
}

/** Waits for a head other than `after`; false when none came. A gid that is not of this depot waits for nothing. */
async function watch(
  { head }: Parts,
  request: FastifyRequest,
  reply: FastifyReply,
  after: string,
): Promise<boolean> {
  const seen = parseGid(after)
  const arrived: Generation | undefined = await held(request, reply, async (waitMs, gone) => {
    // Who would be let go at once would ask again at once.
    if (waitMs > 0 && head.isClosing() && head.now().gid === seen) throw failure('draining', {})
    return await head.after(seen, waitMs, gone)
  })
  // Who was let go would ask again at once, on a connection that is about to be closed.
  if (head.isClosing()) reply.header('connection', 'close')
  reply.header(HEADERS.generation, head.now().gid)
  return arrived !== undefined
}

/** What changes in the life of a generation is not told under a pin, where an answer is the same for ever (I2). */
function shown({ mount }: Reading, generation: Generation): Partial<Generation> {
  if (mount === 'head') return generation
  const { gid, record } = generation
  return { gid, record }
}

function told(reading: Reading): Reading {
  return reading.mount === 'head' ? { ...reading, tellsMore: true } : reading
}

/** The newest generation that a request may see: the head, or the pinned one. */
function newestOf({ generations }: Pick<Parts, 'generations'>, { view, head, mount }: Reading): Generation {
  return mount === 'head' ? head : (generations.get(view.gid) ?? head)
}

function seenFrom(parts: Parts, reading: Reading): Parameters<typeof findGeneration>[0] {
  const newest = newestOf(parts, reading)
  return { generations: parts.generations, head: { now: () => newest } }
}
