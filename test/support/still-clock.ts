/**
 * Time that stands still until a test moves it.
 */
import type { Clock } from '../../src/model/world.ts'

export interface StillClock extends Clock {
  advance(milliseconds: number): void
}

export function stillClock(): StillClock {
  let now = Date.UTC(2026, 10, 22)
  return {
    now: () => now,
    monotonic: () => now,
    advance: (milliseconds) => {
      now += milliseconds
    },
  }
}
