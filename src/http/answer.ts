/**
 * What every read answers with: which generation it came from, how long it may be kept, and its ETag (PROTOCOL §2,
 * §7). Routes choose one of a few kinds; nobody else writes these headers.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Head } from '../depot/head.ts'
import type { View } from '../depot/read/view.ts'
import { canonicalBytes, type Json } from '../model/canonical.ts'
import { type Digest, digestOf, hexOf, reprDigestOf } from '../model/digest.ts'
import type { Generation } from '../model/generation.ts'
import { LIMITS } from '../model/limits.ts'
import { ANY_GENERATION, HEADERS, MEDIA, NO_GENERATION } from '../wire/headers.ts'
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
  /** Whether a pinned answer would leave out what changes, so that this is no other form of it. */
  readonly tellsMore?: boolean
}

/**
 * `head`: unpinned. `pinned`: under `/g/<gid>`. `exact`: pinned by `Depot-Exact-Generation` alone, so that a cache,
 * which goes by the URL, must not keep it. `preview`: of a stage.
 */
export type Mount = 'head' | 'pinned' | 'exact' | 'preview'

const YEAR_SECONDS = 31_536_000
const PINNED = `max-age=${LIMITS.pinnedMaxAgeSeconds}, immutable, no-transform`
const PINNED_PUBLIC = `public, ${PINNED}`
const PINNED_PRIVATE = `private, ${PINNED}`

/** The head as headers name it; `none` where there is none yet. */
export function gidOfHead(head: Pick<Head, 'isThere' | 'now'>): string {
  return head.isThere() ? head.now().gid : NO_GENERATION
}

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
  const digest = digestOf(bytes)
  if (stampChanging(request, reply, { reading, digest })) return reply.code(304).send()
  if (reading.mount === 'pinned') reply.header('repr-digest', reprDigestOf(digest))
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
  const etag = etagOfChanging(changing)
  reply.header('etag', etag).header('accept-ranges', 'none')
  stampReading(request, reply, reading, form === undefined ? [] : ['accept-encoding'])
  return isUnmodified(request.headers['if-none-match'], etag)
}

/** What every answer from a view has: its generation, how long it may be kept, and where it stands for ever. */
export function stampReading(
  request: FastifyRequest,
  reply: FastifyReply,
  reading: Reading,
  vary: readonly string[] = [],
): void {
  stampGeneration(reply, reading)
  const headers = headersOfReading(request, reading, vary)
  for (let at = 0; at < headers.length; at += 2) reply.header(headers[at] ?? '', headers[at + 1])
}

/** The same as a list, names and values in turn, for answers that go straight into the socket. */
export function headersOfReading(
  request: FastifyRequest,
  reading: Reading,
  vary: readonly string[] = [],
): string[] {
  const { view, mount, head, tellsMore } = reading
  const generation = mount === 'preview' ? `${view.gid};st=staging` : view.gid
  const headers = [HEADERS.generation, generation, 'cache-control', cacheControlOf(reading)]
  if (mount === 'head') headers.push(HEADERS.head, head.gid)
  const isUnpinned = mount === 'head' || mount === 'exact'
  // A request line may hold a whole URL; only a path can be put under a pin.
  if (isUnpinned && tellsMore !== true && request.url.startsWith('/'))
    headers.push('content-location', pinned(view.gid, request.url))
  const varies = isUnpinned ? [...vary, HEADERS.minGeneration, HEADERS.exactGeneration] : vary
  if (varies.length > 0) headers.push('vary', varies.join(', '))
  return headers
}

/** `no-cache` for what may change, a week for what is pinned, and nothing at all for a stage. */
export function cacheControlOf({ mount, isPrivate }: Pick<Reading, 'mount' | 'isPrivate'>): string {
  switch (mount) {
    case 'head':
    case 'exact':
      return isPrivate ? 'private, no-cache' : 'no-cache'
    case 'pinned':
      return isPrivate ? PINNED_PRIVATE : PINNED_PUBLIC
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

/** What every answer from a view that the URL pins has, for a reader who needed no token: see `headersOfReading`. */
export function headersOfPinned({ gid }: Pick<View, 'gid'>): string[] {
  return [HEADERS.generation, gid, 'cache-control', PINNED_PUBLIC]
}

/** The headers of bytes that are asked for by their digest. */
export function headersOfBlob(isPrivate: boolean): string[] {
  return [HEADERS.generation, ANY_GENERATION, 'cache-control', cacheControlOfBlob(isPrivate)]
}

/** The strong ETag of bytes that are fixed: their digest alone. */
export function etagOf(digest: Digest): string {
  return `"sha256-${hexOf(digest)}"`
}

/** Of a node as it is stored: other bytes under the same digest. */
export function etagOfSegment(digest: Digest): string {
  return `"sha256-${hexOf(digest)};segment"`
}

function etagOfChanging({ reading, digest, form }: Changing): string {
  const suffix = form === 'gzip' ? ';gzip' : ''
  const prefix = reading.mount === 'head' || reading.mount === 'exact' ? `${reading.view.gid}/` : ''
  return `"${prefix}sha256-${hexOf(digest)}${suffix}"`
}
