/**
 * How files and folders of the data folder become durable.
 *
 *   write the bytes to a temporary file   the name is not touched yet
 *   fsync the file                        the bytes are on the disk
 *   rename it to its name                 the name means the old bytes or the new ones
 *   fsync the folder                      the name is on the disk
 */
import { constants, mkdir, open, rename, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

/** What `stat` counts in. */
const BLOCK_BYTES = 512

/** The steps that touch the disk, so that a test can cut the power between them. */
export interface Disk {
  write(path: string, bytes: Uint8Array): Promise<void>
  sync(path: string): Promise<void>
  rename(from: string, to: string): Promise<void>
  syncFolder(path: string): Promise<void>
}

export const realDisk: Disk = { write: writeFile, sync: syncFile, rename, syncFolder }

export async function replaceFile(path: string, bytes: Uint8Array, disk: Disk = realDisk): Promise<void> {
  const temporary = `${path}.new`
  await disk.write(temporary, bytes)
  await disk.sync(temporary)
  await disk.rename(temporary, path)
  await disk.syncFolder(dirname(path))
}

/** Makes a folder, and those above it, where they are absent. `path` is absolute; `mode` is for the last one only. */
export async function makeFolder(path: string, mode = 0o777): Promise<void> {
  try {
    await mkdir(path, { mode })
  } catch (error) {
    if (codeOf(error) === 'EEXIST' && (await stat(path)).isDirectory()) return
    if (codeOf(error) !== 'ENOENT' || path === dirname(path)) throw error
    await makeFolder(dirname(path))
    return await makeFolder(path, mode)
  }
  await syncFolder(dirname(path))
}

/** Makes a file have room for so many bytes, which are then zero, where it has less. */
export async function reserveRoom(path: string, bytes: number): Promise<void> {
  const file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600)
  try {
    const { blocks } = await file.stat()
    if (blocks * BLOCK_BYTES < bytes) await file.write(Buffer.alloc(bytes), 0, bytes, 0)
  } finally {
    await file.close()
  }
}

export async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

export async function syncFolder(path: string): Promise<void> {
  await syncFile(path)
}

/** `ENOENT` and its kin, where the system refused something. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
