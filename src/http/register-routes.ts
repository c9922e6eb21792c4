/**
 * Every route of the native API, and under which mounts it hangs.
 */
import type { FastifyInstance } from 'fastify'
import { PATHS } from '../wire/paths.ts'
import type { BodyBounds } from './bounds/body-bounds.ts'
import { forgetUnread } from './bounds/unread-body.ts'
import { objectAsking, readAsking, stagingAsking, wordAsking, writeAsking } from './gate/asking.ts'
import type { Gate } from './gate/gate.ts'
import type { Guard } from './guard.ts'
import type { HotAnswers } from './hot-answers.ts'
import { generationMount, previewMount, type ReadingOf } from './mounts.ts'
import { catalogRoute } from './routes/catalog.ts'
import { channelRoutes } from './routes/channels.ts'
import { commitRoutes } from './routes/commit.ts'
import { controlRoutes } from './routes/control.ts'
import { fileRoute } from './routes/files.ts'
import { generationRoutes, headRoute } from './routes/generations.ts'
import { keyChangeRoutes, keysRoute, replicatedKeysRoute } from './routes/keys.ts'
import { lineageRoutes } from './routes/lineage/lineage.ts'
import { heartbeatRoutes, nodesRoute } from './routes/nodes.ts'
import { objectRoute } from './routes/objects.ts'
import { problemRoutes } from './routes/problems.ts'
import { releaseRoutes } from './routes/releases.ts'
import { replicatedAccessRoute } from './routes/replicated-access.ts'
import { replicationRoutes } from './routes/replication.ts'
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
  readonly gate: Gate
}

type Plugin = (server: FastifyInstance) => void

export async function registerRoutes(server: FastifyInstance, parts: RouteParts): Promise<void> {
  const { depot, guard, gate, bodies, standing } = parts
  // Where reading needs a token, every answer is for one reader.
  const hot = guard.isOpen ? parts.hot : undefined
  const generation = generationMount(depot, guard)
  const mount = mountOn(server)

  // Uploads of single blobs are streams; all other bodies are taken whole.
  const mountWriting = async (plugin: Plugin, asks = writeAsking, isWhole = true): Promise<void> => {
    await mount('', (child) => {
      // The origin knows all tokens, so it is asked before this node asks for one.
      gate.guard(child, asks, 'early')
      guard.askFirst(child)
      if (asks === stagingAsking) stageFirst(child, depot, guard)
      if (isWhole) bodies.bound(child)
      forgetUnread(child)
      plugin(child)
    })
  }

  await mount('', (child) => {
    aboutNode(child, parts, () => server.swagger())
  })
  const here = { ...depot, node: standing }
  const asking = readAsking(here)
  for (const prefix of ['', '/g/:gid'])
    await mount(prefix, (child) => {
      guard.askReaderFirst(child)
      gate.guard(child, asking)
      headRoute(child, depot, generation)
      // Only what is pinned can never be another answer.
      reads(child, parts, generation, prefix === '' ? undefined : hot)
      generationRoutes(child, depot, generation)
    })
  await mount('', (child) => {
    guard.askReaderFirst(child)
    gate.guard(child, objectAsking(here))
    objectRoute(child, { ...depot, hot }, guard)
  })
  await mount(`${PATHS.stages}/:stage/preview`, (child) => {
    gate.guard(child, stagingAsking, 'early')
    reads(child, parts, previewMount(depot, guard), undefined)
  })
  await mountWriting((child) => {
    changes(child, parts)
  })
  await mountWriting((child) => {
    administers(child, parts)
  }, wordAsking)
  await mount('', (child) => {
    aboutStore(child, parts)
  })
  for (const routes of [forNodes, fromOrigin])
    await mount('', (child) => {
      routes(child, parts)
    })
  for (const routes of [manifestRoutes, stageBlobRoutes, uploadRoutes])
    await mountWriting(
      (child) => {
        routes(child, depot, guard)
      },
      stagingAsking,
      routes !== uploadRoutes,
    )
}

/** Hangs routes under a prefix, in a context of their own. */
function mountOn(server: FastifyInstance): (prefix: string, plugin: Plugin) => Promise<void> {
  return async (prefix, plugin) => {
    await server.register(
      (child, _options, done) => {
        plugin(child)
        done()
      },
      { prefix },
    )
  }
}

/** What is told by every node, whatever it has. */
function aboutNode(
  server: FastifyInstance,
  { depot, guard, metrics, standing, options }: RouteParts,
  openapi: () => unknown,
): void {
  controlRoutes(server, { depot, guard, metrics, standing, metricsToken: options.metricsToken })
  problemRoutes(server)
  keysRoute(server, depot)
  server.get(PATHS.openapi, { schema: { hide: true } }, async (_request, reply) =>
    reply.header('cache-control', 'no-cache').send(openapi()),
  )
}

/** What changes a depot without many bytes. */
function changes(server: FastifyInstance, { depot, guard }: RouteParts): void {
  stageRoutes(server, depot, guard)
  stageReleaseRoutes(server, depot, guard)
  commitRoutes(server, depot, guard)
}

/** What operators ask of the origin, also of one that may not commit. */
function administers(server: FastifyInstance, { depot, guard, options, lineage, clock }: RouteParts): void {
  tokenRoutes(server, { ...depot, quotaBytes: options.quotaBytes }, guard)
  keyChangeRoutes(server, depot, guard)
  nodesRoute(server, depot, guard)
  lineageRoutes(server, { lineage, clock }, guard)
}

/** Every node answers for its own disk. */
function aboutStore(server: FastifyInstance, { guard, bodies, scrub, clock }: RouteParts): void {
  guard.askFirst(server)
  bodies.bound(server)
  forgetUnread(server)
  scrubRoute(server, { scrub, clock }, guard)
}

/** What those ask who follow this node: bytes, and where the origin is. */
function forNodes(server: FastifyInstance, { depot, guard, bodies, whereOrigin }: RouteParts): void {
  guard.askNodeFirst(server)
  bodies.bound(server)
  forgetUnread(server)
  replicationRoutes(server, { ...depot, whereOrigin })
  replicatedKeysRoute(server, depot, guard)
}

/** What nodes ask of the origin alone: who may do what, and a heartbeat. */
function fromOrigin(server: FastifyInstance, { depot, gate, guard, bodies, lineage }: RouteParts): void {
  // Who follows a replica is told the origin's word, and never this node's.
  gate.guard(server, wordAsking, 'early')
  guard.askNodeFirst(server)
  bodies.bound(server)
  forgetUnread(server)
  replicatedAccessRoute(server, depot, guard)
  heartbeatRoutes(server, { ...depot, lineage })
}

/** What can be read of one metaset, on whichever mount. */
function reads(
  server: FastifyInstance,
  { depot }: RouteParts,
  readingOf: ReadingOf,
  hot: HotAnswers | undefined,
): void {
  channelRoutes(server, readingOf)
  catalogRoute(server, depot, readingOf)
  releaseRoutes(server, { ...depot, hot }, readingOf)
  fileRoute(server, { ...depot, hot }, readingOf)
}
