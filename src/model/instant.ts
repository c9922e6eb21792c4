/**
 * Moments as RFC 3339 text in UTC with milliseconds, the only form in which a time is stored or sent.
 *
 * This file reads no clock: it turns numbers into text and back. The present comes from a `Clock`.
 */
import { failure } from './errors.ts'

const PATTERN = /^(\d{4}-\d\d-\d\d)T(?!24)\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/

/** `2026-11-22T04:22:08.000Z` for milliseconds since 1970. */
export function instantOf(epochMs: number): string {
  // oxlint-disable-next-line no-restricted-globals -- the format, not the present
  return new Date(epochMs).toISOString()
}

/** Milliseconds since 1970, or undefined when the text is no RFC 3339 time. */
export function epochOf(text: string): number | undefined {
  const day = PATTERN.exec(text)?.[1]
  if (day === undefined || !isDay(day)) return undefined
  // oxlint-disable-next-line no-restricted-globals -- the format, not the present
  const epochMs = Date.parse(text)
  return Number.isNaN(epochMs) ? undefined : epochMs
}

/** Fails with `bad-request` when the text is no RFC 3339 time. */
export function parseInstant(text: string): number {
  const epochMs = epochOf(text)
  if (epochMs === undefined)
    throw failure('bad-request', { reason: `"${text.slice(0, 60)}" is not an RFC 3339 time` })
  return epochMs
}

/** Whether the month has that day: `Date.parse` takes 30 February for 2 March. */
function isDay(day: string): boolean {
  // oxlint-disable-next-line no-restricted-globals -- the format, not the present
  const midnight = Date.parse(`${day}T00:00:00Z`)
  return !Number.isNaN(midnight) && instantOf(midnight).startsWith(day)
}
