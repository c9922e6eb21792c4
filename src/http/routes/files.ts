/** `GET channels/{channel}/files/{name}/{version}/{path}`: one file of a release (K3, or K5 under a pin). */
import type { FastifyInstance } from 'fastify'
import type { Depot } from '../../depot/depot.ts'
import type { Wish } from '../../depot/read/view.ts'
import { MEDIA } from '../../wire/headers.ts'
import { pinned } from '../../wire/paths.ts'
import { cacheControlOf, stampGeneration } from '../answer.ts'
import type { ReadingOf } from '../mounts.ts'
import { sendBytes } from '../send-bytes.ts'
import { blobOf } from './objects.ts'

export function fileRoute(server: FastifyInstance, parts: Pick<Depot, 'pool'>, readingOf: ReadingOf): void {
  server.route<{ Params: Wish & { readonly '*': string } }>({
    method: ['GET', 'HEAD'],
    url: '/v1/channels/:channel/files/:name/:version/*',
    schema: { summary: 'One file of a release', tags: ['read'], produces: [MEDIA.bytes] },
    handler: async (request, reply) => {
      const reading = await readingOf(request)
      const { digest, mediaType = MEDIA.bytes } = await reading.view.file(request.params, request.params['*'])
      stampGeneration(reply, reading)
      reply.header('cache-control', cacheControlOf(reading))
      if (reading.mount === 'head') reply.header('content-location', pinned(reading.view.gid, request.url))
      return sendBytes(request, reply, { digest, mediaType, open: blobOf(parts.pool, digest) })
    },
  })
}
