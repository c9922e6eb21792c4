/**
 * Names of channels, releases and files, each checked once and branded.
 *
 * The rules keep a name safe as a URL segment, a file name and a key of the tree: no control character, nothing that
 * a file system or a proxy would normalise away, bounded length. They know nothing of any packaging system.
 */
import { failure } from './errors.ts'
import { LIMITS } from './limits.ts'

declare const brand: unique symbol
export type ChannelName = string & { readonly [brand]: 'ChannelName' }
export type ReleaseName = string & { readonly [brand]: 'ReleaseName' }
export type FilePath = string & { readonly [brand]: 'FilePath' }

const CHANNEL = /^[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?$/
// oxlint-disable-next-line no-control-regex -- control characters are what it refuses
const FORBIDDEN = /[\u0000-\u001f\u007f-\u009f\\]/

/** Lower-case letters, digits, `.`, `_`, `-`; begins and ends with a letter or digit. Fails with `name-invalid`. */
export function parseChannelName(name: string): ChannelName {
  if (name.length > LIMITS.channelNameBytes)
    throw failure('name-invalid', {
      name: clip(name),
      reason: `has more than ${LIMITS.channelNameBytes} characters`,
    })
  if (!CHANNEL.test(name) || name.includes('..'))
    throw failure('name-invalid', {
      name: clip(name),
      reason: 'is not a channel name: a-z, 0-9, and ". _ -" between them',
    })
  return name as ChannelName
}

/**
 * Any printable text without backslash, of segments that are not empty, `.` or `..`: `left-pad`, `@scope/name`,
 * `library/zlib`. Fails with `name-invalid`.
 */
export function parseReleaseName(name: string): ReleaseName {
  const reason = faultOfSegments(name, LIMITS.releaseNameBytes)
  if (reason !== undefined) throw failure('name-invalid', { name: clip(name), reason })
  return name as ReleaseName
}

/** A path inside a release: relative, normalised, with `/` alone. Fails with `path-invalid`. */
export function parseFilePath(path: string): FilePath {
  const reason = faultOfSegments(path, LIMITS.pathBytes)
  if (reason !== undefined) throw failure('path-invalid', { path: clip(path), reason })
  return path as FilePath
}

/** Orders text by its UTF-8 bytes, which JavaScript's `<` (UTF-16 units) does not where characters need two units. */
export function compareUtf8(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

/** Text that people wrote, as it can stand in canonical JSON: no half of a surrogate pair. Fails with `bad-request`. */
export function demandText(text: string, what: string): void {
  if (!text.isWellFormed()) throw failure('bad-request', { reason: `${what} is not well-formed Unicode` })
}

/** Text for an error message: bounded, whatever came in. */
export function clip(text: string): string {
  return text.length > 120 ? `${text.slice(0, 120)}...` : text
}

function faultOfSegments(text: string, maximum: number): string | undefined {
  if (text === '') return 'is empty'
  if (Buffer.byteLength(text) > maximum) return `has more than ${maximum} bytes`
  if (FORBIDDEN.test(text)) return 'has a control character or a backslash'
  if (!text.isWellFormed() || text.normalize('NFC') !== text) return 'is not in Unicode normal form C'
  const segments = text.split('/')
  if (segments.length > LIMITS.pathDepth) return `has more than ${LIMITS.pathDepth} segments`
  if (segments.includes('')) return 'has an empty segment'
  if (segments.some((segment) => segment === '.' || segment === '..')) return 'has a segment "." or ".."'
  return undefined
}
