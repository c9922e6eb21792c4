/**
 * What every read answers with: which generation it came from, how long it may be kept, and its ETag (PROTOCOL §2,
 * §7). Routes choose one of a few kinds; nobody else writes these headers.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { View } from '../depot/read/view.ts'
import { canonicalBytes, type Json } from '../model/canonical.ts'
import { type Digest, digestOf, hexOf } from '../model/digest.ts'
import type { Generation } from '../model/generation.ts'
import { LIMITS } from '../model/limits.ts'
import { ANY_GENERATION, HEADERS, MEDIA } from '../wire/headers.ts'
import { pinned } from '../wire/paths.ts'
import { isUnmodified } from './conditional.ts'

/** From where a read is answered: the view, and whether the request named its generation. */
export interface Reading {
  readonly view: View
  readonly mount: Mount
  /** The head when the request was answered. */
  readonly head: Generation
  /** Whether the answer needed a token, so that no shared cache may keep it. */
  readonly isPrivate: boolean
}

/** `head`: unpinned. `pinned`: under `/g/<gid>` or with `Depot-Exact-Generation`. `preview`: of a stage. */
export type Mount = 'head' | 'pinned' | 'preview'

const YEAR_SECONDS = 31_536_000

/** `Depot-Generation` and, where no cache can freeze it, `Depot-Head`. */
export function stampGeneration(reply: FastifyReply, { view, mount, head }: Reading): void {
  if (mount === 'preview') reply.header(HEADERS.generation, `${view.gid};st=staging`)
  else reply.header(HEADERS.generation, view.gid)
  if (mount === 'head') reply.header(HEADERS.head, head.gid)
  else reply.removeHeader(HEADERS.head)
}

/** A list or a record, which changes with the head (K1, K2) or is fixed under a pin (K5). */
export function sendJson(
  request: FastifyRequest,
  reply: FastifyReply,
  reading: Reading,
  body: object,
): FastifyReply {
  const bytes = canonicalBytes(body as Json)
  if (stampChanging(request, reply, { reading, digest: digestOf(bytes) })) return reply.code(304).send()
  return reply.type(MEDIA.json).send(bytes)
}

/** What identifies bytes that change with the head. */
export interface Changing {
  readonly reading: Reading
  /** Of the representation, or of the tree it is made of. */
  readonly digest: Digest
  /** Another form of the same bytes, `gzip`; undefined where there is one form only. */
  readonly form?: 'gzip' | 'plain'
}

/** Writes the headers of K1 and K2 (or K5 when pinned); true when the client has these bytes already. */
export function stampChanging(request: FastifyRequest, reply: FastifyReply, changing: Changing): boolean {
  const { reading, form } = changing
  stampGeneration(reply, reading)
  const etag = etagOfChanging(changing)
  reply.header('etag', etag).header('accept-ranges', 'none').header('cache-control', cacheControlOf(reading))
  const vary = form === undefined ? [] : ['accept-encoding']
  if (reading.mount === 'head') {
    reply.header('content-location', pinned(reading.view.gid, request.url))
    vary.push(HEADERS.minGeneration, HEADERS.exactGeneration)
  }
  if (vary.length > 0) reply.header('vary', vary.join(', '))
  return isUnmodified(request.headers['if-none-match'], etag)
}

/** `no-cache` for what may change, a week for what is pinned, and nothing at all for a stage. */
export function cacheControlOf({ mount, isPrivate }: Pick<Reading, 'mount' | 'isPrivate'>): string {
  const scope = isPrivate ? 'private' : 'public'
  switch (mount) {
    case 'head':
      return isPrivate ? 'private, no-cache' : 'no-cache'
    case 'pinned':
      return `${scope}, max-age=${LIMITS.pinnedMaxAgeSeconds}, immutable, no-transform`
    case 'preview':
      return 'private, no-store'
  }
}

/** Of bytes that are asked for by their digest (K4). */
export function cacheControlOfBlob(isPrivate: boolean): string {
  return `${isPrivate ? 'private' : 'public'}, max-age=${YEAR_SECONDS}, immutable, no-transform`
}

export function stampAny(reply: FastifyReply): void {
  reply.header(HEADERS.generation, ANY_GENERATION).removeHeader(HEADERS.head)
}

/** The strong ETag of bytes that are fixed: their digest alone. */
export function etagOf(digest: Digest): string {
  return `"sha256-${hexOf(digest)}"`
}

function etagOfChanging({ reading, digest, form }: Changing): string {
  const suffix = form === 'gzip' ? ';gzip' : ''
  const prefix = reading.mount === 'head' ? `${reading.view.gid}/` : ''
  return `"${prefix}sha256-${hexOf(digest)}${suffix}"`
}
