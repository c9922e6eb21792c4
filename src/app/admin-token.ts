/**
 * The admin token of a new depot, in `<data>/admin.token`, readable by its owner alone.
 *
 * The file comes first and the ledger second: a crash in between leaves a secret that the next start takes up, never
 * a depot that nobody can administrate.
 */
import { constants } from 'node:fs'
import { type FileHandle, lstat, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Access } from '../depot/access.ts'
import { codeOf, Durable, type Files, nodeFiles, unlessGone } from '../disk/durable.ts'
import { failure } from '../model/errors.ts'

const NAME = 'admin.token'
const OTHERS = 0o077
const SECRET = /^depot_[A-Za-z0-9_-]{43}$/

function unusable(folder: string, reason: string): Error {
  return failure('data-unusable', {
    folder,
    reason: `${NAME}: ${reason}; look who put it there, and remove it`,
  })
}

/** Does nothing for a depot that has tokens. */
export async function ensureAdminToken(
  folder: string,
  access: Access,
  files: Files = nodeFiles,
): Promise<void> {
  if (access.list().length === 0) await addAdminToken(folder, access, files)
}

/** For a folder that has none of its own, though there are tokens: that of a replica. Does nothing where it has one. */
export async function addAdminToken(
  folder: string,
  access: Pick<Access, 'create' | 'newSecret' | 'tokenOf'>,
  files: Files = nodeFiles,
): Promise<void> {
  const path = join(folder, NAME)
  const secret = (await readSecret(path, folder)) ?? (await writeSecret(path, access.newSecret(), files))
  if (access.tokenOf(secret) === undefined) await access.create({ label: 'admin', scopes: ['admin'] }, secret)
}

/** Whether a depot was begun here: its first generation is durable before it writes its token. */
export async function hasAdminToken(folder: string): Promise<boolean> {
  return (await lstat(join(folder, NAME)).catch(unlessGone)) !== undefined
}

/** What a start that was cut short has left; anything else there is not taken for a secret. */
async function readSecret(path: string, folder: string): Promise<string | undefined> {
  let file: FileHandle
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    if (codeOf(error) === 'ELOOP') throw unusable(folder, 'it is a link')
    throw error
  }
  try {
    const { mode } = await file.stat()
    if ((mode & OTHERS) !== 0) throw unusable(folder, 'others may read or write it')
    const secret = (await file.readFile('utf8')).trim()
    if (!SECRET.test(secret)) throw unusable(folder, 'it holds no token that a depot made')
    return secret
  } finally {
    await file.close()
  }
}

/** Nobody but the owner may read it, as everything that `nodeFiles` make. */
async function writeSecret(path: string, secret: string, files: Files): Promise<string> {
  await new Durable(files).write(path, Buffer.from(`${secret}\n`))
  return secret
}
