/**
 * `depot backup`: keeps a copy of a depot in a folder, which has the form of a data folder and is none. Each time it takes
 * over what has come since, as a replica would; so it may be stopped at any moment, and what it has is whole.
 */
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Durable, nodeFiles, unlessGone } from '../../disk/durable.ts'
import { failure, isFailure } from '../../model/errors.ts'
import { instantOf } from '../../model/instant.ts'
import type { Log } from '../../model/world.ts'
import { Opened } from '../opened.ts'
import { realClock } from '../world.ts'
import { type Copied, type CopyWish, copyDepot, type DepotSource } from './copy-depot.ts'
import { factsOf, isEmpty, kindOf, markAs } from './folder-kind.ts'
import { lockedFolder, openFolder } from './open-folder.ts'
import { copySideFiles } from './side-files.ts'
import { mayReplicate, newNodeToken, runningSource, storedSource } from './sources.ts'

const OWN_TOKEN = 'backup.token'

export interface BackupWish extends CopyWish {
  /** The data folder of the depot; undefined where it is on another machine. */
  readonly data: string | undefined
  /** Where the depot is reached while it runs, and a token of an administrator, or one that may replicate. */
  readonly running: { readonly url: string; readonly token: string } | undefined
  readonly to: string
  readonly log: Pick<Log, 'warn'>
}

export interface BackedUp extends Copied {
  /** Whether the depot ran meanwhile. */
  readonly isOnline: boolean
  readonly sideFiles: readonly string[]
}

/**
 * Of a running depot where one holds the data folder, else of the folder itself. Fails with `data-locked` when a depot
 * runs there and cannot be reached, with `data-unusable` when the target is no backup, and as `copyDepot` does.
 */
export async function backUp(wish: BackupWish): Promise<BackedUp> {
  const to = resolve(wish.to)
  const opened = new Opened()
  try {
    opened.use(await lockedTarget(to))
    const facts = await factsOf('backup', to)
    // Before anything else: whatever is here from now on, nobody takes it for a depot.
    if (facts === undefined) await markAs('backup', to, {})
    const { source, isOnline } = await sourceOf(wish, opened)
    const target = opened.use(await openFolder(to, wish.log))
    let sideFiles: readonly string[] = []
    const prepare = async (): Promise<void> => {
      if (wish.data !== undefined) sideFiles = await copySideFiles(wish.data, to)
    }
    const copied = await copyDepot(source, target, { ...wish, prepare })
    await markAs('backup', to, { gid: copied.generation.gid, taken: instantOf(realClock.now()) })
    return { ...copied, isOnline, sideFiles }
  } finally {
    await opened[Symbol.asyncDispose]()
  }
}

async function lockedTarget(to: string): Promise<AsyncDisposable> {
  if (!(await isEmpty(to)) && (await kindOf(to)) !== 'backup')
    throw failure('data-unusable', { folder: to, reason: 'there is something that is no backup' })
  return await lockedFolder(to)
}

async function sourceOf(
  { data, running, log, to, signal }: BackupWish,
  opened: Opened,
): Promise<{ readonly source: DepotSource; readonly isOnline: boolean }> {
  const lock = data === undefined ? undefined : await lockUnlessHeld(data, running !== undefined)
  if (data !== undefined && lock !== undefined) {
    opened.use(lock)
    await demandDepot(data)
    return { source: storedSource(opened.use(await openFolder(data, log))), isOnline: false }
  }
  if (running === undefined)
    throw failure('bad-request', { reason: 'neither a folder nor a depot was named' })
  const { url, token } = running
  const isNode = await mayReplicate(url, token, signal)
  const own = isNode ? token : await ownToken(resolve(to), running, signal)
  return { source: runningSource(url, own, isNode ? undefined : token), isOnline: true }
}

/** Made by the administrator with the first backup, and kept beside it: only nodes copy a depot. */
async function ownToken(
  to: string,
  { url, token }: NonNullable<BackupWish['running']>,
  signal: AbortSignal,
): Promise<string> {
  const path = join(to, OWN_TOKEN)
  const kept = (await readFile(path, 'utf8').catch(unlessGone))?.trim()
  if (kept !== undefined && (await mayReplicate(url, kept, signal))) return kept
  const made = await newNodeToken(url, token, 'backup', signal)
  await new Durable(nodeFiles).write(path, Buffer.from(`${made}\n`))
  return made
}

/** Undefined when a depot runs there. */
async function lockUnlessHeld(data: string, isReachable: boolean): Promise<AsyncDisposable | undefined> {
  if (await isEmpty(data)) throw failure('data-unusable', { folder: data, reason: 'there is no depot' })
  try {
    return await lockedFolder(data)
  } catch (error) {
    if (isReachable && isFailure(error, 'data-locked')) return undefined
    throw error
  }
}

async function demandDepot(data: string): Promise<void> {
  const kind = await kindOf(data)
  if (kind === undefined) return
  const reason = kind === 'backup' ? 'it is a backup itself' : 'a restore into it was cut short'
  throw failure('data-unusable', { folder: data, reason })
}
