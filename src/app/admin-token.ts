/**
 * The admin token of a new depot, in `<data>/admin.token`, readable by its owner alone.
 *
 * The file comes first and the ledger second: a crash in between leaves a secret that the next start takes up, never
 * a depot that nobody can administrate.
 */
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Access } from '../depot/access.ts'

const MODE = 0o600

/** Does nothing for a depot that has tokens. */
export async function ensureAdminToken(folder: string, access: Access): Promise<void> {
  if (access.list().length > 0) return
  const path = join(folder, 'admin.token')
  const secret = (await readSecret(path)) ?? (await writeSecret(path, folder, access.newSecret()))
  await access.create({ label: 'admin', scopes: ['admin'] }, secret)
}

async function readSecret(path: string): Promise<string | undefined> {
  try {
    const secret = (await readFile(path, 'utf8')).trim()
    return secret === '' ? undefined : secret
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

async function writeSecret(path: string, folder: string, secret: string): Promise<string> {
  const file = await open(path, 'w', MODE)
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
