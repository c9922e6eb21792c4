/**
 * A world in which nothing happens by itself: events in the order of their time, chance from a seed, and nothing else.
 * The same seed gives the same history.
 */
import { Chance } from '../fuzz/chance.ts'

interface Planned {
  readonly at: number
  readonly turn: number
  readonly happen: () => void
}

/** For whoever replays a history: a sentence at a moment. Made only when somebody reads it. */
export type Trace = (atMs: number, who: string, sentence: string) => void

export class World {
  /** True milliseconds, which no node knows. */
  now = 0
  readonly chance: Chance
  readonly #trace: Trace | undefined
  readonly #heap: Planned[] = []
  #turns = 0

  constructor(seed: number, trace?: Trace) {
    this.chance = new Chance(seed)
    this.#trace = trace
  }

  /** Whether sentences are wanted: they cost more than what they tell of. */
  get isTraced(): boolean {
    return this.#trace !== undefined
  }

  tell(who: string, sentence: string): void {
    this.#trace?.(this.now, who, sentence)
  }

  /** From `least` up to `most`, evenly. */
  between(least: number, most: number): number {
    return least + (most - least) * this.chance.next()
  }

  /** Whether something happens that happens so often, from 0 to 1. */
  isSo(share: number): boolean {
    return this.chance.next() < share
  }

  after(milliseconds: number, happen: () => void): void {
    const planned = { at: this.now + milliseconds, turn: this.#turns, happen }
    this.#turns += 1
    const heap = this.#heap
    let at = heap.length
    heap.push(planned)
    while (at > 0) {
      const above = (at - 1) >> 1
      if (!isBefore(planned, heap[above]!)) break
      heap[at] = heap[above]!
      at = above
    }
    heap[at] = planned
  }

  /** Lets the next thing happen; false when nothing is planned until then. */
  step(untilMs: number): boolean {
    const heap = this.#heap
    const first = heap[0]
    if (first === undefined || first.at > untilMs) return false
    const last = heap.pop()!
    if (heap.length > 0) this.#sink(last)
    this.now = first.at
    first.happen()
    return true
  }

  #sink(planned: Planned): void {
    const heap = this.#heap
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      if (below >= heap.length) break
      if (below + 1 < heap.length && isBefore(heap[below + 1]!, heap[below]!)) below += 1
      if (!isBefore(heap[below]!, planned)) break
      heap[at] = heap[below]!
      at = below
    }
    heap[at] = planned
  }
}

function isBefore(one: Planned, other: Planned): boolean {
  return one.at < other.at || (one.at === other.at && one.turn < other.turn)
}
