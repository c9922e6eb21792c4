/**
 * Reading what changes with the head, without ever going back (PROTOCOL §13).
 *
 *   ask         with the floor as Depot-Min-Generation
 *   check       that the answer is not older, for a cache in front may not know that header
 *   ask again   past every cache, once, when it is
 *   raise       the floor, durable before anybody sees the answer
 *
 * Only somebody who says so by `acceptLineage` goes on in a lineage that lost what he has seen.
 */
import { isFailure } from '../model/errors.ts'
import { compareGids, type Generation, type Gid, isGid, partsOf } from '../model/generation.ts'
import type { Random } from '../model/world.ts'
import type { Call, Caller } from '../wire/caller.ts'
import type { Answer } from '../wire/caller-answer.ts'
import { HEADERS, NO_GENERATION } from '../wire/headers.ts'
import { generationPath, PATHS } from '../wire/paths.ts'
import type { FloorStore } from './floor.ts'
import { readGeneration } from './generation.ts'

export interface HeadsOptions {
  readonly caller: Caller
  readonly floor: FloorStore
  readonly random: Random
  /** Id of the one lineage that may replace the floor although it lost it. */
  readonly acceptLineage?: string | undefined
}

const HEAD_WAIT_SECONDS = 10
const NO_LINEAGES = new Map()

export class Heads {
  readonly #options: HeadsOptions
  #raising: Promise<void> = Promise.resolve()

  constructor(options: HeadsOptions) {
    this.#options = options
  }

  async head(signal?: AbortSignal): Promise<Generation> {
    const call = { path: PATHS.head, headers: { prefer: `wait=${HEAD_WAIT_SECONDS}` } }
    const floor = await this.#options.floor.read()
    return await this.#accept(await this.#read(call, floor, signal), floor)
  }

  /** Another head than `after`, or undefined when there was none within about `seconds`. */
  async headAfter(after: Gid, seconds: number, signal?: AbortSignal): Promise<Generation | undefined> {
    const headers = { prefer: `wait=${seconds}` }
    const call = { path: `${PATHS.head}?after=${after}`, headers, expect: [304] }
    const floor = newer(await this.#options.floor.read(), after)
    const answer = await this.#read(call, floor, signal)
    if (answer.status === 304) {
      await answer.discard()
      return undefined
    }
    const head = await this.#accept(answer, floor)
    if (head.gid === after) throw answer.invalid(`${after} as if it came after itself`)
    return head
  }

  /** Any other answer that depends on the head. */
  async read(path: string, signal?: AbortSignal): Promise<Answer> {
    return await this.#read({ path }, await this.#options.floor.read(), signal)
  }

  /** Takes note of a generation that was seen: `over` is a floor that it may replace although it cannot be compared. */
  async raise(gid: Gid, over?: Gid): Promise<void> {
    const before = this.#raising
    const raised = (async () => {
      await before.catch(() => undefined)
      const floor = await this.#options.floor.read()
      const isNewer =
        floor === undefined || floor === over || compareGids(floor, gid, NO_LINEAGES) === 'satisfied'
      if (isNewer && floor !== gid) await this.#options.floor.write(gid)
    })()
    this.#raising = raised
    await raised
  }

  async #accept(answer: Answer, floor: Gid | undefined): Promise<Generation> {
    const generation = await readGeneration(answer)
    if (generation.gid !== answer.generation)
      throw answer.invalid('one generation in its header and another below')
    await this.raise(generation.gid, floor)
    return generation
  }

  async #read(call: Call, floor: Gid | undefined, signal?: AbortSignal): Promise<Answer> {
    const first = await this.#ask(call, floor, signal)
    if (await this.#isNotOlder(first, floor, signal)) return first
    await first.discard()
    const second = await this.#ask(pastCaches(call, this.#options.random), floor, signal)
    if (await this.#isNotOlder(second, floor, signal)) return second
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

  async #isNotOlder(answer: Answer, floor: Gid | undefined, signal?: AbortSignal): Promise<boolean> {
    const have = answer.generation
    if (have === NO_GENERATION) return floor === undefined
    if (!isGid(have)) throw answer.invalid('without saying of which generation')
    if (floor === undefined) return true
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
      const known = await readGeneration(
        await this.#options.caller.call({ path: generationPath(floor) }, signal),
      )
      return known.gid === floor
    } catch (error) {
      if (isFailure(error, 'generation-retired') || isFailure(error, 'withdrawn')) return true
      throw error
    }
  }
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

function newer(floor: Gid | undefined, seen: Gid): Gid {
  return floor === undefined || compareGids(floor, seen, NO_LINEAGES) === 'satisfied' ? seen : floor
}
