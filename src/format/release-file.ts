/**
 * A file on disk as a file of a release: hashed, measured, and ready to be read again for the upload.
 *
 * A large file is hashed as it streams. Small ones are read whole, and their bytes kept up to a bound, so that a folder
 * of thousands of them is not opened twice.
 */
import { constants, createReadStream } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { type Digest, digestOf, hasher } from '../model/digest.ts'
import { LIMITS } from '../model/limits.ts'
import type { ManifestFile } from '../model/manifest.ts'
import { parseFilePath } from '../model/name.ts'
import type { FileSource } from './importer.ts'
import { mediaTypeOf } from './media-type.ts'
import { mapParallel } from './parallel.ts'

export interface ReleaseFiles {
  readonly files: readonly ManifestFile[]
  readonly sources: readonly FileSource[]
}

const FILES_AT_ONCE = 16
/** Of the small files of one release, so many bytes stay in memory until they are uploaded. */
const BYTES_KEPT = 4_194_304
const CHUNK_BYTES = 1_048_576

/** Reads `paths` below `folder`. Fails with `path-invalid` for a name that no release can have. */
export async function readReleaseFiles(
  folder: string,
  paths: readonly string[],
  signal?: AbortSignal,
): Promise<ReleaseFiles> {
  let room = BYTES_KEPT
  const read = await mapParallel(paths, FILES_AT_ONCE, async (path) => {
    signal?.throwIfAborted()
    const checked = parseFilePath(path)
    const { digest, size, mode, bytes } = await readFile(join(folder, path), signal)
    const kept = bytes !== undefined && size <= room ? bytes : undefined
    if (kept !== undefined) room -= size
    const mediaType = mediaTypeOf(path)
    const file: ManifestFile = {
      path: checked,
      digest,
      size,
      mode,
      ...(mediaType === undefined ? {} : { mediaType }),
    }
    return { file, source: sourceOf(join(folder, path), digest, size, kept) }
  })
  return { files: read.map(({ file }) => file), sources: read.map(({ source }) => source) }
}

interface Reading {
  readonly digest: Digest
  readonly size: number
  readonly mode: number
  /** All of them, if they are few. */
  readonly bytes?: Buffer
}

async function readFile(path: string, signal?: AbortSignal): Promise<Reading> {
  // A file that was swapped for a link since it was listed is not followed either.
  const file = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0))
  try {
    const { size, mode: rights } = await file.stat()
    const mode = (rights & 0o111) === 0 ? 0o644 : 0o755
    if (size > LIMITS.smallBlobBytes) return { ...(await hashStream(file, signal)), mode }
    const bytes = await readWhole(file, size)
    return { digest: digestOf(bytes), size: bytes.length, mode, bytes }
  } finally {
    await file.close()
  }
}

async function readWhole(file: FileHandle, size: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(size)
  let read = 0
  while (read < size) {
    const { bytesRead } = await file.read(bytes, read, size - read, read)
    if (bytesRead === 0) break
    read += bytesRead
  }
  return bytes.subarray(0, read)
}

async function hashStream(file: FileHandle, signal?: AbortSignal): Promise<{ digest: Digest; size: number }> {
  const sha256 = hasher()
  const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES)
  for (let size = 0; ; ) {
    signal?.throwIfAborted()
    const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES, size)
    if (bytesRead === 0) return { digest: sha256.digest(), size }
    sha256.update(chunk.subarray(0, bytesRead))
    size += bytesRead
  }
}

function sourceOf(path: string, digest: Digest, size: number, bytes: Buffer | undefined): FileSource {
  if (bytes === undefined)
    return { digest, size, open: (start) => createReadStream(path, { start, highWaterMark: CHUNK_BYTES }) }
  return { digest, size, open: (start) => fromMemory(bytes, start) }
}

async function* fromMemory(bytes: Buffer, start: number): AsyncGenerator<Uint8Array> {
  if (start < bytes.length) yield bytes.subarray(start)
}
