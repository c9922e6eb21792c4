/**
 * Sending a blob: a manifest, a file, or any blob by its digest (K3, K4, K5).
 *
 * The answer goes straight into the socket, with its headers as one list: the framework would look at both from all
 * sides first, which costs as much as finding the bytes did. Small blobs are sent as they are. A large one goes from
 * the disk to the socket through two buffers that are used again and again, so a download of any size holds 2 MiB.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Blob } from '../depot/types.ts'
import { type Digest, reprDigestOf } from '../model/digest.ts'
import { after, type Soon } from '../model/soon.ts'
import { etagOf } from './answer.ts'
import { type ByteRange, isUnmodified, rangeOf } from './conditional.ts'
import type { HotAnswers } from './hot-answers.ts'
import { pumpRaw, type Start } from './pump.ts'

/** A blob as it goes out. */
export interface Outgoing {
  readonly digest: Digest
  readonly mediaType: string
  /** Where it comes from and how long it may be kept: names and values in turn. */
  readonly headers: readonly string[]
  /** Opened only when the bytes are needed. */
  readonly open: () => Soon<Blob>
  /** Where a small answer that can never be another one is kept. */
  readonly hot: HotAnswers | undefined
}

/** Answers 200, 206, 304 or fails with `range-not-satisfiable`. HEAD sends the headers of GET. */
export function sendBytes(
  request: FastifyRequest,
  reply: FastifyReply,
  outgoing: Outgoing,
): Soon<FastifyReply> {
  const ifNoneMatch = request.headers['if-none-match']
  if (ifNoneMatch === undefined || !isUnmodified(ifNoneMatch, etagOf(outgoing.digest)))
    return after(outgoing.open(), (blob) => sendBlob(request, reply, outgoing, blob))
  reply.hijack()
  reply.raw.writeHead(304, [...outgoing.headers, 'etag', etagOf(outgoing.digest)]).end()
  return reply
}

/** All headers of an answer with so many of its bytes, names and values in turn. */
export function headersOfBytes(
  { digest, headers, mediaType }: Pick<Outgoing, 'digest' | 'headers' | 'mediaType'>,
  size: number,
): string[] {
  // Written out, for this is made for every small answer.
  return [
    ...headers,
    'etag',
    etagOf(digest),
    'content-type',
    mediaType,
    'accept-ranges',
    'bytes',
    'repr-digest',
    reprDigestOf(digest),
    'x-content-type-options',
    'nosniff',
    'content-length',
    String(size),
  ]
}

function sendBlob(
  request: FastifyRequest,
  reply: FastifyReply,
  outgoing: Outgoing,
  blob: Blob,
): Soon<FastifyReply> {
  const range = askedRange(request, outgoing.digest, blob)
  const start = startOf(outgoing, blob, range)
  if (request.method === 'HEAD') return sendSmall(reply, start)
  if (blob.bytes === undefined) return pumpRaw(reply, start, blob.read(range?.start, range?.end))
  if (range !== undefined) return sendSmall(reply, start, blob.bytes.subarray(range.start, range.end))
  outgoing.hot?.keep(request.raw, start.headers, blob.bytes)
  return sendSmall(reply, start, blob.bytes)
}

function startOf(outgoing: Outgoing, { size }: Blob, range: ByteRange | undefined): Start {
  if (range === undefined) return { status: 200, headers: headersOfBytes(outgoing, size) }
  const { start, end } = range
  const headers = headersOfBytes(outgoing, end - start)
  headers.push('content-range', `bytes ${start}-${end - 1}/${size}`)
  return { status: 206, headers }
}

function sendSmall(reply: FastifyReply, { status, headers }: Start, bytes?: Uint8Array): FastifyReply {
  reply.hijack()
  reply.raw.writeHead(status, headers as string[])
  reply.raw.end(bytes)
  return reply
}

function askedRange(request: FastifyRequest, digest: Digest, blob: Blob): ByteRange | undefined {
  const { range, 'if-range': ifRange } = request.headers
  if (range === undefined || request.method !== 'GET') return undefined
  return rangeOf(range, typeof ifRange === 'string' ? ifRange : undefined, etagOf(digest), blob.size)
}
