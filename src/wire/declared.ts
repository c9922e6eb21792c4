/**
 * The list of blobs that a publisher declares: as one JSON value `{"blobs": [...]}` while it is short, and as lines,
 * `{"digest", "size"}` each, when it is long.
 *
 * One JSON value is parsed at one go, and nobody else gets a turn meanwhile; lines are parsed in slices. A list that is
 * refused is refused at the first blob that is wrong, so nobody pays for looking at the rest.
 */
import { isDigest } from '../model/digest.ts'
import { failure } from '../model/errors.ts'
import { LIMITS } from '../model/limits.ts'
import { nestsDeeper } from '../model/nesting.ts'
import { slices } from '../model/slice.ts'
import type { Clock } from '../model/world.ts'
import type { DeclaredBlob } from './bodies.ts'
import { MEDIA } from './headers.ts'

/** So many blobs are well below `LIMITS.jsonListBytes`. */
const SHORT_LIST = 1_000
/** Of a line, with room for spaces. */
const LINE_BYTES = 1_024
/** A list in an object, with objects in it. */
const DEPTH = 3
const NEWLINE = 0x0a

/** The list as a body, in the form that suits its length. */
export function encodeDeclared(blobs: readonly DeclaredBlob[]): {
  readonly type: string
  readonly bytes: Buffer
} {
  const plain = blobs.map(({ digest, size }) => ({ digest, size }))
  if (plain.length <= SHORT_LIST)
    return { type: MEDIA.json, bytes: Buffer.from(JSON.stringify({ blobs: plain })) }
  const lines = plain.map((blob) => `${JSON.stringify(blob)}\n`)
  return { type: MEDIA.ndjson, bytes: Buffer.from(lines.join('')) }
}

/** Fails with `limit-exceeded` when so many bytes of JSON cannot be parsed at one go. */
export function demandShortList(bytes: number): void {
  if (bytes > LIMITS.jsonListBytes)
    throw failure('limit-exceeded', {
      what: `bytes of a list as JSON (send a longer one as ${MEDIA.ndjson}, one {"digest","size"} a line)`,
      limit: LIMITS.jsonListBytes,
      found: bytes,
    })
}

/** Reads the one JSON value. Fails with `bad-request` or `limit-exceeded`. */
export function readDeclaredJson(text: Buffer): readonly DeclaredBlob[] {
  demandShortList(text.length)
  if (nestsDeeper(text, DEPTH))
    throw failure('limit-exceeded', { what: 'levels of nesting in a list of blobs', limit: DEPTH })
  const value = jsonIn(text)
  if (!isObjectOf(value, ['blobs']) || !Array.isArray(value['blobs']))
    throw failure('bad-request', { reason: 'the body must be {"blobs": [...]}, and nothing else' })
  return value['blobs'].map(declaredBlob)
}

/** Reads lines; the last one may lack its newline. Fails with `bad-request` or `limit-exceeded`. */
export async function readDeclaredLines(
  text: Buffer,
  clock: Pick<Clock, 'monotonic'>,
): Promise<readonly DeclaredBlob[]> {
  const blobs: DeclaredBlob[] = []
  const pace = slices(clock)
  for (let at = 0; at < text.length; ) {
    if (blobs.length === LIMITS.missingDigests)
      throw failure('limit-exceeded', { what: 'declared blobs', limit: LIMITS.missingDigests })
    const newline = text.indexOf(NEWLINE, at)
    const end = newline === -1 ? text.length : newline
    if (end - at > LINE_BYTES)
      throw failure('limit-exceeded', { what: 'bytes of a line', limit: LINE_BYTES, found: end - at })
    blobs.push(declaredBlob(jsonIn(text.subarray(at, end)), blobs.length))
    at = end + 1
    const turn = pace.breathe()
    if (turn !== undefined) await turn
  }
  return blobs
}

function declaredBlob(value: unknown, at: number): DeclaredBlob {
  if (isObjectOf(value, ['digest', 'size'])) {
    const { digest, size } = value
    if (isDigest(digest) && isSize(size)) return { digest, size }
  }
  throw failure('bad-request', {
    reason: `blob ${at + 1} of the list must have a digest, sha256:<64 hex>, and a size from 0 to ${LIMITS.blobBytes}, and nothing else`,
  })
}

function isSize(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= LIMITS.blobBytes
}

function isObjectOf<Key extends string>(
  value: unknown,
  keys: readonly Key[],
): value is Readonly<Record<Key, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Object.keys(value).length === keys.length && keys.every((key) => Object.hasOwn(value, key))
}

/** Undefined, which is no value of JSON, when the text is none. */
function jsonIn(text: Buffer): unknown {
  try {
    return JSON.parse(text.toString())
  } catch {
    return undefined
  }
}
