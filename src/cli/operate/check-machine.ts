/**
 * What the doctor asks of the machine: a Node that is new enough, and enough open files.
 */
import { readFile } from 'node:fs/promises'
import type { Finding } from './doctor.ts'

/** As `engines` in package.json says. */
const NODE_LEAST = [22, 19] as const
/** A connection and a large file of every client are two; below this a busy depot runs out of them. */
const OPEN_FILES_LEAST = 4_096

export function checkNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const enough = major > NODE_LEAST[0] || (major === NODE_LEAST[0] && minor >= NODE_LEAST[1])
  return {
    check: 'Node',
    state: enough ? 'ok' : 'fail',
    detail: enough ? version : `${version}, and ${NODE_LEAST.join('.')} or newer is needed`,
  }
}

export async function checkOpenFiles(path: string = '/proc/self/limits'): Promise<Finding> {
  const check = 'open files'
  const limits = await readFile(path, 'utf8').catch(() => '')
  const [, text] = /^Max open files\s+(\S+)/m.exec(limits) ?? []
  if (text === undefined) return { check, state: 'ok', detail: 'this system does not tell their limit' }
  if (text === 'unlimited' || Number(text) >= OPEN_FILES_LEAST)
    return { check, state: 'ok', detail: `up to ${text}` }
  const detail = `only ${text} are allowed; raise the limit (ulimit -n, or LimitNOFILE= of the service) to ${OPEN_FILES_LEAST} or more`
  return { check, state: 'warn', detail }
}
