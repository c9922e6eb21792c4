/**
 * What has to be taken over of an upstream's log so that a generation becomes the head here: everything since the own
 * head. Where it leaves the own log before that, the ledger finds out (`ledger/lineage/fork-point.ts`).
 */
import type { AdoptedRecord, Adoption, Ledger } from '../../ledger/ledger.ts'
import { failure } from '../../model/errors.ts'
import { type GenerationRecord, type Lineage, partsOf } from '../../model/generation.ts'
import type { UpstreamTrust } from '../keys/trust.ts'
import type { SentRecord, Upstream } from '../upstream.ts'

/** A generation that an upstream has told of, and whose record is the one of its id. */
export interface Target extends AdoptedRecord {
  readonly record: GenerationRecord
}

export interface AdoptionParts {
  readonly upstream: Pick<Upstream, 'log' | 'lineages'>
  readonly generations: Pick<Ledger['generations'], 'head' | 'lineages'>
  /** Lets pass only what a key has signed that is believed here. */
  readonly trust: Pick<UpstreamTrust, 'demand'>
  /** Whether the upstream is the one that commits; by default it is. */
  readonly isUpstreamOrigin?: () => boolean
}

/** Fails as `UpstreamTrust.demand` does, with `origin-diverged`, or with `generation-behind` when the upstream is a replica that has not come so far. */
export async function adoptionOf(
  parts: AdoptionParts,
  target: Target,
  signal: AbortSignal,
): Promise<Adoption> {
  const { upstream, generations } = parts
  // Also where it has left the own log before the head: its numbers begin above all that were seen anywhere.
  const after = generations.head()?.record.number ?? -1
  const records: SentRecord[] = []
  for await (const sent of upstream.log(after, target.record.number, signal)) records.push(sent)
  const last = records.at(-1)
  if (last?.gid !== target.gid) throw otherLog(parts, target, last)
  await parts.trust.demand(records, signal)
  return { lineages: await newLineages(parts, records, signal), records }
}

/** A log that does not end with what was announced. Another replica may have told of it before it has it. */
function otherLog(
  { isUpstreamOrigin }: AdoptionParts,
  { gid, record }: Target,
  last: SentRecord | undefined,
): Error {
  const isShort = last === undefined || partsOf(last.gid).number < record.number
  if (isShort && isUpstreamOrigin?.() === false)
    return failure('generation-behind', { wanted: gid, generation: last?.gid ?? 'none' })
  return failure('origin-diverged', { generation: gid, seen: last?.gid ?? 'none' })
}

/** Asked for only when one of them is new. */
async function newLineages(
  { upstream, generations }: AdoptionParts,
  records: readonly SentRecord[],
  signal: AbortSignal,
): Promise<readonly Lineage[]> {
  const here = generations.lineages()
  if (records.every(({ gid }) => here.has(partsOf(gid).lineage))) return []
  return await upstream.lineages(signal)
}
