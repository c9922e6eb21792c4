/**
 * Long work in slices: whoever loops over much calls `breathe` in every round, and the event loop gets its turn as
 * soon as a slice has lasted `LIMITS.sliceMs`.
 */
import { setImmediate } from 'node:timers/promises'
import { LIMITS } from './limits.ts'
import type { Clock } from './world.ts'

export interface Slices {
  /** Undefined when the slice may go on: `await` it only when it is something. */
  breathe(): Promise<void> | undefined
}

export function slices(clock: Pick<Clock, 'monotonic'>): Slices {
  let begun = clock.monotonic()
  async function pause(): Promise<void> {
    await setImmediate()
    begun = clock.monotonic()
  }
  return {
    breathe: () => (clock.monotonic() - begun < LIMITS.sliceMs ? undefined : pause()),
  }
}
