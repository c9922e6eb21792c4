/** `GET channels/{channel}/files/{name}/{version}/{path}`: one file of a release (K3, or K5 under a pin). */
import type { FastifyInstance } from 'fastify'
import type { Wish } from '../../depot/read/view.ts'
import { after } from '../../model/soon.ts'
import { MEDIA } from '../../wire/headers.ts'
import { headersOfReading } from '../answer.ts'
import type { ReadingOf } from '../mounts.ts'
import { sendBytes } from '../send-bytes.ts'
import { type BytesParts, blobOf } from './objects.ts'

export function fileRoute(server: FastifyInstance, parts: BytesParts, readingOf: ReadingOf): void {
  server.route<{ Params: Wish & { readonly '*': string } }>({
    method: ['GET', 'HEAD'],
    url: '/v1/channels/:channel/files/:name/:version/*',
    schema: { summary: 'One file of a release', tags: ['read'], produces: [MEDIA.bytes] },
    handler: (request, reply) =>
      after(readingOf(request, reply), (reading) =>
        after(
          reading.view.file(request.params, request.params['*']),
          ({ digest, mediaType = MEDIA.bytes }) => {
            const headers = headersOfReading(request, reading)
            return sendBytes(request, reply, {
              digest,
              headers,
              mediaType,
              open: blobOf(parts.pool, digest),
              hot: parts.hot,
            })
          },
        ),
      ),
  })
}
