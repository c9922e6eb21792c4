/**
 * The order of generations: the activation log of the origin, and nothing else. Numbers alone would not do, for a
 * restored depot reuses them.
 */
import {
  compareGids,
  type Gid,
  isGid,
  type Lineage,
  type LineageId,
  partsOf,
} from '../../src/model/generation.ts'
import type { ActiveLine, LineageLine } from './line.ts'

export class Order {
  readonly active: ActiveLine[] = []
  readonly lineages: Map<LineageId, Lineage> = new Map<LineageId, Lineage>()
  readonly #ranks = new Map<string, number>()

  add(line: ActiveLine): void {
    if (!this.#ranks.has(line.gid)) this.#ranks.set(line.gid, this.active.length)
    this.active.push(line)
    const { lineage } = partsOf(line.gid as Gid)
    if (!this.lineages.has(lineage))
      this.lineages.set(lineage, { id: lineage, parent: null, forkAt: null, reason: 'init' })
  }

  addLineage({ id, parent, forkAt }: LineageLine): void {
    const lineage = { id, parent, forkAt, reason: parent === null ? 'init' : 'fork' }
    this.lineages.set(id as LineageId, lineage as Lineage)
  }

  /** Its place in the activation log; undefined when it never was active. */
  rankOf(gid: string | undefined): number | undefined {
    return gid === undefined ? undefined : this.#ranks.get(gid)
  }

  /** The place of the newest that was active for certain at this time, -1 when none was; `at` grows along the log. */
  newestAt(time: number): number {
    let [low, high] = [0, this.active.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.active[middle]!.at <= time) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  /** Whether a reader who wants at least `want` may be given `have` (PROTOCOL §1). */
  satisfies(have: string, want: string): boolean {
    return isGid(have) && isGid(want) && compareGids(want, have, this.lineages) === 'satisfied'
  }

  /** Whether `gid` is of a branch that `have` does not descend from. */
  isLost(gid: string, have: string): boolean {
    return isGid(gid) && isGid(have) && compareGids(gid, have, this.lineages) === 'lost'
  }
}
