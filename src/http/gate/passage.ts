/**
 * One request on its way through the gate: what was tried for it, and how long it may still wait (PROTOCOL §6).
 */
import { strict as assert } from 'node:assert'
import type { Plan, Step } from '../../depot/gate.ts'
import type { Clock } from '../../model/world.ts'

export class Passage {
  readonly budgetMs: number
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #ends: number
  readonly #tried = new Set<Step>()
  readonly #gone: AbortSignal
  /** Until when it is held; undefined before it is held for the first time. */
  #holdEnds: number | undefined

  constructor(clock: Pick<Clock, 'monotonic'>, budgetMs: number, gone: AbortSignal) {
    this.#clock = clock
    this.budgetMs = budgetMs
    this.#ends = clock.monotonic() + budgetMs
    this.#gone = gone
  }

  /** Whether the client has gone away: nothing is done for it any more. */
  get isGone(): boolean {
    return this.#gone.aborted
  }

  get gone(): AbortSignal {
    return this.#gone
  }

  left(): number {
    return this.#ends - this.#clock.monotonic()
  }

  /** Whether it waits for the first time: for as long as it may, but no longer than `mostMs`. */
  beginsToWait(mostMs: number): boolean {
    const isFirst = this.#holdEnds === undefined
    this.#holdEnds ??= Math.min(this.#ends, this.#clock.monotonic() + mostMs)
    return isFirst
  }

  /** Milliseconds for which it may still be held. */
  holdLeft(): number {
    return (this.#holdEnds ?? this.#ends) - this.#clock.monotonic()
  }

  /** The first step of the plan that was not tried; waiting is tried for as long as there is time. */
  next(plan: Plan): Step {
    if (this.holdLeft() <= 0) this.#tried.add('hold')
    const step = plan.find((one) => one === 'serve' || typeof one === 'object' || !this.#tried.has(one))
    assert(step !== undefined, 'the last step of a plan is always taken')
    if (step !== 'hold') this.#tried.add(step)
    return step
  }
}
