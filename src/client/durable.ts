/**
 * The one place of the SDK that knows how a file becomes durable.
 *
 *   write the bytes to a temporary file beside it    the name is not visible yet
 *   fsync the file                                   the bytes are on the disk
 *   rename it to its name                            the name has the old file or the new one, never a part
 *   fsync the folder                                 the name is on the disk
 *
 * The last step is a call of its own, so that many files in one folder cost it once. A rename replaces a symbolic
 * link and does not follow it.
 */
import { type FileHandle, open, rename, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { failure } from '../model/errors.ts'
import type { Random } from '../model/world.ts'

export interface Replacement {
  /** Permissions; by default what the process gives to new files. */
  readonly mode?: number
  readonly fill: (file: FileHandle) => Promise<void>
}

/** After this, `path` has the new bytes; after `syncFolder` too it keeps them through a power cut. */
export async function replaceFile(path: string, { mode, fill }: Replacement, random: Random): Promise<void> {
  const temporary = join(dirname(path), `.depot-${Buffer.from(random.bytes(12)).toString('hex')}.incomplete`)
  const file = await open(temporary, 'wx', mode === undefined ? 0o666 : 0o600)
  try {
    try {
      await fill(file)
      if (mode !== undefined) await file.chmod(mode)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await unlink(temporary).catch(() => undefined)
    throw error
  }
}

export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Runs what touches the disk: what the system refuses becomes `data-unusable`. */
export async function onDisk<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    throw diskFailure(path, error)
  }
}

/** What to throw instead of an error of the system; anything else as it is. */
export function diskFailure(path: string, error: unknown): unknown {
  return isSystemError(error)
    ? failure('data-unusable', { folder: path, reason: error.message }, { cause: error })
    : error
}

/** A failed call of the system, of this code or of any. */
export function isSystemError(error: unknown, code?: string): error is NodeJS.ErrnoException {
  if (!(error instanceof Error) || !('syscall' in error) || !('code' in error)) return false
  return code === undefined || error.code === code
}
