/**
 * Which generation answers a request: the pin, or the head if it satisfies the floor (PROTOCOL §2, §5 on one node).
 *
 * An origin that stands alone knows every generation there is: what it does not know does not exist, and is refused
 * at once. It never waits for a generation that nobody announced.
 */
import type { Ledger } from '../ledger/ledger.ts'
import { failure } from '../model/errors.ts'
import { compareGids, forkBefore, type Generation, type Gid } from '../model/generation.ts'

/** What a request asks of the generation that answers it. */
export interface Demand {
  /** From the URL, or from `Depot-Exact-Generation`. */
  readonly pin?: Gid
  /** `Depot-Min-Generation`. `head` is the head of this moment: an origin confirms it by itself. */
  readonly floor?: Gid | 'head'
}

/**
 * Fails with `generation-unknown`, `generation-lost`, `lineage-foreign` (of the floor, then 412; of the pin, then 404
 * or 410), `pin-below-floor` or `generation-retired`; and with `generation-behind` when the pin is known and not here.
 */
export function resolveGeneration(
  generations: Pick<Ledger['generations'], 'get' | 'isHeld' | 'lineages'>,
  head: Generation,
  { pin, floor }: Demand,
): Generation {
  const answering = pin === undefined ? head : heldGeneration(generations, head, pin)
  if (floor === undefined) return answering
  const least = floor === 'head' ? head.gid : floor
  const lineages = generations.lineages()
  if (compareGids(least, head.gid, lineages) !== 'satisfied') throw refusal(generations, head, least, true)
  if (compareGids(least, answering.gid, lineages) !== 'satisfied')
    throw failure('pin-below-floor', { pin: answering.gid, floor: least })
  return answering
}

/** A replica knows the record of every generation, and has what some of them name. */
function heldGeneration(
  generations: Pick<Ledger['generations'], 'get' | 'isHeld' | 'lineages'>,
  head: Generation,
  pin: Gid,
): Generation {
  const known = knownGeneration(generations, head, pin)
  if (pin !== head.gid && !generations.isHeld(pin))
    throw failure('generation-behind', { wanted: pin, generation: head.gid })
  return known
}

/** The generation with this id, whether what it names is here or not. Fails as `resolveGeneration` does of a pin. */
export function knownGeneration(
  generations: Pick<Ledger['generations'], 'get' | 'lineages'>,
  head: Generation,
  pin: Gid,
): Generation {
  if (pin === head.gid) return head
  const known = generations.get(pin)
  if (known === undefined) throw refusal(generations, head, pin, false)
  if (known.state === 'retired') throw failure('generation-retired', { wanted: pin })
  if (known.state !== 'active') throw refusal(generations, head, pin, false)
  return known
}

function refusal(
  generations: Pick<Ledger['generations'], 'get' | 'lineages'>,
  head: Generation,
  wanted: Gid,
  floor: boolean,
): Error {
  const details = { wanted, generation: head.gid, floor }
  const lineages = generations.lineages()
  switch (compareGids(wanted, head.gid, lineages)) {
    case 'lost': {
      const forkAt = forkBefore(wanted, head.gid, lineages)
      return failure('generation-lost', { ...details, ...(forkAt === undefined ? {} : { forkAt }) })
    }
    case 'unknown':
      return failure('lineage-foreign', details)
    case 'behind':
    case 'satisfied':
    // Another digest under a number that is known here: nobody was ever given it. Only a fork loses a generation.
    case 'diverged':
      return failure('generation-unknown', details)
  }
}
