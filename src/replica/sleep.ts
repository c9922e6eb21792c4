/**
 * Waiting for a while, and how long to wait before something that failed is tried again.
 */
import { setTimeout } from 'node:timers/promises'
import { LIMITS } from '../model/limits.ts'
import type { Random } from '../model/world.ts'

/** Resolves after so long, or at once when the signal is aborted. Handed in, so that a test decides when it ends. */
export type Sleep = (milliseconds: number, signal: AbortSignal) => Promise<void>

export async function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  await setTimeout(milliseconds, undefined, { signal }).catch(() => undefined)
}

/** Twice as long after every failure in a row, up to a bound; spread, so that many replicas do not come all at once. */
export class BackOff {
  readonly #random: Random
  #failures = 0

  constructor(random: Random) {
    this.#random = random
  }

  /** Milliseconds to wait after one more failure. */
  next(): number {
    const whole = Math.min(LIMITS.retryMostMs, LIMITS.retryLeastMs * 2 ** this.#failures)
    // Beyond so many the bound is reached for long.
    this.#failures = Math.min(this.#failures + 1, 30)
    const [chance = 0] = this.#random.bytes(1)
    return Math.round((whole * (256 + chance)) / 512)
  }

  reset(): void {
    this.#failures = 0
  }
}
