/**
 * The one place of the server that knows how a file becomes durable (DESIGN §4).
 *
 *   write the bytes to a temporary file   the name is not visible yet
 *   fsync the file                        the bytes are on the disk
 *   link it to its name                   the name appears whole, or not at all
 *   fsync the folder                      the name is on the disk
 *
 * `link` and not `rename`: a name in the pool is never replaced, and `EEXIST` tells the loser of a race that the
 * winner stored the very same bytes. The loser syncs the folder too, for the winner may not have come to that yet.
 * `replace` is the one exception: it heals a name whose bytes are damaged, for which nothing can be lost, and `write`
 * gives new bytes to a name that is no blob; such a name has the old bytes or the new ones, never a part.
 *
 * A folder is a name in its parent, so a new one is synced into its parent before anything in it counts. Whether
 * another caller who made it has come to that cannot be known; so this is done once per folder and process.
 */
import { type FileHandle, link, mkdir, open, rename, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'

/** The file operations that durability is made of; small, so that a test can cut the power at every step. */
export interface Files {
  /** `new` makes a file and fails with EEXIST where one is; `old` opens one for writing; `folder` only syncs. */
  open(path: string, how: 'new' | 'old' | 'folder'): Promise<OpenFile>
  /** Fails with EEXIST where `to` is. */
  link(from: string, to: string): Promise<void>
  rename(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  /** Fails with EEXIST where it is. */
  mkdir(path: string): Promise<void>
}

export interface OpenFile {
  /** Writes all of the bytes. */
  write(bytes: Uint8Array, position: number): Promise<void>
  sync(): Promise<void>
  close(): Promise<void>
}

export class Durable {
  readonly #files: Files
  readonly #folders = new Set<string>()

  constructor(files: Files) {
    this.#files = files
  }

  /** Gives the file a second, durable name. `taken` when that name was there already; it is durable then, too. */
  async link(from: string, to: string): Promise<'linked' | 'taken'> {
    await this.sync(from, 'old')
    await this.folder(dirname(to))
    const linked = await unlessThere(this.#files.link(from, to))
    await this.sync(dirname(to), 'folder')
    return linked ? 'linked' : 'taken'
  }

  /** Gives a name these bytes. What an earlier call that was cut short has left is taken away first. */
  async write(path: string, bytes: Uint8Array): Promise<void> {
    const temporary = `${path}.new`
    await this.#files.unlink(temporary).catch(unlessGone)
    const file = await this.#files.open(temporary, 'new')
    try {
      await file.write(bytes, 0)
    } finally {
      await file.close()
    }
    await this.replace(temporary, path)
  }

  /** Moves the file over a name that is there. For a blob only when its bytes were found damaged. */
  async replace(from: string, to: string): Promise<void> {
    await this.sync(from, 'old')
    await this.#files.rename(from, to)
    await this.sync(dirname(to), 'folder')
  }

  /** Makes the folder where it is not there; its parent has to be. */
  async folder(path: string): Promise<void> {
    if (this.#folders.has(path)) return
    await unlessThere(this.#files.mkdir(path))
    await this.sync(dirname(path), 'folder')
    this.#folders.add(path)
  }

  async sync(path: string, how: 'old' | 'folder'): Promise<void> {
    const file = await this.#files.open(path, how)
    try {
      await file.sync()
    } finally {
      await file.close()
    }
  }
}

/** Whether it was done; false when the name was there already. */
async function unlessThere(made: Promise<void>): Promise<boolean> {
  try {
    await made
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  }
}

/** For what may be gone already: `await stat(path).catch(unlessGone)`. */
export function unlessGone(error: unknown): undefined {
  if (codeOf(error) !== 'ENOENT') throw error
}

/** The code of a failed system call: `ENOENT` and its kin, or a number where lmdb tells it. */
export function codeOf(error: unknown): string | number | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  const { code } = error
  return typeof code === 'string' || typeof code === 'number' ? code : undefined
}

const FLAGS = { new: 'wx', old: 'r+', folder: 'r' } as const

/** The real ones. Nobody but the owner of the data folder may read what they make. */
export const nodeFiles: Files = {
  open: async (path, how) => openFile(await open(path, FLAGS[how], 0o600)),
  link,
  rename,
  unlink,
  mkdir: async (path) => {
    await mkdir(path, 0o700)
  },
}

function openFile(handle: FileHandle): OpenFile {
  return {
    async write(bytes, position) {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done)
        done += bytesWritten
      }
    },
    sync: async () => await handle.sync(),
    close: async () => await handle.close(),
  }
}
