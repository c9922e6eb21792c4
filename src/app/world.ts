/**
 * The real world: the one place that reads the clock of the machine and its source of chance.
 */
import { randomBytes } from 'node:crypto'
import type { Clock, Random } from '../model/world.ts'

export const realClock: Clock = {
  // oxlint-disable-next-line no-restricted-globals -- this is the clock that everybody else takes
  now: () => Date.now(),
  monotonic: () => performance.now(),
}

export const realRandom: Random = { bytes: (count) => randomBytes(count) }
