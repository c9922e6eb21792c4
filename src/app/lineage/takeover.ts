/**
 * `depot takeover`: makes the data folder of a replica that of the origin, under a new lineage. What the old origin has
 * committed and this replica has not is lost; other replicas that are pointed here go on with what they have.
 *
 * The token of the administrator comes first, then the lineage, and last that the folder is no longer one of a replica: a
 * takeover that was cut short is done again, and goes on where it was.
 */
import { resolve } from 'node:path'
import { Access } from '../../depot/access.ts'
import { forkLineage } from '../../depot/lineage/fork.ts'
import { failure } from '../../model/errors.ts'
import { type Generation, partsOf } from '../../model/generation.ts'
import type { Log } from '../../model/world.ts'
import { addAdminToken } from '../admin-token.ts'
import { Opened } from '../opened.ts'
import { realClock, realRandom } from '../world.ts'
import { isEmpty, refuseUnlessData } from './folder-kind.ts'
import { lockedFolder, openFolder } from './open-folder.ts'

export interface TakenOver {
  readonly generation: Generation
  /** False when this folder has begun its lineage by a takeover, and committed nothing since. */
  readonly changed: boolean
}

/** Fails with `data-locked` while the replica runs, and with `data-unusable` when there is none. */
export async function takeOver(folder: string, log: Pick<Log, 'warn'>): Promise<TakenOver> {
  const data = resolve(folder)
  const opened = new Opened()
  try {
    if (await isEmpty(data)) throw failure('data-unusable', { folder: data, reason: 'there is no depot' })
    opened.use(await lockedFolder(data))
    await refuseUnlessData(data)
    const { ledger } = opened.use(await openFolder(data, log))
    const { generations, notes } = ledger
    const head = generations.head()
    if (head === undefined)
      throw failure('data-unusable', { folder: data, reason: 'this replica has no generation yet' })
    const isDone = isFirstOfTakeover(head, generations.lineages().get(head.record.lineage)?.reason)
    await addAdminToken(data, new Access(ledger.tokens, realClock, realRandom))
    const wish = { reason: 'takeover', highest: head.record.number, publisher: 'depot takeover' } as const
    const generation = isDone
      ? head
      : await forkLineage({ generations, clock: realClock, random: realRandom }, wish)
    // Last, so that nobody starts an origin in the old lineage.
    for (const name of ['restored', 'superseded', 'replica'] as const) await notes.write(name, undefined)
    return { generation, changed: !isDone }
  } finally {
    await opened[Symbol.asyncDispose]()
  }
}

function isFirstOfTakeover({ record }: Generation, reason: string | undefined): boolean {
  return reason === 'takeover' && record.parent !== null && partsOf(record.parent).lineage !== record.lineage
}
