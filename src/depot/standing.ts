/**
 * How a floor or a pin stands at a node, from the generations that it holds, those it knows, and the newest it has
 * heard of (PROTOCOL §1, §5). It is what the gate asks; whoever serves looks again, and refuses with the details.
 *
 * A lineage is known here when a generation of it is. A newer one that was only heard of may descend from anything, so
 * until it is here the origin says what a floor or a pin comes to: nothing is refused out of ignorance (I13).
 */
import type { Ledger } from '../ledger/ledger.ts'
import { type Comparison, compareGids, type Generation, type Gid, partsOf } from '../model/generation.ts'
import type { FloorHere, PinHere } from './gate.ts'

export interface Standpoint {
  readonly generations: Pick<Ledger['generations'], 'get' | 'isHeld' | 'lineages'>
  readonly head: Generation
  /** The newest generation that was heard of. */
  readonly known: Gid
}

/** What a gid that is not met by the head comes to, by the newest that was heard of. */
type Heard = 'announced' | 'unannounced' | 'lost' | 'foreign'

export function floorHere(standpoint: Standpoint, floor: Gid | 'head' | undefined): FloorHere {
  if (floor === undefined) return 'none'
  if (floor === 'head') return 'head'
  const compared = compareGids(floor, standpoint.head.gid, standpoint.generations.lineages())
  return compared === 'satisfied' ? 'met' : heardOf(standpoint, floor, compared)
}

export function pinHere(standpoint: Standpoint, pin: Gid): PinHere {
  const { generations, head } = standpoint
  if (pin === head.gid) return 'here'
  const found = generations.get(pin)
  if (found !== undefined) return logged(found, generations.isHeld(pin))
  const compared = compareGids(pin, head.gid, generations.lineages())
  // The log has every generation up to the head: nobody was ever given this one.
  if (compared === 'satisfied') return 'unannounced'
  const heard = heardOf(standpoint, pin, compared)
  return heard === 'announced' ? 'away' : heard
}

function logged({ state }: Generation, isHeld: boolean): PinHere {
  switch (state) {
    case 'active':
      return isHeld ? 'here' : 'away'
    case 'sealed':
    case 'retired':
      return state
    // It never was active, and never will be.
    case 'aborted':
      return 'unannounced'
  }
}

function heardOf(
  { generations, known }: Standpoint,
  wanted: Gid,
  toHead: Exclude<Comparison, 'satisfied'>,
): Heard {
  if (toHead === 'diverged') return 'unannounced'
  if (toHead === 'lost') return 'lost'
  const lineages = generations.lineages()
  const toKnown = compareGids(wanted, known, lineages)
  if (toKnown === 'satisfied') return 'announced'
  if (toKnown === 'behind' || toKnown === 'diverged') return 'unannounced'
  if (!lineages.has(partsOf(known).lineage)) return 'announced'
  return toHead === 'unknown' ? 'foreign' : 'unannounced'
}
