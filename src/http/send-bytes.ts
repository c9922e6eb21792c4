/**
 * Sending a blob: a manifest, a file, or any blob by its digest (K3, K4, K5).
 *
 * Small blobs are sent as they are. A large one goes from the disk to the socket through two buffers that are used
 * again and again, so a download of any size holds 2 MiB; each piece is out before the next is read, which is also
 * the back-pressure.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Blob } from '../depot/types.ts'
import { type Digest, reprDigestOf } from '../model/digest.ts'
import { etagOf } from './answer.ts'
import { type ByteRange, isUnmodified, rangeOf } from './conditional.ts'
import { pump } from './pump.ts'

/** A blob as it goes out. The generation and the cache headers are on the reply already. */
export interface Outgoing {
  readonly digest: Digest
  readonly mediaType: string
  /** Opened only when the bytes are needed. */
  readonly open: () => Promise<Blob>
}

/** Answers 200, 206, 304 or fails with `range-not-satisfiable`. HEAD sends the headers of GET. */
export async function sendBytes(
  request: FastifyRequest,
  reply: FastifyReply,
  outgoing: Outgoing,
): Promise<FastifyReply> {
  const etag = etagOf(outgoing.digest)
  reply.header('etag', etag)
  if (isUnmodified(request.headers['if-none-match'], etag)) return reply.code(304).send()
  const blob = await outgoing.open()
  reply
    .header('content-type', outgoing.mediaType)
    .header('accept-ranges', 'bytes')
    .header('repr-digest', reprDigestOf(outgoing.digest))
    .header('x-content-type-options', 'nosniff')
  const range = askedRange(request, etag, blob)
  if (range !== undefined)
    reply.code(206).header('content-range', `bytes ${range.start}-${range.end - 1}/${blob.size}`)
  const { start, end } = range ?? { start: 0, end: blob.size }
  reply.header('content-length', end - start)
  if (request.method === 'HEAD') return reply.send()
  if (blob.bytes !== undefined) return reply.send(blob.bytes.subarray(start, end))
  return pump(reply, blob.read(start, end))
}

function askedRange(request: FastifyRequest, etag: string, blob: Blob): ByteRange | undefined {
  if (request.method !== 'GET') return undefined
  const { range, 'if-range': ifRange } = request.headers
  return rangeOf(range, typeof ifRange === 'string' ? ifRange : undefined, etag, blob.size)
}
