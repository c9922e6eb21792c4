/**
 * What has to be true of an LMDB file before lmdb-js may open it.
 *
 * When LMDB refuses a file, for whatever reason, lmdb-js 3.5.6 frees a structure twice and the process ends with
 * SIGSEGV and not a word (`openEnv` in `env.cpp`). And LMDB writes its lock file through memory, so that a disk without
 * room for it ends the process with SIGBUS. So what can be refused is refused here, with a reason.
 */
import { constants, type FileHandle, open, stat, statfs } from 'node:fs/promises'
import { failure } from '../model/errors.ts'
import { unlessGone } from './durable.ts'

/** A new file with its empty tables. */
const NEW_BYTES = 1_048_576
/** Two pages: a start that was cut short leaves no more, and nothing that anybody was promised. */
const EMPTY_BYTES = 8_192
const LOCK_BYTES = 12_288
const BLOCK_BYTES = 512

/**
 * Makes the file and its lock file ready. Fails with `disk-full` when it is new and has no room, as the system does, or
 * with why it is none of LMDB's.
 */
export async function prepareLmdbFile(path: string): Promise<void> {
  const file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600)
  try {
    if (!(await isLmdb(file))) {
      if ((await file.stat()).size > EMPTY_BYTES) throw new Error('it is damaged; restore it from a backup')
      await demandRoom(path)
      await file.truncate(0)
    }
  } finally {
    await file.close()
  }
  await reserve(`${path}-lock`, LOCK_BYTES)
}

/** Whether the file may hold something that anybody was promised. */
export async function isBegun(path: string): Promise<boolean> {
  const found = await stat(path).catch(unlessGone)
  return found !== undefined && found.size > EMPTY_BYTES
}

async function demandRoom(path: string): Promise<void> {
  const { bavail, bsize } = await statfs(path)
  if (bavail * bsize < NEW_BYTES) throw failure('disk-full', { free: bavail * bsize, needed: NEW_BYTES })
}

/** The first two pages tell what the file is; the first tells where the second begins. */
async function isLmdb(file: FileHandle): Promise<boolean> {
  const pageSize = await pageSizeAt(file, 0)
  return pageSize !== undefined && (await pageSizeAt(file, pageSize)) === pageSize
}

/** Where a meta page has what (`MDB_page` and `MDB_meta` in `mdb.c`), and what. */
const META = { bytes: 52, flags: 18, magic: 24, version: 28, pageSize: 48 }
const META_FLAG = 0x08
const MAGIC = 0xbeefc0de
const VERSION = 2

async function pageSizeAt(file: FileHandle, at: number): Promise<number | undefined> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(META.bytes), 0, META.bytes, at)
  const isMeta =
    bytesRead === META.bytes &&
    (buffer.readUInt16LE(META.flags) & META_FLAG) !== 0 &&
    buffer.readUInt32LE(META.magic) === MAGIC &&
    buffer.readUInt16LE(META.version) === VERSION
  return isMeta ? buffer.readUInt32LE(META.pageSize) : undefined
}

/** Makes a file have blocks for so many bytes, which are then zero, where it has less. */
async function reserve(path: string, bytes: number): Promise<void> {
  const file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600)
  try {
    const { blocks } = await file.stat()
    if (blocks * BLOCK_BYTES < bytes) await file.write(Buffer.alloc(bytes), 0, bytes, 0)
  } finally {
    await file.close()
  }
}
