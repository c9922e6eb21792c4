/**
 * Where a chain of another lineage leaves the own log: a depot that has lost generations in a restore goes on in a new
 * lineage from the last one that it still has, and whoever follows it loses those behind that, too (PROTOCOL §10).
 *
 * The records say it themselves, for each names its parent by the full digest; what is told of lineages is only believed
 * where it agrees with them.
 */
import { failure } from '../../model/errors.ts'
import { forkBefore, type Lineage, type LineageId } from '../../model/generation.ts'
import type { Link } from '../chain.ts'
import type { Gap } from './log-rows.ts'

type Lineages = ReadonlyMap<LineageId, Lineage>

export interface ForkPoint {
  /** The last generation that the chain shares with the own log. */
  readonly shared: Link
  /** What the own log has behind it. */
  readonly lost: Gap
}

/**
 * Undefined for a chain that goes on from the head, or leads anywhere else. Fails with `origin-diverged` when its
 * numbers do not go on above all that are known here (PROTOCOL §1).
 */
export function forkPointOf(
  head: Link | undefined,
  links: readonly Link[],
  lineages: Lineages,
  linkAt: (number: number) => Link | undefined,
): ForkPoint | undefined {
  const last = links.at(-1)
  if (head === undefined || last === undefined) return undefined
  const at = forkBefore(head.gid, last.gid, lineages)
  const shared = at === undefined || at >= head.record.number ? undefined : linkAt(at)
  const first = links.find(({ record }) => shared !== undefined && record.number > shared.record.number)
  if (shared === undefined || first === undefined) return undefined
  if (first.record.number <= head.record.number)
    throw failure('origin-diverged', { generation: head.gid, seen: first.gid })
  return { shared, lost: { after: shared.record.number, before: first.record.number } }
}

/**
 * Lets pass a chain in which every lineage begins where it says. Fails with `lineage-foreign` when one is nowhere, and
 * with `origin-diverged` when one begins elsewhere.
 */
export function demandLineages(
  parent: Link | undefined,
  links: readonly Link[],
  lineages: Lineages,
  head: Link | undefined,
): void {
  let before = parent
  for (const link of links) {
    const { lineage: id } = link.record
    const lineage = lineages.get(id)
    if (lineage === undefined)
      throw failure('lineage-foreign', { wanted: link.gid, generation: head?.gid ?? 'none', floor: false })
    if (before !== undefined && !continues(link, before, lineage))
      throw failure('origin-diverged', { generation: before.gid, seen: link.gid })
    before = link
  }
}

function continues({ record }: Link, { record: before }: Link, lineage: Lineage): boolean {
  if (record.lineage === before.lineage) return true
  return lineage.parent === before.lineage && lineage.forkAt === before.number
}
