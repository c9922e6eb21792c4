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
import { pumpRaw } from './pump.ts'

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
  const etag = etagOf(outgoing.digest)
  if (!isUnmodified(request.headers['if-none-match'], etag))
    return after(outgoing.open(), (blob) => sendBlob(request, reply, { ...outgoing, etag, blob }))
  reply.hijack()
  reply.raw.writeHead(304, [...outgoing.headers, 'etag', etag]).end()
  return reply
}

interface Opened extends Outgoing {
  readonly etag: string
  readonly blob: Blob
}

function sendBlob(request: FastifyRequest, reply: FastifyReply, opened: Opened): Soon<FastifyReply> {
  const { etag, blob } = opened
  const isHead = request.method === 'HEAD'
  const range = askedRange(request, etag, blob)
  const { start, end } = range ?? { start: 0, end: blob.size }
  const list = headersOfBytes(opened, range)
  const status = range === undefined ? 200 : 206
  if (!isHead && blob.bytes === undefined)
    return pumpRaw(reply, { status, headers: list }, blob.read(start, end))
  const bytes = blob.bytes?.subarray(start, end)
  reply.hijack()
  reply.raw.writeHead(status, list)
  reply.raw.end(isHead ? undefined : bytes)
  if (status === 200 && bytes !== undefined) opened.hot?.keep(request.raw, list, bytes)
  return reply
}

function headersOfBytes(opened: Opened, range: ByteRange | undefined): string[] {
  const { digest, headers, mediaType, etag, blob } = opened
  const { start, end } = range ?? { start: 0, end: blob.size }
  const list = [...headers, 'etag', etag, 'content-type', mediaType, 'accept-ranges', 'bytes']
  list.push('repr-digest', reprDigestOf(digest), 'x-content-type-options', 'nosniff')
  list.push('content-length', String(end - start))
  if (range !== undefined) list.push('content-range', `bytes ${start}-${end - 1}/${blob.size}`)
  return list
}

function askedRange(request: FastifyRequest, etag: string, blob: Blob): ByteRange | undefined {
  if (request.method !== 'GET') return undefined
  const { range, 'if-range': ifRange } = request.headers
  return rangeOf(range, typeof ifRange === 'string' ? ifRange : undefined, etag, blob.size)
}
