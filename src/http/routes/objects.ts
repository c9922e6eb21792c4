/**
 * `GET /o/sha256/{hex}`: any blob by its digest, for ever the same (K4); with `Depot-Form: segment` a node of a tree as
 * it is stored, for whoever copies it (PROTOCOL §4).
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Depot } from '../../depot/depot.ts'
import { type ObjectForm, packedNode } from '../../depot/read/objects.ts'
import type { Blob, Pool } from '../../depot/types.ts'
import { type Digest, digestOfHex } from '../../model/digest.ts'
import { failure } from '../../model/errors.ts'
import { clip } from '../../model/name.ts'
import { after, type Soon } from '../../model/soon.ts'
import { HEADERS, MEDIA } from '../../wire/headers.ts'
import { etagOfSegment, headersOfBlob } from '../answer.ts'
import { isUnmodified } from '../conditional.ts'
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
    schema: { summary: 'A blob by its digest', tags: ['read'], produces: [MEDIA.bytes, MEDIA.segment] },
    handler: async (request, reply) => {
      const isPrivate = guard.read(request)
      const digest = digestOfHex(request.params.hex)
      // Only what is a node has two forms, which caches must tell apart.
      const isNode = parts.nodes.has(digest)
      const headers = [...headersOfBlob(isPrivate), ...(isNode ? ['vary', HEADERS.form] : [])]
      if (formOf(request) === 'segment') return sendSegment(request, reply, { ...parts, digest, headers })
      const blob = await findBlob(parts, digest)
      return sendBytes(request, reply, {
        digest,
        headers,
        mediaType: MEDIA.bytes,
        open: () => blob,
        hot: parts.hot,
      })
    },
  })
}

/** Fails with `bad-request` for a form that nobody knows. */
export function formOf({ headers }: FastifyRequest): ObjectForm {
  const form = headers[HEADERS.form]
  if (form === undefined) return 'blob'
  if (form === 'segment') return form
  throw failure('bad-request', { reason: `${HEADERS.form} can be segment, and not "${clip(String(form))}"` })
}

interface OutgoingSegment extends Pick<Depot, 'nodes'> {
  readonly digest: Digest
  readonly headers: readonly string[]
}

/** Always whole, and never kept at hand. Fails with `not-found` for what is no node here, or with `blob-corrupt`. */
function sendSegment(
  request: FastifyRequest,
  reply: FastifyReply,
  { nodes, digest, headers }: OutgoingSegment,
): FastifyReply {
  const bytes = packedNode(nodes, digest)
  if (bytes === undefined) throw failure('not-found', { what: `node ${digest}` })
  const etag = etagOfSegment(digest)
  const stamped = [...headers, 'etag', etag, 'accept-ranges', 'none']
  const isKnown = isUnmodified(request.headers['if-none-match'], etag)
  reply.hijack()
  if (isKnown) reply.raw.writeHead(304, stamped).end()
  else {
    stamped.push('content-type', MEDIA.segment, 'x-content-type-options', 'nosniff')
    reply.raw.writeHead(200, [...stamped, 'content-length', String(bytes.length)])
    reply.raw.end(request.method === 'HEAD' ? undefined : bytes)
  }
  return reply
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
