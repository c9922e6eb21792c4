/**
 * The packaging systems a channel can speak. A format says what a version is; the engine knows no more of it than
 * this descriptor (DESIGN §3, "Versions").
 */
import { failure } from '../model/errors.ts'
import { clip } from '../model/name.ts'
import { semverOrder, type VersionOrder } from '../model/version.ts'

export type FormatName = 'semver'

export interface Format {
  readonly name: FormatName
  readonly order: VersionOrder
}

const FORMATS: Readonly<Record<FormatName, Format>> = {
  semver: { name: 'semver', order: semverOrder },
}

/** Fails with `bad-request` when no format has this name. */
export function formatOf(name: string): Format {
  if (Object.hasOwn(FORMATS, name)) return FORMATS[name as FormatName]
  throw failure('bad-request', {
    reason: `there is no format "${clip(name)}"; there are: ${Object.keys(FORMATS).join(', ')}`,
  })
}
