/** `GET /o/sha256/{hex}`: any blob by its digest, for ever the same (K4). */
import type { FastifyInstance } from 'fastify'
import type { Depot } from '../../depot/depot.ts'
import type { Blob, Pool } from '../../depot/types.ts'
import { type Digest, digestOfHex } from '../../model/digest.ts'
import { failure } from '../../model/errors.ts'
import { MEDIA } from '../../wire/headers.ts'
import { cacheControlOfBlob, stampAny } from '../answer.ts'
import type { Guard } from '../guard.ts'
import { sendBytes } from '../send-bytes.ts'

export function objectRoute(
  server: FastifyInstance,
  parts: Pick<Depot, 'pool' | 'nodes'>,
  guard: Guard,
): void {
  server.route<{ Params: { readonly hex: string } }>({
    method: ['GET', 'HEAD'],
    url: '/o/sha256/:hex',
    schema: { summary: 'A blob by its digest', tags: ['read'], produces: [MEDIA.bytes] },
    handler: async (request, reply) => {
      const isPrivate = guard.read(request)
      const digest = digestOfHex(request.params.hex)
      const blob = await findBlob(parts, digest)
      stampAny(reply)
      reply.header('cache-control', cacheControlOfBlob(isPrivate))
      return sendBytes(request, reply, { digest, mediaType: MEDIA.bytes, open: async () => blob })
    },
  })
}

/** A blob that something in the depot names: if it is not here, that is not the client's mistake. */
export function blobOf(pool: Pick<Pool, 'open'>, digest: Digest): () => Promise<Blob> {
  return async () => {
    const blob = await pool.open(digest)
    if (blob === undefined) throw failure('blob-unavailable', { digest })
    return blob
  }
}

/** Nodes of the trees are blobs too. Fails with `not-found`. */
async function findBlob({ pool, nodes }: Pick<Depot, 'pool' | 'nodes'>, digest: Digest): Promise<Blob> {
  const blob = await pool.open(digest)
  if (blob !== undefined) return blob
  if (!nodes.has(digest)) throw failure('not-found', { what: `blob ${digest}` })
  const bytes = await nodes.read(digest)
  return {
    digest,
    size: bytes.length,
    bytes,
    async *read(start = 0, end = bytes.length) {
      yield bytes.subarray(start, end)
    },
  }
}
