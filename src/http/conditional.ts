/**
 * Conditional requests and ranges (RFC 9110 §13, §14), for strong ETags only: the depot has no others.
 */
import { failure } from '../model/errors.ts'

/** Bytes from `start` up to, not including, `end`. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

const RANGE = /^bytes=(\d{0,15})-(\d{0,15})$/
const ETAG = /(?:W\/)?"[^"]*"/g

/** Whether an `If-None-Match` names this ETag, so that 304 is the answer. Weak comparison (RFC 9110 §13.1.2). */
export function isUnmodified(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false
  if (ifNoneMatch.trim() === '*') return true
  return (ifNoneMatch.match(ETAG) ?? []).some((candidate) => candidate.replace(/^W\//, '') === etag)
}

/**
 * The range to answer with 206; undefined when the whole is the answer: no range, several, one of a kind that is not
 * understood, or one whose `If-Range` is about other bytes. Fails with `range-not-satisfiable`.
 */
export function rangeOf(
  range: string | undefined,
  ifRange: string | undefined,
  etag: string,
  size: number,
): ByteRange | undefined {
  if (range === undefined || (ifRange !== undefined && ifRange.trim() !== etag)) return undefined
  const [, first = '', last = ''] = RANGE.exec(range.trim()) ?? []
  if (first === '') return last === '' ? undefined : suffixOf(Number(last), size)
  return stretchOf(Number(first), last === '' ? Number.POSITIVE_INFINITY : Number(last), size)
}

/** From the byte `start` to the byte `last`, or to the end; undefined when it goes backwards, which is no range. */
function stretchOf(start: number, last: number, size: number): ByteRange | undefined {
  if (last < start) return undefined
  if (start >= size) throw failure('range-not-satisfiable', { size })
  return { start, end: Math.min(last + 1, size) }
}

function suffixOf(length: number, size: number): ByteRange {
  if (length === 0 || size === 0) throw failure('range-not-satisfiable', { size })
  return { start: Math.max(0, size - length), end: size }
}

/** Whether gzip is acceptable (RFC 9110 §12.5.3): named or starred, and not with `q=0`. */
export function acceptsGzip(acceptEncoding: string | undefined): boolean {
  const weights = new Map<string, number>()
  for (const part of (acceptEncoding ?? '').split(',')) {
    const [coding = '', ...parameters] = part.split(';').map((text) => text.trim().toLowerCase())
    const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2)
    weights.set(coding, weight === undefined ? 1 : Number(weight))
  }
  const weight = weights.get('gzip') ?? weights.get('x-gzip') ?? weights.get('*') ?? 0
  return weight > 0
}
