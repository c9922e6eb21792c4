/**
 * Reading what changes with the head, without ever going back (PROTOCOL §13).
 *
 *   ask         with the floor as Depot-Min-Generation
 *   check       that the answer is not older, for a cache in front may not know that header
 *   ask again   past every cache, once, when it is
 *   verify      that a key of the depot has signed it
 *   raise       the floor, durable before anybody sees the answer
 *
 * There may be two floors: what was seen before, and the least that somebody asks for (`DEPOT_MIN_GENERATION`). The
 * second is noted as seen only once the depot has shown that it has it.
 *
 * Only somebody who says so by `acceptLineage` goes on in a lineage that lost what he has seen.
 */
import { isFailure } from '../model/errors.ts'
import { compareGids, type Generation, type Gid, isGid, partsOf } from '../model/generation.ts'
import type { Random } from '../model/world.ts'
import type { Call, Caller } from '../wire/caller.ts'
import type { Answer } from '../wire/caller-answer.ts'
import { ANY_GENERATION, HEADERS, NO_GENERATION } from '../wire/headers.ts'
import { generationPath, PATHS } from '../wire/paths.ts'
import type { FloorStore } from './floor.ts'
import { readGeneration } from './generation.ts'
import type { KeyTrust } from './keys/trust.ts'

export interface HeadsOptions {
  readonly caller: Caller
  readonly floor: FloorStore
  /** Nothing is believed, and no floor raised, that it does not let pass. */
  readonly trust: Pick<KeyTrust, 'demand'>
  /** The least generation to accept beside the floor. */
  readonly least?: Gid | undefined
  readonly random: Random
  /** Id of the one lineage that may replace the floor although it lost it. */
  readonly acceptLineage?: string | undefined
}

const HEAD_WAIT_SECONDS = 10
const NO_LINEAGES = new Map()

export class Heads {
  readonly #options: HeadsOptions

  constructor(options: HeadsOptions) {
    this.#options = options
  }

  async head(signal?: AbortSignal): Promise<Generation> {
    const call = { path: PATHS.head, headers: { prefer: `wait=${HEAD_WAIT_SECONDS}` } }
    const floors = await this.#floors()
    const head = await this.#whole(call, floors, headIn, signal)
    await this.accept(head, floors, signal)
    return head
  }

  /** Another head than `after`, or undefined when there was none within about `seconds`. */
  async headAfter(after: Gid, seconds: number, signal?: AbortSignal): Promise<Generation | undefined> {
    const headers = { prefer: `wait=${seconds}` }
    const call = { path: `${PATHS.head}?after=${after}`, headers, expect: [304] }
    const floors = withNewer(await this.#floors(), after)
    const read = async (answer: Answer): Promise<Generation | undefined> => {
      if (answer.status === 304) {
        await answer.discard()
        return undefined
      }
      const head = await headIn(answer)
      if (head.gid === after) throw answer.invalid(`${after} as if it came after itself`)
      return head
    }
    const head = await this.#whole(call, floors, read, signal)
    if (head !== undefined) await this.accept(head, floors, signal)
    return head
  }

  /** Any other answer that depends on the head. */
  async read<Result>(
    path: string,
    read: (answer: Answer) => Promise<Result>,
    signal?: AbortSignal,
  ): Promise<Result> {
    return await this.#whole({ path }, await this.#floors(), read, signal)
  }

  /** Takes note of a generation that was told, once it is found signed. Fails as `KeyTrust.demand` does. */
  async accept(generation: Generation, over: readonly Gid[] = [], signal?: AbortSignal): Promise<void> {
    await this.#options.trust.demand(generation, signal)
    await this.raise(generation.gid, over)
  }

  /**
   * Takes note of a generation that was seen, durably, whoever else does so at the same time: `over` are floors that it
   * may replace although it cannot be compared with them.
   */
  async raise(gid: Gid, over: readonly Gid[] = []): Promise<void> {
    const { floor } = this.#options
    for (;;) {
      const before = await floor.read()
      const isNewer =
        before === undefined || over.includes(before) || compareGids(before, gid, NO_LINEAGES) === 'satisfied'
      if (!isNewer || before === gid || (await floor.replace(before, gid))) return
    }
  }

  /** What no answer may be older than; the one to ask with comes first. */
  async #floors(): Promise<readonly Gid[]> {
    const { floor, least } = this.#options
    const seen = await floor.read()
    return least === undefined ? [seen].flatMap((gid) => gid ?? []) : withNewer([seen ?? least], least)
  }

  async #whole<Result>(
    call: Call,
    floors: readonly Gid[],
    read: (answer: Answer) => Promise<Result>,
    signal?: AbortSignal,
  ): Promise<Result> {
    const ask = async (fresh: boolean): Promise<Answer> =>
      await this.#read(fresh ? { ...call, fresh } : call, floors, signal)
    return await this.#options.caller.whole(ask, read, signal)
  }

  async #read(call: Call, floors: readonly Gid[], signal?: AbortSignal): Promise<Answer> {
    const first = await this.#ask(call, floors[0], signal)
    if ((await this.#olderThan(first, floors, signal)) === undefined) return first
    await first.discard()
    const second = await this.#ask(pastCaches(call, this.#options.random), floors[0], signal)
    const floor = await this.#olderThan(second, floors, signal)
    if (floor === undefined) return second
    await second.discard()
    throw second.invalid(
      `with ${second.generation}, although ${floor} was seen before: a cache or load balancer in front returned an older generation`,
    )
  }

  async #ask(call: Call, floor: Gid | undefined, signal?: AbortSignal): Promise<Answer> {
    const { caller, acceptLineage } = this.#options
    if (floor === undefined) return await caller.call(call, signal)
    try {
      return await caller.call(
        { ...call, headers: { ...call.headers, [HEADERS.minGeneration]: floor } },
        signal,
      )
    } catch (error) {
      const left = isFailure(error, 'generation-lost') || isFailure(error, 'lineage-foreign')
      if (!left || acceptLineage === undefined) throw error
      const answer = await caller.call(call, signal)
      if (isGid(answer.generation) && partsOf(answer.generation).lineage === acceptLineage) return answer
      await answer.discard()
      throw error
    }
  }

  /** The first of the floors that an answer is older than. */
  async #olderThan(answer: Answer, floors: readonly Gid[], signal?: AbortSignal): Promise<Gid | undefined> {
    try {
      for (const floor of floors) if (!(await this.#isNotOlder(answer, floor, signal))) return floor
      if (answer.generation === undefined || answer.generation === ANY_GENERATION)
        throw answer.invalid('without saying of which generation')
      return undefined
    } catch (error) {
      // Nobody will read it any more.
      await answer.discard()
      throw error
    }
  }

  async #isNotOlder(answer: Answer, floor: Gid, signal?: AbortSignal): Promise<boolean> {
    const have = answer.generation
    if (have === NO_GENERATION) return false
    if (!isGid(have)) throw answer.invalid('without saying of which generation')
    const comparison = compareGids(floor, have, NO_LINEAGES)
    if (comparison !== 'unknown') return comparison === 'satisfied'
    return await this.#descends(have, floor, signal)
  }

  /** Whether another lineage than the floor's still has the floor. Fails as the depot does when it does not know it. */
  async #descends(have: Gid, floor: Gid, signal?: AbortSignal): Promise<boolean> {
    const wanted = partsOf(floor)
    const held = partsOf(have)
    if (held.lineage === this.#options.acceptLineage) return true
    // Numbers increase across forks, so a lower one is an old answer from before the fork.
    if (held.number <= wanted.number) return false
    try {
      const known = await this.#options.caller.read({ path: generationPath(floor) }, readGeneration, signal)
      return known.gid === floor
    } catch (error) {
      if (isFailure(error, 'generation-retired') || isFailure(error, 'withdrawn')) return true
      throw error
    }
  }
}

/** The head that an answer tells of. */
async function headIn(answer: Answer): Promise<Generation> {
  const generation = await readGeneration(answer)
  if (generation.gid === answer.generation) return generation
  throw answer.invalid('one generation in its header and another below')
}

/** The same call in a way that no cache has an answer to. */
function pastCaches(call: Call, random: Random): Call {
  const nonce = Buffer.from(random.bytes(8)).toString('hex')
  return {
    ...call,
    path: `${call.path}${call.path.includes('?') ? '&' : '?'}_n=${nonce}`,
    headers: { ...call.headers, 'cache-control': 'no-cache' },
    fresh: true,
  }
}

/** With one more floor: it takes the place of the first one where it is newer, and stands before it where nobody can tell. */
function withNewer([first, ...others]: readonly Gid[], gid: Gid): readonly Gid[] {
  if (first === undefined || first === gid || compareGids(first, gid, NO_LINEAGES) === 'satisfied')
    return [gid, ...others]
  return compareGids(gid, first, NO_LINEAGES) === 'satisfied' ? [first, ...others] : [gid, first, ...others]
}
