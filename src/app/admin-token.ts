/**
 * The admin token of a new depot, in `<data>/admin.token`, readable by its owner alone.
 *
 * The file comes first and the ledger second: a crash in between leaves a secret that the next start takes up, never
 * a depot that nobody can administrate.
 */
import { constants } from 'node:fs'
import { type FileHandle, open, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { Access } from '../depot/access.ts'
import { failure } from '../model/errors.ts'

const MODE = 0o600
const OTHERS = 0o077
const SECRET = /^depot_[A-Za-z0-9_-]{43}$/

function unusable(folder: string, reason: string): Error {
  return failure('data-unusable', {
    folder,
    reason: `admin.token: ${reason}; look who put it there, and remove it`,
  })
}

/** Does nothing for a depot that has tokens. */
export async function ensureAdminToken(folder: string, access: Access): Promise<void> {
  if (access.list().length > 0) return
  const path = join(folder, 'admin.token')
  const secret = (await readSecret(path, folder)) ?? (await writeSecret(path, folder, access.newSecret()))
  await access.create({ label: 'admin', scopes: ['admin'] }, secret)
}

/** What a start that was cut short has left; anything else there is not taken for a secret. */
async function readSecret(path: string, folder: string): Promise<string | undefined> {
  let file: FileHandle
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    if (code === 'ELOOP') throw unusable(folder, 'it is a link')
    throw error
  }
  try {
    const { mode } = await file.stat()
    if ((mode & OTHERS) !== 0) throw unusable(folder, 'others may read or write it')
    const secret = (await file.readFile('utf8')).trim()
    // A start that was cut short before it wrote anything.
    if (secret === '') {
      await unlink(path)
      return undefined
    }
    if (!SECRET.test(secret)) throw unusable(folder, 'it holds no token that a depot made')
    return secret
  } finally {
    await file.close()
  }
}

async function writeSecret(path: string, folder: string, secret: string): Promise<string> {
  const file = await open(path, 'wx', MODE)
  try {
    await file.writeFile(`${secret}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  const parent = await open(folder, 'r')
  try {
    await parent.sync()
  } finally {
    await parent.close()
  }
  return secret
}
