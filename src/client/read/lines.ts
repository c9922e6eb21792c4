/**
 * The lines of a catalog, a diff, a scrub and an adoption as values: read by hand and not by a schema, for there may be a million.
 */
import { isDigest } from '../../model/digest.ts'
import { isGid } from '../../model/generation.ts'
import type { AdoptLine, DiffLine, ReleaseBody, ScrubLine } from '../../wire/bodies.ts'
import type { LineBounds } from '../../wire/ndjson.ts'

/** Room for the longest name, version, summary and reason, with every character escaped. */
const LINE_BYTES = 16_384
const STATUSES: ReadonlySet<unknown> = new Set([undefined, 'yanked', 'deprecated'])
const OPERATIONS: ReadonlySet<unknown> = new Set(['added', 'removed', 'changed'])

type Members = Readonly<Record<string, unknown>>

export function boundsOf(answer: { readonly url: string }): LineBounds {
  return { url: answer.url, lineBytes: LINE_BYTES }
}

export function releaseOf(value: unknown): ReleaseBody | undefined {
  return isObject(value) && isRelease(value) ? (value as unknown as ReleaseBody) : undefined
}

export function diffLineOf(value: unknown): DiffLine | undefined {
  if (!isObject(value) || !isRelease(value) || !OPERATIONS.has(value['op'])) return undefined
  if (!isTextOrAbsent(value['channel'])) return undefined
  return value['was'] === undefined || isDigest(value['was']) ? (value as unknown as DiffLine) : undefined
}

export function scrubLineOf(value: unknown): ScrubLine | undefined {
  return isObject(value) && isScrubLine(value) ? (value as unknown as ScrubLine) : undefined
}

export function adoptLineOf(value: unknown): AdoptLine | undefined {
  return isObject(value) && isAdoptLine(value) ? (value as unknown as AdoptLine) : undefined
}

function isAdoptLine({ kind, done, needed, gid, changed, type }: Members): boolean {
  if (kind === 'progress') return isCount(done) && isCount(needed)
  if (kind === 'done') return isGid(gid) && typeof changed === 'boolean'
  return kind === 'failed' && typeof type === 'string'
}

function isScrubLine({ kind, checked, bytes, damaged, digest, reason }: Members): boolean {
  if (kind === 'damaged') return isDigest(digest) && typeof reason === 'string'
  const sums = kind === 'progress' ? [checked, bytes] : [checked, bytes, damaged]
  return (kind === 'progress' || kind === 'done') && sums.every(isCount)
}

function isRelease({ name, version, manifest, size, published, summary, status, reason }: Members): boolean {
  return (
    typeof name === 'string' &&
    typeof version === 'string' &&
    isDigest(manifest) &&
    isCount(size) &&
    STATUSES.has(status) &&
    [published, summary, reason].every(isTextOrAbsent)
  )
}

function isTextOrAbsent(value: unknown): boolean {
  return value === undefined || typeof value === 'string'
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function isObject(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
