/**
 * A world for tests: time moves only when somebody sleeps, and chance is always the same.
 */
import { setImmediate } from 'node:timers/promises'
import type { Random } from '../../src/model/world.ts'
import type { WaitingClock } from '../../src/wire/caller.ts'

export interface StillClock extends WaitingClock {
  /** How long everybody slept, in order. */
  readonly slept: readonly number[]
}

export function stillClock(): StillClock {
  const slept: number[] = []
  let time = 0
  return {
    slept,
    now: () => Date.parse('2026-11-22T00:00:00Z') + time,
    monotonic: () => time,
    async sleep(milliseconds, signal) {
      signal?.throwIfAborted()
      slept.push(milliseconds)
      time += milliseconds
      await setImmediate()
      signal?.throwIfAborted()
    },
  }
}

/** No jitter at all: every byte is 0. */
export const noChance: Random = { bytes: (count) => new Uint8Array(count) }

/** Different bytes each time. */
export function countingRandom(): Random {
  let next = 0
  return {
    bytes(count) {
      next += 1
      return Uint8Array.from({ length: count }, (_, at) => (next >> (8 * at)) & 0xff)
    },
  }
}
