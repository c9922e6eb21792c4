/**
 * Which part a data folder has played: what a replica has copied is not continued by somebody who just starts it as an
 * origin, for then two of them would commit in one lineage.
 */
import type { LineageNotes } from '../../ledger/lineage/notes.ts'
import { failure } from '../../model/errors.ts'
import type { Config } from '../config.ts'

/** Remembers that the folder is of a replica. Fails with `data-unusable` when it is, and is to be of an origin. */
export async function settleRole(
  { role, data }: Pick<Config, 'role' | 'data'>,
  notes: LineageNotes,
): Promise<void> {
  const isOfReplica = notes.note('replica') !== undefined
  if (role === 'replica' && !isOfReplica) await notes.write('replica', 'yes')
  if (role === 'origin' && isOfReplica)
    throw failure('data-unusable', {
      folder: data,
      reason: 'it is that of a replica; make it that of the origin with depot takeover',
    })
}
