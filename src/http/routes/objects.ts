/** `GET /o/sha256/{hex}`: any blob by its digest, for ever the same (K4). */
import type { FastifyInstance } from 'fastify'
import type { Depot } from '../../depot/depot.ts'
import type { Blob, Pool } from '../../depot/types.ts'
import { type Digest, digestOfHex } from '../../model/digest.ts'
import { failure } from '../../model/errors.ts'
import { after, type Soon } from '../../model/soon.ts'
import { MEDIA } from '../../wire/headers.ts'
import { headersOfBlob } from '../answer.ts'
import type { Guard } from '../guard.ts'
import type { HotAnswers } from '../hot-answers.ts'
import { sendBytes } from '../send-bytes.ts'

/** What routes that send bytes take: the pool, and where their small answers are kept. */
export interface BytesParts extends Pick<Depot, 'pool'> {
  readonly hot: HotAnswers | undefined
}

export function objectRoute(
  server: FastifyInstance,
  parts: BytesParts & Pick<Depot, 'nodes'>,
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
      return sendBytes(request, reply, {
        digest,
        headers: headersOfBlob(isPrivate),
        mediaType: MEDIA.bytes,
        open: () => blob,
        hot: parts.hot,
      })
    },
  })
}

/** A blob that something in the depot names: if it is not here, that is not the client's mistake. */
export function blobOf(pool: Pick<Pool, 'open'>, digest: Digest): () => Soon<Blob> {
  return () =>
    after(pool.open(digest), (blob) => {
      if (blob === undefined) throw failure('blob-unavailable', { digest })
      return blob
    })
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
