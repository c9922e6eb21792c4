/**
 * What has to be true of `ledger.lmdb` before lmdb-js may open it.
 *
 * When LMDB refuses a file, for whatever reason, lmdb-js 3.5.6 frees a structure twice and the process ends with
 * SIGSEGV and not a word (`openEnv` in `env.cpp`). And LMDB writes its lock file through memory, so that a disk without
 * room for it ends the process with SIGBUS. So what can be refused is refused here, with a reason.
 */
import { constants, type FileHandle, open, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { failure } from '../model/errors.ts'
import { LIMITS } from '../model/limits.ts'
import { reserveRoom } from './durable.ts'

/** A new ledger with its empty tables. */
const NEW_BYTES = 1_048_576
/** Two pages: a start that was cut short leaves no more, and nothing that anybody was promised. */
const EMPTY_BYTES = 8_192
const LOCK_BYTES = 12_288
const META_BYTES = 52
const META_FLAG = 0x08
const MAGIC = 0xbeefc0de
const VERSION = 2

/** The path of the file, which is there, new or one of LMDB's. Fails as the system does, or with `disk-full`. */
export async function preparedLedgerFile(folder: string): Promise<string> {
  const path = join(folder, 'ledger.lmdb')
  const file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600)
  try {
    const { size } = await file.stat()
    if (!(await isLedger(file))) {
      if (size > EMPTY_BYTES) throw new Error('this is no ledger, or it is damaged; restore it from a backup')
      await demandRoom(folder)
      await file.truncate(0)
    }
  } finally {
    await file.close()
  }
  await reserveRoom(`${path}-lock`, LOCK_BYTES)
  return path
}

/** Bytes that are free for us, and whether that is less than the reserve. */
export async function roomIn(folder: string): Promise<{ free: number; scarce: boolean }> {
  const { bavail, bsize } = await statfs(folder)
  const free = bavail * bsize
  return { free, scarce: free < LIMITS.diskReserveBytes }
}

async function demandRoom(folder: string): Promise<void> {
  const { free } = await roomIn(folder)
  if (free < NEW_BYTES) throw failure('disk-full', { free, needed: NEW_BYTES })
}

/** The first two pages tell what the file is; the first tells where the second begins. */
async function isLedger(file: FileHandle): Promise<boolean> {
  const pageSize = await pageSizeIn(file, 0)
  return pageSize !== undefined && (await pageSizeIn(file, pageSize)) === pageSize
}

async function pageSizeIn(file: FileHandle, at: number): Promise<number | undefined> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(META_BYTES), 0, META_BYTES, at)
  const isMeta =
    bytesRead === META_BYTES &&
    (buffer.readUInt16LE(18) & META_FLAG) !== 0 &&
    buffer.readUInt32LE(24) === MAGIC &&
    buffer.readUInt16LE(28) === VERSION
  return isMeta ? buffer.readUInt32LE(48) : undefined
}
