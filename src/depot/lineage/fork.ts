/**
 * Begins another lineage at the head: with its first generation, whose content is that of the head, so that everybody who
 * asks sees it (PROTOCOL §10). One flip, so a crash leaves the old lineage or the new one.
 *
 * Its numbers begin far above all that anybody has seen: people see the jump, and no number is used twice.
 */
import { strict as assert } from 'node:assert'
import type { Ledger } from '../../ledger/ledger.ts'
import {
  encodeRecord,
  type Generation,
  gidOf,
  type Lineage,
  lineageOf,
  recordAfter,
} from '../../model/generation.ts'
import type { Clock, Random } from '../../model/world.ts'

export interface ForkParts {
  readonly generations: Pick<Ledger['generations'], 'head' | 'flip'>
  readonly clock: Pick<Clock, 'now'>
  readonly random: Random
}

export interface ForkWish {
  readonly reason: Exclude<Lineage['reason'], 'init'>
  /** The highest number that was seen anywhere. */
  readonly highest: number
  /** Who has decided it, as the log will say. */
  readonly publisher: string
}

const LINEAGE_BYTES = 12
const STEP = 1_000

/** The generation that begins the lineage, durable and the head. Fails with `base-changed` when the head has moved. */
export async function forkLineage(parts: ForkParts, wish: ForkWish): Promise<Generation> {
  const { generations, clock, random } = parts
  const parent = generations.head()
  assert(parent !== undefined, 'a depot without a generation has nothing to fork')
  const { record: before } = parent
  const lineage: Lineage = {
    id: lineageOf(random.bytes(LINEAGE_BYTES)),
    parent: before.lineage,
    forkAt: before.number,
    reason: wish.reason,
  }
  const record = recordAfter(parent, clock.now(), {
    number: firstNumberAbove(Math.max(wish.highest, before.number)),
    lineage: lineage.id,
    metaset: before.metaset,
    publisher: wish.publisher,
    message: `${wish.reason} of ${parent.gid}`,
  })
  const bytes = encodeRecord(record)
  return await generations.flip({ expected: parent.gid, gid: gidOf(record, bytes), record, bytes, lineage })
}

/** The next multiple of 1000. */
export function firstNumberAbove(number: number): number {
  return (Math.floor(number / STEP) + 1) * STEP
}
