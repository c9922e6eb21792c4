/**
 * Long work in slices: whoever loops over much calls `breathe` in every round, and waits for its turn when a slice of
 * the event loop is used up (`LIMITS.sliceMs`).
 *
 * All loops together get one slice in a turn of the event loop, and take it in the order in which they came: a hundred
 * of them hold up the others no longer than one does.
 */
import { LIMITS } from './limits.ts'
import type { Clock } from './world.ts'

export interface Slices {
  /** Undefined when the slice may go on: `await` it only when it is something. */
  breathe(): Promise<void> | undefined
}

export function slices(clock: Pick<Clock, 'monotonic'>): Slices {
  const known = turns.get(clock)
  if (known !== undefined) return known
  const turn = new Turn(clock)
  turns.set(clock, turn)
  return turn
}

/** One for each clock, and so one in a process, but for tests that have clocks of their own. */
const turns = new WeakMap<Pick<Clock, 'monotonic'>, Turn>()

class Turn implements Slices {
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #waiting: (() => void)[] = []
  /** When the slice of this turn began; undefined when nobody has worked in this turn. */
  #begun: number | undefined

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock
  }

  breathe(): Promise<void> | undefined {
    const now = this.#clock.monotonic()
    if (this.#begun === undefined) this.#begin(now)
    else if (now - this.#begun >= LIMITS.sliceMs) return this.#wait()
    return undefined
  }

  #begin(now: number): void {
    this.#begun = now
    setImmediate(() => this.#pass())
  }

  async #wait(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.push(resolve)
    await promise
  }

  /** Ends the slice, and gives the next one to who has waited longest. */
  #pass(): void {
    this.#begun = undefined
    const next = this.#waiting.shift()
    if (next === undefined) return
    this.#begin(this.#clock.monotonic())
    next()
  }
}
