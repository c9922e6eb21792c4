/**
 * Who sees every answer and holds it to the invariants, at the moment it is given: I3, I5, I10, I11 and what the mode
 * `available` promises where no fresh node is left. Generations are counted by their place in the activation log.
 */
import type { World } from './world.ts'

export class Violation extends Error {
  readonly invariant: string

  constructor(invariant: string, sentence: string) {
    super(`${invariant}: ${sentence}`)
    this.invariant = invariant
  }
}

/** A read of a client that sends no header. */
export interface Reading {
  readonly startedMs: number
  /** The newest generation in any answer that ended before it began, and the newest that a publisher was told is active. */
  readonly seen: number
  readonly active: number
  /** Whether a balancer sent it to a node that is not fresh, for none was left. */
  readonly isLax: boolean
  /** Whether nobody answers it any more. */
  isOver: boolean
}

export class Judge {
  readonly #world: World
  readonly #newestDurable: () => number
  #newestSeen = 0
  #newestActive = 0
  /** Per generation, the nodes that had acknowledged its fence when it became the head. */
  readonly #acknowledged = new Map<number, ReadonlySet<string>>()
  answers = 0
  lax = 0

  constructor(world: World, newestDurable: () => number) {
    this.#world = world
    this.#newestDurable = newestDurable
  }

  begin(isLax: boolean): Reading {
    return {
      startedMs: this.#world.now,
      seen: this.#newestSeen,
      active: this.#newestActive,
      isLax,
      isOver: false,
    }
  }

  /** An answer has reached its client. */
  end(reading: Reading, node: string, generation: number): void {
    if (reading.isOver) return
    reading.isOver = true
    this.answers += 1
    if (reading.isLax) this.lax += 1
    if (generation > this.#newestDurable())
      throw new Violation('I11', `${node} shows g${generation}, which is not durable at the origin`)
    const asked = `${node} answers g${generation} to who asked at ${reading.startedMs.toFixed(1)}`
    if (this.#isBack(node, generation, reading, reading.seen))
      throw new Violation('I5', `${asked}, after g${reading.seen} was seen`)
    if (this.#isBack(node, generation, reading, reading.active))
      throw new Violation('I10', `${asked}, after g${reading.active} was called active`)
    this.#newestSeen = Math.max(this.#newestSeen, generation)
  }

  /** A publisher was told that it is active: from now on everybody has it (I10). */
  active(generation: number): void {
    if (generation > this.#newestDurable())
      throw new Violation('I3', `g${generation} is called active and is not durable`)
    this.#newestActive = Math.max(this.#newestActive, generation)
  }

  flipped(generation: number, acknowledged: ReadonlySet<string>): void {
    this.#acknowledged.set(generation, acknowledged)
  }

  /** The origin has started again. */
  recovered(): void {
    if (this.#newestDurable() < this.#newestSeen)
      throw new Violation(
        'I3',
        `g${this.#newestSeen} was seen, and the origin knows g${this.#newestDurable()}`,
      )
  }

  /**
   * Whether an answer is older than what was there before it was asked for. In `available`, with no fresh node left, a node
   * whose lease had run out when a newer generation became the head may not know of it; one that had acknowledged the fence
   * never answers with what is older.
   */
  #isBack(node: string, generation: number, { isLax }: Reading, floor: number): boolean {
    if (!isLax) return generation < floor
    for (let newer = generation + 1; newer <= floor; newer += 1)
      if (this.#acknowledged.get(newer)?.has(node) === true) return true
    return false
  }
}
