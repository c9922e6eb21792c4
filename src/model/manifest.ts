/**
 * A manifest: one release, as its publisher describes it (DESIGN §3).
 *
 * The depot adds nothing to it and brings it into one form: RFC 8785 JSON, files sorted by the UTF-8 bytes of their
 * path. So the same release has the same digest whoever sends it, and putting it again is a no-op.
 */
import { isUtf8 } from 'node:buffer'
import { canonicalBytes, type Json } from './canonical.ts'
import { type Digest, digestOf, isDigest } from './digest.ts'
import { failure } from './errors.ts'
import { epochOf } from './instant.ts'
import { LIMITS } from './limits.ts'
import {
  clip,
  compareUtf8,
  type FilePath,
  parseFilePath,
  parseReleaseName,
  type ReleaseName,
} from './name.ts'
import { nestsDeeper } from './nesting.ts'
import type { Version, VersionOrder } from './version.ts'

export interface ManifestFile {
  readonly path: FilePath
  readonly digest: Digest
  readonly size: number
  readonly mode?: number
  readonly mediaType?: string
  readonly os?: string
  readonly cpu?: string
}

export interface Manifest {
  readonly name: ReleaseName
  readonly version: Version
  readonly summary?: string
  readonly files: readonly ManifestFile[]
  readonly dependencies?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, Json>>
  readonly published?: string
}

/** A manifest in its one form. */
export interface EncodedManifest {
  readonly manifest: Manifest
  readonly bytes: Buffer
  readonly digest: Digest
}

type Members = Readonly<Record<string, unknown>>

const MEMBERS = new Set(['name', 'version', 'summary', 'files', 'dependencies', 'annotations', 'published'])
const FILE_MEMBERS = new Set(['path', 'digest', 'size', 'mode', 'mediaType', 'os', 'cpu'])
const MEDIA_TYPE = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(?:[ \t]*;[ \t]*[\w-]+=(?:[\w.+-]+|"[ !#-[\]-~]*"))*$/
const MODE_MAXIMUM = 0o7777

/**
 * Reads JSON text of a manifest and brings it into its one form. Fails with `manifest-invalid`, `name-invalid`,
 * `version-invalid`, `path-invalid` or `limit-exceeded`.
 */
export function parseManifest(text: Uint8Array, order: VersionOrder): EncodedManifest {
  if (text.length > LIMITS.manifestBytes)
    throw failure('limit-exceeded', {
      what: 'bytes of a manifest',
      limit: LIMITS.manifestBytes,
      found: text.length,
    })
  // `toString` puts U+FFFD where bytes are not UTF-8: then the manifest would say something else than its publisher.
  if (!isUtf8(text)) throw invalid('the manifest is not UTF-8')
  if (nestsDeeper(text, LIMITS.jsonDepth))
    throw failure('limit-exceeded', { what: 'levels of nesting in a manifest', limit: LIMITS.jsonDepth })
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(text.buffer, text.byteOffset, text.byteLength).toString())
  } catch (cause) {
    throw failure('manifest-invalid', { reason: 'the manifest is not JSON' }, { cause })
  }
  return encodeManifest(value, order)
}

/** The same for a value at hand. */
export function encodeManifest(value: unknown, order: VersionOrder): EncodedManifest {
  const manifest = checkManifest(value, order)
  const bytes = canonicalBytes(manifest as unknown as Json)
  if (bytes.length > LIMITS.manifestBytes)
    throw failure('limit-exceeded', {
      what: 'bytes of a manifest',
      limit: LIMITS.manifestBytes,
      found: bytes.length,
    })
  return { manifest, bytes, digest: digestOf(bytes) }
}

/** The bytes of all files together. */
export function sizeOfFiles(manifest: Manifest): number {
  return manifest.files.reduce((sum, file) => sum + file.size, 0)
}

function checkManifest(value: unknown, order: VersionOrder): Manifest {
  const members = membersOf(value, 'the manifest', MEMBERS)
  const { name, version, summary, published, files, dependencies, annotations } = members
  return {
    name: parseReleaseName(textOf(name, 'name')),
    version: order.parse(textOf(version, 'version')),
    files: checkFiles(files),
    ...(summary === undefined ? {} : { summary: boundedText(summary, 'summary', LIMITS.summaryBytes) }),
    ...(dependencies === undefined ? {} : { dependencies: checkDependencies(dependencies, order) }),
    ...(annotations === undefined ? {} : { annotations: checkAnnotations(annotations) }),
    ...(published === undefined ? {} : { published: checkPublished(published) }),
  }
}

function checkFiles(value: unknown): readonly ManifestFile[] {
  if (!Array.isArray(value)) throw invalid('files must be a list')
  if (value.length > LIMITS.manifestFiles)
    throw failure('limit-exceeded', {
      what: 'files of a release',
      limit: LIMITS.manifestFiles,
      found: value.length,
    })
  const files = value.map(checkFile)
  if (!isSorted(files)) files.sort((a, b) => compareUtf8(a.path, b.path))
  refuseClashes(files)
  refuseTwoSizes(files)
  return files
}

function checkFile(value: unknown): ManifestFile {
  const { path, digest, size, mode, mediaType, os, cpu } = membersOf(value, 'a file', FILE_MEMBERS)
  const checked = parseFilePath(textOf(path, 'path of a file'))
  if (!isDigest(digest)) throw invalid(`the digest of file "${clip(checked)}" must be sha256:<64 hex>`)
  if (!isCount(size, LIMITS.blobBytes))
    throw invalid(`the size of file "${clip(checked)}" must be a number of bytes`)
  if (mode !== undefined && !isCount(mode, MODE_MAXIMUM))
    throw invalid(`the mode of file "${clip(checked)}" must be a number from 0 to ${MODE_MAXIMUM} (0o7777)`)
  return {
    path: checked,
    digest,
    size,
    ...(mode === undefined ? {} : { mode }),
    ...(mediaType === undefined ? {} : { mediaType: checkMediaType(mediaType) }),
    ...(os === undefined ? {} : { os: boundedText(os, 'os', LIMITS.channelNameBytes) }),
    ...(cpu === undefined ? {} : { cpu: boundedText(cpu, 'cpu', LIMITS.channelNameBytes) }),
  }
}

function isSorted(files: readonly ManifestFile[]): boolean {
  return files.every((file, at) => at === 0 || compareUtf8(files[at - 1]?.path ?? '', file.path) < 0)
}

/** No path twice, and no path that is a file and a folder at once. */
function refuseClashes(files: readonly ManifestFile[]): void {
  const paths = new Set<string>()
  for (const { path } of files) {
    if (paths.has(path))
      throw failure('path-invalid', { path: clip(path), reason: 'stands twice in the manifest' })
    paths.add(path)
  }
  for (const { path } of files) {
    for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
      if (paths.has(path.slice(0, slash)))
        throw failure('path-invalid', { path: clip(path), reason: 'lies below a path that is a file itself' })
    }
  }
}

/** A commit asks for each blob once: of two sizes it would check the one, and the other might be a lie. */
function refuseTwoSizes(files: readonly ManifestFile[]): void {
  const sizes = new Map<Digest, number>()
  for (const { path, digest, size } of files) {
    if ((sizes.get(digest) ?? size) !== size)
      throw invalid(`file "${clip(path)}" has the digest of another file, and another size`)
    sizes.set(digest, size)
  }
}

function checkDependencies(value: unknown, order: VersionOrder): Readonly<Record<string, string>> {
  const entries = Object.entries(membersOf(value, 'dependencies'))
  if (entries.length > LIMITS.manifestDependencies)
    throw failure('limit-exceeded', {
      what: 'dependencies',
      limit: LIMITS.manifestDependencies,
      found: entries.length,
    })
  for (const [name, range] of entries) {
    parseReleaseName(name)
    if (typeof range !== 'string' || !order.isRange(range))
      throw invalid(`the dependency "${clip(name)}" needs a range of versions, like "^1.2.0"`)
  }
  return Object.fromEntries(entries) as Record<string, string>
}

function checkAnnotations(value: unknown): Readonly<Record<string, Json>> {
  const annotations = membersOf(value, 'annotations') as Record<string, Json>
  const count = Object.keys(annotations).length
  if (count > LIMITS.annotations)
    throw failure('limit-exceeded', { what: 'annotations', limit: LIMITS.annotations, found: count })
  const size = sizeOf(annotations)
  if (size > LIMITS.annotationBytes)
    throw failure('limit-exceeded', {
      what: 'bytes of annotations',
      limit: LIMITS.annotationBytes,
      found: size,
    })
  return annotations
}

function sizeOf(annotations: Json): number {
  try {
    return canonicalBytes(annotations).length
  } catch (cause) {
    throw failure('manifest-invalid', { reason: 'annotations hold what JSON cannot say' }, { cause })
  }
}

function checkPublished(value: unknown): string {
  if (typeof value !== 'string' || epochOf(value) === undefined)
    throw invalid('published must be an RFC 3339 time')
  return value
}

function checkMediaType(value: unknown): string {
  const mediaType = boundedText(value, 'mediaType', LIMITS.mediaTypeBytes)
  if (!MEDIA_TYPE.test(mediaType)) throw invalid(`"${clip(mediaType)}" is not a media type`)
  return mediaType
}

function membersOf(value: unknown, what: string, known?: ReadonlySet<string>): Members {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid(`${what} must be an object`)
  const stranger = known && Object.keys(value).find((member) => !known.has(member))
  if (stranger !== undefined)
    throw invalid(
      `${what} has an unknown member "${clip(stranger)}"; what is not part of a manifest goes under annotations`,
    )
  return value as Members
}

function textOf(value: unknown, what: string): string {
  if (typeof value !== 'string') throw invalid(`${what} must be text`)
  return value
}

function boundedText(value: unknown, what: string, maximum: number): string {
  const text = textOf(value, what)
  if (!text.isWellFormed()) throw invalid(`${what} has half a surrogate pair`)
  if (Buffer.byteLength(text) > maximum) throw invalid(`${what} has more than ${maximum} bytes`)
  return text
}

function isCount(value: unknown, maximum: number): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= maximum
}

function invalid(reason: string): Error {
  return failure('manifest-invalid', { reason })
}
