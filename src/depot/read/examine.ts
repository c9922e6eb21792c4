/**
 * Everything the engine wants to know of a manifest, found in one pass over it: its one form and digest, the line of
 * the catalog, the blobs it names, and for a large one the rows that find each of its files.
 *
 * The outcome is flat bytes, so that a worker can do the work for a large manifest and hand the outcome over without
 * copying it (`job/`): 18,000 files take 60 ms, far more than the event loop may be held.
 */
import { canonicalBytes, type Json } from '../../model/canonical.ts'
import { DIGEST_BYTES, type Digest, digestOfRaw, rawOf } from '../../model/digest.ts'
import { type Manifest, type ManifestFile, parseManifest, sizeOfFiles } from '../../model/manifest.ts'
import type { ReleaseName } from '../../model/name.ts'
import type { Version, VersionOrder } from '../../model/version.ts'
import type { Stored } from '../../pool/pool.ts'

export interface ExaminedManifest {
  readonly digest: Digest
  /** The canonical bytes. */
  readonly bytes: Uint8Array
  readonly name: ReleaseName
  readonly version: Version
  /** Bytes of all files together. */
  readonly size: number
  readonly summary?: string
  readonly published?: string
  /** The digests of its files, 32 bytes each. */
  readonly blobs: Uint8Array
  readonly blobSizes: Float64Array
  /** The file rows of a manifest that is not parsed when it is read, packed; empty for a small one. */
  readonly rows: Uint8Array
}

/** Brings the text of a manifest into that form, now or in a worker. */
export type Examine = (text: Uint8Array) => Promise<ExaminedManifest>

/** Up to this many canonical bytes a manifest is parsed whole when one of its files is asked for. */
export const PARSED_MANIFEST_BYTES = 16_384

const ROW_HEADER_BYTES = 6

/** Fails as `parseManifest` does. */
export function examineManifest(text: Uint8Array, order: VersionOrder): ExaminedManifest {
  const { manifest, bytes, digest } = parseManifest(text, order)
  return {
    digest,
    bytes,
    name: manifest.name,
    version: manifest.version,
    size: sizeOfFiles(manifest),
    ...(manifest.summary === undefined ? {} : { summary: manifest.summary }),
    ...(manifest.published === undefined ? {} : { published: manifest.published }),
    ...blobsOf(manifest),
    rows: bytes.length <= PARSED_MANIFEST_BYTES ? new Uint8Array() : packRows(manifest.files),
  }
}

/** The blobs that an examined manifest names, each once. */
export function blobsIn({
  blobs,
  blobSizes,
}: Pick<ExaminedManifest, 'blobs' | 'blobSizes'>): readonly Stored[] {
  const named = new Map<Digest, Stored>()
  for (const [at, size] of blobSizes.entries()) {
    const digest = digestOfRaw(blobs.subarray(at * DIGEST_BYTES, (at + 1) * DIGEST_BYTES))
    named.set(digest, { digest, size })
  }
  return [...named.values()]
}

/** The rows of a large manifest: the path, and the canonical JSON of its file. */
export function* rowsIn(
  packed: Uint8Array,
): Generator<{ readonly path: Uint8Array; readonly file: Uint8Array }> {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength)
  for (let at = 0; at < packed.length; ) {
    const path = at + ROW_HEADER_BYTES
    const file = path + view.getUint16(at)
    const end = file + view.getUint32(at + 2)
    yield { path: packed.subarray(path, file), file: packed.subarray(file, end) }
    at = end
  }
}

function blobsOf({ files }: Manifest): Pick<ExaminedManifest, 'blobs' | 'blobSizes'> {
  const blobs = new Uint8Array(files.length * DIGEST_BYTES)
  const blobSizes = new Float64Array(files.length)
  for (const [at, file] of files.entries()) {
    blobs.set(rawOf(file.digest), at * DIGEST_BYTES)
    blobSizes[at] = file.size
  }
  return { blobs, blobSizes }
}

function packRows(files: readonly ManifestFile[]): Uint8Array {
  const pieces = files.flatMap((file) => {
    const path = Buffer.from(file.path)
    const value = canonicalBytes(file as unknown as Json)
    const header = Buffer.alloc(ROW_HEADER_BYTES)
    header.writeUInt16BE(path.length)
    header.writeUInt32BE(value.length, 2)
    return [header, path, value]
  })
  const packed = Buffer.concat(pieces)
  // A buffer of its own, never a piece of Node's shared one: a worker gives it away whole.
  return new Uint8Array(packed.buffer, packed.byteOffset, packed.byteLength).slice()
}
