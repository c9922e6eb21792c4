/**
 * What a request that is relayed is about: whether its answer is the same for everybody who asks so, and how a right
 * answer to it looks (PROTOCOL §2, §6).
 */
import type { IncomingMessage } from 'node:http'
import { type Digest, digestOfHex, hexOf } from '../../model/digest.ts'
import { ANY_GENERATION, HEADERS } from '../../wire/headers.ts'
import { digestIn, isRead } from './headers.ts'

export interface Wish {
  /** What every right answer with bytes says in `Depot-Generation`; undefined where nobody can tell. */
  readonly generation: string | undefined
  /** The digest that the URL names. */
  readonly digest: Digest | undefined
  /** Equal for requests that get the same answer; undefined where each is answered for itself. */
  readonly key: string | undefined
}

/** A node that is asked in the place of this one. */
export interface Target {
  readonly url: string
  /** Its word is good for what it has, and for nothing that it has not. */
  readonly isPeer: boolean
}

/** Of a K4 or K5 answer's head, that it is a blob: those alone have ranges. */
export interface SentBlob {
  readonly digest: Digest
  readonly size: number
}

const PINNED = /^\/g\/([^/?]+)\//
const OBJECT = /^\/o\/sha256\/([0-9a-f]{64})$/
/** Requests with one of these get an answer of their own. */
const OWN = [
  'range',
  'if-range',
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  HEADERS.form,
  HEADERS.exactGeneration,
  HEADERS.minGeneration,
  HEADERS.preview,
]
/** What an answer depends on beside its URL: who asks, and in which form it may come. */
const VARYING = ['authorization', 'accept', 'accept-encoding'] as const
const WITH_BYTES: ReadonlySet<number> = new Set([200, 206, 304])
const ETAG = /^"sha256-([0-9a-f]{64})"$/

export function wishOf(request: IncomingMessage): Wish {
  const { url = '', headers } = request
  const hex = OBJECT.exec(url)?.[1]
  const generation = PINNED.exec(url)?.[1] ?? (hex === undefined ? undefined : ANY_GENERATION)
  // Of a node as it is stored the digest is that of its plain bytes.
  const isBlob = hex !== undefined && headers[HEADERS.form] === undefined
  return {
    generation,
    digest: isBlob ? digestOfHex(hex) : undefined,
    key: generation !== undefined && isShared(request) ? keyOf(request) : undefined,
  }
}

function isShared({ method, headers }: IncomingMessage): boolean {
  return method === 'GET' && OWN.every((name) => headers[name] === undefined)
}

function keyOf(request: IncomingMessage): string {
  return JSON.stringify([request.url, varyingOf(request)])
}

/** The headers of a request that is made for many. */
export function varyingOf({ headers }: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    VARYING.flatMap((name) => (headers[name] === undefined ? [] : [[name, headers[name]]])),
  )
}

/**
 * Whether an answer is to be passed on. One that says 503 is not: another node may have it, or this one in a moment.
 * That something is nowhere is said by the origin, and by whoever has the whole generation.
 */
export function isGood(answer: IncomingMessage, { generation }: Wish, { isPeer }: Target): boolean {
  const status = answer.statusCode ?? 0
  const said = answer.headers[HEADERS.generation]
  const isOfGeneration = generation === undefined || said === generation
  if (WITH_BYTES.has(status)) return isOfGeneration
  if (!isPeer) return status !== 503
  return status === 416 || (status === 404 && generation !== ANY_GENERATION && isOfGeneration)
}

/** What the bytes of an answer have to be, in hexadecimal, where somebody has said so. */
export function expectedOf(
  answer: IncomingMessage,
  request: Pick<IncomingMessage, 'method'>,
  wish: Wish,
): string | undefined {
  if (answer.statusCode !== 200 || request.method === 'HEAD' || !isRead(request)) return undefined
  return wish.digest === undefined ? digestIn(answer) : hexOf(wish.digest)
}

/** The blob that an answer is the whole of; undefined for what is computed, and where its size is not said. */
export function blobIn(answer: IncomingMessage, wish: Wish): SentBlob | undefined {
  const { etag, 'content-length': length, 'accept-ranges': ranges } = answer.headers
  const hex = ETAG.exec(etag ?? '')?.[1]
  if (answer.statusCode !== 200 || ranges !== 'bytes' || hex === undefined || length === undefined)
    return undefined
  const digest = digestOfHex(hex)
  return wish.digest === undefined || wish.digest === digest ? { digest, size: Number(length) } : undefined
}
