/**
 * What a generation that another node tells of says about this depot, which believes that it is the origin (PROTOCOL §1,
 * §10). Pure, over the own log and the lineages that are known.
 *
 * `agrees`     it is in the own log, or on a branch that a fork has left behind
 * `ahead`      the own lineage has gone on beyond what is here, or otherwise: this depot has lost generations
 * `successor`  another node has begun a lineage that descends from this one: it is the origin
 * `foreign`    it is of another depot, as far as is known
 */
import type { Ledger } from '../../ledger/ledger.ts'
import { compareGids, type Gid, type Lineage, type LineageId, partsOf } from '../../model/generation.ts'

export type Told = 'agrees' | 'ahead' | 'successor' | 'foreign'

type Generations = Pick<Ledger['generations'], 'get' | 'lineages'>

/** `more` are lineages that the other node tells of: what is known here is not believed anew. */
export function toldBy(generations: Generations, head: Gid, seen: Gid, more: readonly Lineage[] = []): Told {
  if (seen === head || generations.get(seen) !== undefined) return 'agrees'
  const lineages = withMore(generations.lineages(), more)
  switch (compareGids(seen, head, lineages)) {
    case 'lost':
      return 'agrees'
    case 'behind':
      return partsOf(seen).lineage === partsOf(head).lineage ? 'ahead' : 'successor'
    // Under an old number, and not in the log: another generation than the one that is.
    case 'satisfied':
    case 'diverged':
      return 'ahead'
    case 'unknown':
      return 'foreign'
  }
}

function withMore(
  known: ReadonlyMap<LineageId, Lineage>,
  more: readonly Lineage[],
): ReadonlyMap<LineageId, Lineage> {
  const others = more.filter(({ id }) => !known.has(id))
  return others.length === 0
    ? known
    : new Map([...known, ...others.map((lineage) => [lineage.id, lineage] as const)])
}
