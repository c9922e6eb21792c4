/**
 * What a `package.json` says about a release: name, version, summary, dependencies.
 *
 * Dependencies of a manifest are ranges of versions. What npm allows beside them (git and file addresses, aliases,
 * tags), and what is no plain dependency (optional ones, peers), stands under the annotation `npm`, so nothing is lost.
 */
import { canonicalBytes, type Json } from '../model/canonical.ts'
import { isFailure } from '../model/errors.ts'
import { LIMITS } from '../model/limits.ts'
import { parseReleaseName, type ReleaseName } from '../model/name.ts'
import { semverOrder, type Version } from '../model/version.ts'

export interface NpmPackage {
  readonly kind: 'package'
  readonly name: ReleaseName
  readonly version: Version
  readonly summary?: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, Json>>
}

/** It has no name or no version, or it has and a depot cannot hold them. */
export interface NoPackage {
  readonly kind: 'unnamed' | 'refused'
  readonly detail: string
}

type Members = Readonly<Record<string, unknown>>
type Specs = Readonly<Record<string, string>>

/** Room is left for what other tools annotate. */
const ANNOTATION_BYTES = LIMITS.annotationBytes / 2

export function readNpmPackage(text: string): NpmPackage | NoPackage {
  const members = parseMembers(text)
  if (members === undefined) return { kind: 'unnamed', detail: 'its package.json is not a JSON object' }
  const { name, version } = members
  if (typeof name !== 'string' || typeof version !== 'string' || name === '' || version === '')
    return { kind: 'unnamed', detail: 'its package.json has no name or no version' }
  try {
    return packageOf(parseReleaseName(name), semverOrder.parse(version), members)
  } catch (error) {
    if (!isFailure(error)) throw error
    return { kind: 'refused', detail: error.message }
  }
}

function packageOf(name: ReleaseName, version: Version, members: Members): NpmPackage {
  const summary = summaryOf(members['description'])
  const optional = specsOf(members['optionalDependencies'])
  // npm lists an optional dependency under `dependencies` as well.
  const plain = Object.entries(specsOf(members['dependencies'])).filter(
    ([to]) => !Object.hasOwn(optional, to),
  )
  const ranges = plain.filter(isRange)
  const annotation = annotationOf({
    dependencies: Object.fromEntries(plain.filter((entry) => !isRange(entry))),
    optionalDependencies: optional,
    peerDependencies: specsOf(members['peerDependencies']),
    os: textsOf(members['os']),
    cpu: textsOf(members['cpu']),
    license: members['license'],
  })
  return {
    kind: 'package',
    name,
    version,
    ...(summary === '' ? {} : { summary }),
    ...(ranges.length === 0 ? {} : { dependencies: Object.fromEntries(ranges) }),
    ...(annotation === undefined ? {} : { annotations: { npm: annotation } }),
  }
}

function parseMembers(text: string): Members | undefined {
  try {
    const value: unknown = JSON.parse(text.replace(/^\uFEFF/, ''))
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Members)
      : undefined
  } catch {
    return undefined
  }
}

function isRange([name, spec]: readonly [string, string]): boolean {
  try {
    parseReleaseName(name)
    return semverOrder.isRange(spec)
  } catch {
    return false
  }
}

/** On one line, and cut where it would not fit. */
function summaryOf(description: unknown): string {
  if (typeof description !== 'string') return ''
  let summary = description.toWellFormed().replaceAll(/\s+/g, ' ').trim().slice(0, LIMITS.summaryBytes)
  while (Buffer.byteLength(summary) > LIMITS.summaryBytes) summary = summary.slice(0, -1).toWellFormed()
  return summary
}

function specsOf(value: unknown): Specs {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return {}
  const entries = Object.entries(value as Members).filter(([, spec]) => typeof spec === 'string')
  return Object.fromEntries(entries) as Specs
}

function textsOf(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value]
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}

/** What of this is there, or why it is left out; undefined when there is nothing. */
function annotationOf(members: Members): Json | undefined {
  const present = Object.entries(members).filter(([, value]) => {
    if (typeof value === 'string') return value !== ''
    return typeof value === 'object' && value !== null && Object.keys(value).length > 0
  })
  if (present.length === 0) return undefined
  const annotation = Object.fromEntries(present) as Record<string, Json>
  try {
    return canonicalBytes(annotation).length <= ANNOTATION_BYTES ? annotation : { leftOut: 'too large' }
  } catch (error) {
    if (!isFailure(error)) throw error
    return { leftOut: 'not valid Unicode' }
  }
}
