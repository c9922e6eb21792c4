/**
 * Versions: text that a channel's format orders. The native format is semver (DESIGN §3, "Versions").
 *
 * A `VersionOrder` is all that the engine knows of versions; nothing below `format/` may assume semver. A native
 * version is accepted if and only if `semver.valid(v) === v`, so there is one spelling of each.
 */
import semver from 'semver'
import { failure } from './errors.ts'
import { LIMITS } from './limits.ts'
import { clip, compareUtf8 } from './name.ts'

declare const brand: unique symbol
export type Version = string & { readonly [brand]: 'Version' }

export interface VersionOrder {
  /** Fails with `version-invalid`. */
  parse(text: string): Version
  /** Negative when `a` is older than `b`. Total: different versions never compare as 0. */
  compare(a: Version, b: Version): number
  /** Whether the text is a range of this format. */
  isRange(text: string): boolean
  satisfies(version: Version, range: string): boolean
}

export const semverOrder: VersionOrder = {
  parse(text) {
    if (text.length > LIMITS.versionBytes)
      throw failure('version-invalid', {
        version: clip(text),
        reason: `has more than ${LIMITS.versionBytes} characters`,
      })
    if (semver.valid(text) !== text)
      throw failure('version-invalid', {
        version: clip(text),
        reason: 'is not a semver version like 1.2.3 or 2.0.0-rc.1 (without build metadata)',
      })
    return text as Version
  },
  compare(a, b) {
    // `semver` reads numbers of a prerelease as doubles: beyond 2^53 it takes different ones for equal.
    return semver.compare(a, b) || a.length - b.length || compareUtf8(a, b)
  },
  isRange(text) {
    return text.length <= LIMITS.versionBytes && semver.validRange(text) !== null
  },
  satisfies(version, range) {
    return semver.satisfies(version, range)
  },
}
