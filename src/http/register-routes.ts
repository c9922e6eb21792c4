/**
 * Every route of the native API, and under which mounts it hangs.
 */
import type { FastifyInstance } from 'fastify'
import { PATHS } from '../wire/paths.ts'
import type { BodyBounds } from './bounds/body-bounds.ts'
import { forgetUnread } from './bounds/unread-body.ts'
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
import { stageFirst, stageRoutes } from './routes/stages.ts'
import { tokenRoutes } from './routes/tokens.ts'
import type { FaceParts } from './server.ts'

export interface RouteParts extends FaceParts {
  readonly guard: Guard
  readonly hot: HotAnswers
  readonly bodies: BodyBounds
}

type Plugin = (server: FastifyInstance) => void

export async function registerRoutes(server: FastifyInstance, parts: RouteParts): Promise<void> {
  const { depot, guard, bodies, metrics, isDraining, scrub, clock, options } = parts
  // Where reading needs a token, every answer is for one reader.
  const hot = guard.isOpen ? parts.hot : undefined
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

  // Uploads of single blobs are streams; all other bodies are taken whole.
  const mountWriting = async (plugin: Plugin, { isWhole = true, isOfStage = false } = {}): Promise<void> => {
    await mount('', (child) => {
      guard.askFirst(child)
      if (isOfStage) stageFirst(child, depot, guard)
      if (isWhole) bodies.bound(child)
      forgetUnread(child)
      plugin(child)
    })
  }

  await mount('', (child) => {
    controlRoutes(child, { depot, guard, metrics, isDraining, metricsToken: options.metricsToken })
    problemRoutes(child)
    headRoute(child, depot, generation)
    reads(child, parts, generation)
    generationRoutes(child, depot, generation)
    child.get(PATHS.openapi, { schema: { hide: true } }, async (_request, reply) =>
      reply.header('cache-control', 'no-cache').send(server.swagger()),
    )
  })
  await mount('', (child) => {
    objectRoute(child, { ...depot, hot }, guard)
  })
  await mount('/g/:gid', (child) => {
    headRoute(child, depot, generation)
    reads(child, parts, generation, hot)
    generationRoutes(child, depot, generation)
  })
  await mount(`${PATHS.stages}/:stage/preview`, (child) => {
    reads(child, parts, preview)
  })
  await mountWriting((child) => {
    stageRoutes(child, depot, guard)
    stageReleaseRoutes(child, depot, guard)
    commitRoutes(child, depot, guard)
    tokenRoutes(child, { ...depot, quotaBytes: options.quotaBytes }, guard)
    scrubRoute(child, { scrub, clock }, guard)
  })
  for (const routes of [manifestRoutes, stageBlobRoutes, uploadRoutes])
    await mountWriting(
      (child) => {
        routes(child, depot, guard)
      },
      { isOfStage: true, isWhole: routes !== uploadRoutes },
    )
}

/** What can be read of one metaset, on whichever mount. */
function reads(server: FastifyInstance, { depot }: RouteParts, readingOf: ReadingOf, hot?: HotAnswers): void {
  channelRoutes(server, readingOf)
  catalogRoute(server, depot, readingOf)
  releaseRoutes(server, { ...depot, hot }, readingOf)
  fileRoute(server, { ...depot, hot }, readingOf)
}
