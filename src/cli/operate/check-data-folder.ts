/**
 * What the doctor asks of a data folder: whether it is ours to use, of a known form, and whether the disk below it has
 * room in bytes and in inodes. Nothing is written and no store is opened, so a running depot does not mind.
 */
import { constants } from 'node:fs'
import { access, readdir, readFile, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { kindOf } from '../../app/lineage/folder-kind.ts'
import { LIMITS } from '../../model/limits.ts'
import { TOKEN_FILE } from '../connection.ts'
import { countText, sizeText } from '../wording.ts'
import type { Finding } from './doctor.ts'

/** Above the reserve below which uploads are refused, this much makes nobody nervous. */
const COMFORT = 10
/** Of the private keys, in the data folder. */
const KEYS_FOLDER = 'keys'

export async function checkDataFolder(folder: string): Promise<Finding[]> {
  const check = 'data folder'
  const there = await stat(folder).catch(() => undefined)
  if (there === undefined) {
    const detail = `there is no ${folder}; nothing to look at, unless a depot should be on this machine (--data)`
    return [{ check, state: 'warn', detail }]
  }
  if (!there.isDirectory()) return [{ check, state: 'fail', detail: `${folder} is no folder` }]
  return [
    await checkRights(folder),
    await checkKind(folder),
    await checkFormat(folder),
    await checkToken(folder),
    await checkKeys(folder),
    ...(await checkRoom(folder)),
  ]
}

async function checkRights(folder: string): Promise<Finding> {
  const check = 'data folder'
  try {
    await access(folder, constants.R_OK | constants.W_OK | constants.X_OK)
    return { check, state: 'ok', detail: folder }
  } catch (error) {
    return { check, state: 'fail', detail: `${folder} cannot be used: ${(error as Error).message}` }
  }
}

/** A folder that no depot starts on. */
async function checkKind(folder: string): Promise<Finding> {
  const check = 'kind of folder'
  const kind = await kindOf(folder)
  if (kind === undefined) return { check, state: 'ok', detail: 'a data folder' }
  return kind === 'backup'
    ? {
        check,
        state: 'warn',
        detail: 'it is a backup: no depot starts on it; check it with depot backup verify',
      }
    : { check, state: 'fail', detail: 'a restore into it was cut short; run the same depot restore again' }
}

async function checkFormat(folder: string): Promise<Finding> {
  const check = 'data format'
  const text = await readFile(join(folder, 'format.json'), 'utf8').catch(() => undefined)
  if (text === undefined) return { check, state: 'warn', detail: 'no format.json: the folder was never used' }
  const [, format] = /"format"\s*:\s*(\d+)/.exec(text) ?? []
  return format === undefined
    ? { check, state: 'fail', detail: 'format.json does not tell the format; restore it from a backup' }
    : { check, state: 'ok', detail: format }
}

async function checkToken(folder: string): Promise<Finding> {
  const check = 'admin token'
  const file = await stat(join(folder, TOKEN_FILE)).catch(() => undefined)
  if (file === undefined) return { check, state: 'ok', detail: `no ${TOKEN_FILE} here` }
  return (file.mode & 0o077) === 0
    ? { check, state: 'ok', detail: `${TOKEN_FILE} is readable by its owner alone` }
    : {
        check,
        state: 'fail',
        detail: `others may read ${TOKEN_FILE}; run chmod 600 on it and revoke the token`,
      }
}

async function checkKeys(folder: string): Promise<Finding> {
  const check = 'signing keys'
  const keys = join(folder, KEYS_FOLDER)
  const names = await readdir(keys).catch(() => [])
  if (names.length === 0) return { check, state: 'ok', detail: `no private keys here` }
  const files = await Promise.all(
    names.map(async (name) => await stat(join(keys, name)).catch(() => undefined)),
  )
  const open = names.filter((_, at) => ((files[at]?.mode ?? 0) & 0o077) !== 0)
  return open.length === 0
    ? {
        check,
        state: 'ok',
        detail: `${countText(names.length, 'private key')}, readable by their owner alone`,
      }
    : {
        check,
        state: 'fail',
        detail: `others may read ${open.join(', ')}; run chmod 600 on it, then depot key rotate and depot key retire`,
      }
}

async function checkRoom(folder: string): Promise<Finding[]> {
  const { bavail, bsize, ffree, files } = await statfs(folder)
  const bytes: Finding = {
    check: 'disk',
    state: stateOf(bavail * bsize, LIMITS.diskReserveBytes),
    detail: `${sizeText(bavail * bsize)} free, uploads are refused below ${sizeText(LIMITS.diskReserveBytes)}`,
  }
  // File systems that make inodes as they need them count none.
  if (files === 0) return [bytes]
  const inodes: Finding = {
    check: 'inodes',
    state: stateOf(ffree, LIMITS.diskReserveInodes),
    detail: `${ffree} free, uploads are refused below ${LIMITS.diskReserveInodes}`,
  }
  return [bytes, inodes]
}

function stateOf(free: number, reserve: number): Finding['state'] {
  if (free < reserve) return 'fail'
  return free < COMFORT * reserve ? 'warn' : 'ok'
}
