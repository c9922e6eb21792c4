/**
 * A folder that files are written into and never beside: whatever a manifest calls them, whatever lies there already.
 *
 * Paths were checked when the manifest was parsed: relative, no `..`. What is left are symbolic links, which would
 * lead out: every folder on the way is made or looked at one by one and must be a real one, a file is opened without
 * following, and a link in its place is replaced. (Somebody who can change the folder in the very moment between
 * look and write can write there himself.)
 */
import { constants } from 'node:fs'
import { type FileHandle, lstat, mkdir, open, realpath } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { type Digest, hasher } from '../../model/digest.ts'
import { failure } from '../../model/errors.ts'
import type { ManifestFile } from '../../model/manifest.ts'
import type { Random } from '../../model/world.ts'
import { isSystemError, onDisk, replaceFile, syncFolder } from '../durable.ts'

/** Set-user-id and its kin are for whoever installs, not for a download. */
const MODE_MASK = 0o777
const READ_BYTES = 1_048_576
/** A pipe in the place of a file must not make us wait for its writer. */
const READ_ONLY_IN_PLACE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

export class Folder {
  readonly #root: string
  readonly #random: Random
  /** Folders below the root that were looked at, each once. */
  readonly #entered = new Map<string, Promise<string>>()

  private constructor(root: string, random: Random) {
    this.#root = root
    this.#random = random
    this.#entered.set('.', Promise.resolve(root))
  }

  /** Makes it when it is not there. Fails with `data-unusable`. */
  static async open(path: string, random: Random): Promise<Folder> {
    return await onDisk(path, async () => {
      await mkdir(path, { recursive: true })
      return new Folder(await realpath(path), random)
    })
  }

  /** Whether the file is there with the right bytes; its permissions are put right. */
  async has(file: ManifestFile): Promise<boolean> {
    return await onDisk(this.#root, async () => {
      const handle = await openInPlace(await this.#placeOf(file))
      if (handle === undefined) return false
      try {
        return await isSame(handle, file)
      } finally {
        await handle.close()
      }
    })
  }

  /** Puts the file in its place once all its bytes have come. */
  async write(file: ManifestFile, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    await onDisk(this.#root, async () => {
      const mode = file.mode === undefined ? {} : { mode: file.mode & MODE_MASK }
      const fill = async (handle: FileHandle) => {
        for await (const chunk of chunks) await handle.writeFile(chunk)
      }
      await replaceFile(await this.#placeOf(file), { ...mode, fill }, this.#random)
    })
  }

  /** Makes the names of all files durable. */
  async sync(): Promise<void> {
    await onDisk(this.#root, async () => {
      for (const folder of await Promise.all(this.#entered.values())) await syncFolder(folder)
      await syncFolder(dirname(this.#root))
    })
  }

  async #placeOf(file: ManifestFile): Promise<string> {
    return join(await this.#enter(dirname(file.path)), basename(file.path))
  }

  async #enter(folder: string): Promise<string> {
    const known = this.#entered.get(folder)
    if (known !== undefined) return await known
    const entering = this.#make(folder)
    this.#entered.set(folder, entering)
    return await entering
  }

  async #make(folder: string): Promise<string> {
    const path = join(await this.#enter(dirname(folder)), basename(folder))
    try {
      await mkdir(path)
    } catch (error) {
      if (!isSystemError(error, 'EEXIST')) throw error
    }
    if ((await lstat(path)).isDirectory()) return path
    throw failure('path-invalid', { path: folder, reason: `is no folder in ${this.#root}` })
  }
}

async function openInPlace(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, READ_ONLY_IN_PLACE)
  } catch (error) {
    if (isSystemError(error)) return undefined
    throw error
  }
}

async function isSame(handle: FileHandle, { digest, size, mode }: ManifestFile): Promise<boolean> {
  const found = await handle.stat()
  if (!found.isFile() || found.size !== size || (await digestIn(handle, size)) !== digest) return false
  if (mode === undefined || (found.mode & 0o7777) === (mode & MODE_MASK)) return true
  // Another name of the same file may lie outside: that one is not ours to change.
  if (found.nlink > 1) return false
  await handle.chmod(mode & MODE_MASK)
  return true
}

async function digestIn(handle: FileHandle, size: number): Promise<Digest> {
  const hash = hasher()
  const buffer = Buffer.allocUnsafe(Math.min(size + 1, READ_BYTES))
  for (;;) {
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, null)
    if (bytesRead === 0) return hash.digest()
    hash.update(buffer.subarray(0, bytesRead))
  }
}
