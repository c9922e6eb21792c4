/**
 * Real time and real chance, for tests of what works on real files.
 */
import { randomBytes } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import type { Clock, Random } from '../../src/model/world.ts'

export const realClock: Clock = { now: () => Date.now(), monotonic: () => performance.now() }
export const realRandom: Random = { bytes: (count) => randomBytes(count) }
