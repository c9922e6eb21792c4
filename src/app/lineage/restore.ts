/**
 * `depot restore`: makes a data folder of a backup. Until its last step the folder is marked as one that is being
 * restored, and nobody serves it; a restore that was cut short is begun again and goes on where it was.
 *
 * A backup knows nothing of what was committed after it. So the new folder remembers that it was restored: an origin that
 * starts on it asks those who follow it before it commits anything, or begins another lineage (PROTOCOL §10).
 */
import { resolve } from 'node:path'
import { failure } from '../../model/errors.ts'
import type { Log } from '../../model/world.ts'
import { Opened } from '../opened.ts'
import { type Copied, type CopyWish, copyDepot } from './copy-depot.ts'
import { factsOf, isEmpty, kindOf, markAs, unmark } from './folder-kind.ts'
import { lockedFolder, openFolder } from './open-folder.ts'
import { copySideFiles } from './side-files.ts'
import { storedSource } from './sources.ts'

export interface RestoreWish extends CopyWish {
  /** The backup. */
  readonly from: string
  readonly data: string
  /** Whether the depot is to begin another lineage, and gives up what the backup has not. */
  readonly fork: boolean
  readonly log: Pick<Log, 'warn'>
}

/** Fails with `backup-damaged`, with `data-unusable` when something else is there, and as `copyDepot` does. */
export async function restore(wish: RestoreWish): Promise<Copied & { readonly followers: number }> {
  const [from, data] = [resolve(wish.from), resolve(wish.data)]
  const opened = new Opened()
  try {
    await demandBackup(from)
    if (!(await isEmpty(data)) && (await kindOf(data)) !== 'restoring')
      throw failure('data-unusable', { folder: data, reason: 'there is something already' })
    for (const folder of [from, data]) opened.use(await lockedFolder(folder))
    await markAs('restoring', data, {})
    const source = opened.use(await openFolder(from, wish.log))
    if (source.ledger.generations.head() === undefined)
      throw failure('backup-damaged', { reason: `${from} has no generation` })
    const target = opened.use(await openFolder(data, wish.log))
    const prepare = async (): Promise<void> => void (await copySideFiles(from, data))
    const copied = await copyDepot(storedSource(source), target, { ...wish, prepare })
    await target.ledger.notes.write('restored', wish.fork ? 'fork' : 'same')
    // Closed first, so that nothing of it is under way when the folder becomes a depot.
    await target[Symbol.asyncDispose]()
    await unmark('restoring', data)
    return { ...copied, followers: source.ledger.notes.followers().length }
  } finally {
    await opened[Symbol.asyncDispose]()
  }
}

/** A backup whose first copy was never brought to its end is none. */
async function demandBackup(folder: string): Promise<void> {
  const facts = await factsOf('backup', folder)
  if (facts === undefined)
    throw failure('backup-damaged', { reason: `${folder} is no backup: it has no backup.json` })
  if (facts.gid === undefined)
    throw failure('backup-damaged', {
      reason: `the first backup into ${folder} was never brought to its end`,
    })
}
