/**
 * Every route of the native API, and under which mounts it hangs.
 */
import type { FastifyInstance } from 'fastify'
import { PATHS } from '../wire/paths.ts'
import type { Guard } from './guard.ts'
import type { HotAnswers } from './hot-answers.ts'
import { generationMount, previewMount, type ReadingOf } from './mounts.ts'
import { catalogRoute } from './routes/catalog.ts'
import { channelRoutes } from './routes/channels.ts'
import { commitRoutes } from './routes/commit.ts'
import { controlRoutes } from './routes/control.ts'
import { fileRoute } from './routes/files.ts'
import { generationRoutes, headRoute } from './routes/generations.ts'
import { objectRoute } from './routes/objects.ts'
import { problemRoutes } from './routes/problems.ts'
import { releaseRoutes } from './routes/releases.ts'
import { scrubRoute } from './routes/scrub.ts'
import { stageBlobRoutes, uploadRoutes } from './routes/stage-blobs.ts'
import { manifestRoutes, stageReleaseRoutes } from './routes/stage-releases.ts'
import { stageRoutes } from './routes/stages.ts'
import { tokenRoutes } from './routes/tokens.ts'
import type { FaceParts } from './server.ts'

export interface RouteParts extends FaceParts {
  readonly guard: Guard
  readonly hot: HotAnswers
}

type Plugin = (server: FastifyInstance) => void

export async function registerRoutes(server: FastifyInstance, parts: RouteParts): Promise<void> {
  const { depot, guard, metrics, isDraining, scrub, clock, options } = parts
  const generation = generationMount(depot, guard)
  const preview = previewMount(depot, guard)
  const mount = async (prefix: string, plugin: Plugin): Promise<void> => {
    await server.register(
      (child, _options, done) => {
        plugin(child)
        done()
      },
      { prefix },
    )
  }

  await mount('', (child) => {
    controlRoutes(child, { depot, guard, metrics, isDraining, metricsToken: options.metricsToken })
    problemRoutes(child)
    headRoute(child, depot, generation)
    reads(child, parts, generation)
    generationRoutes(child, depot, generation)
    stageRoutes(child, depot, guard)
    stageReleaseRoutes(child, depot, guard)
    commitRoutes(child, depot, guard)
    tokenRoutes(child, { ...depot, quotaBytes: options.quotaBytes }, guard)
    scrubRoute(child, { scrub, clock }, guard)
    child.get(PATHS.openapi, { schema: { hide: true } }, async (_request, reply) =>
      reply.header('cache-control', 'no-cache').send(server.swagger()),
    )
  })
  await mount('', (child) => {
    keepHot(child, parts)
    objectRoute(child, depot, guard)
  })
  await mount('/g/:gid', (child) => {
    keepHot(child, parts)
    headRoute(child, depot, generation)
    reads(child, parts, generation)
    generationRoutes(child, depot, generation)
  })
  await mount(`${PATHS.stages}/:stage/preview`, (child) => {
    reads(child, parts, preview)
  })
  await mount('', (child) => {
    manifestRoutes(child, depot, guard)
  })
  await mount('', (child) => {
    stageBlobRoutes(child, depot, guard)
  })
  await mount('', (child) => {
    uploadRoutes(child, depot, guard)
  })
}

/** What can be read of one metaset, on whichever mount. */
function reads(server: FastifyInstance, { depot }: RouteParts, readingOf: ReadingOf): void {
  channelRoutes(server, readingOf)
  catalogRoute(server, depot, readingOf)
  releaseRoutes(server, depot, readingOf)
  fileRoute(server, depot, readingOf)
}

/** A small answer under a pin is the same for ever: the next plain request for it takes the short way. */
function keepHot(server: FastifyInstance, { guard, hot }: RouteParts): void {
  if (!guard.isOpen) return
  server.addHook('onSend', (request, reply, payload, done) => {
    const isWhole = request.method === 'GET' && reply.statusCode === 200
    if (
      isWhole &&
      payload instanceof Uint8Array &&
      reply.getHeader('repr-digest') !== undefined &&
      isHot(request.headers)
    )
      hot.keep(request.url, reply.getHeaders(), payload)
    done(null, payload)
  })
}

/** A request with a token or a pin of its own says nothing about what others get. */
function isHot(headers: Readonly<Record<string, unknown>>): boolean {
  return headers['authorization'] === undefined && headers['depot-exact-generation'] === undefined
}
