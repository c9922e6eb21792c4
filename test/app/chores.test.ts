/**
 * What a depot does by itself now and then, on a clock that a test moves.
 */
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { Chores } from '../../src/app/chores.ts'
import { LIMITS } from '../../src/model/limits.ts'
import { stillClock } from '../support/still-clock.ts'

const MINUTE_MS = 60_000

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

it('expires stages and forgets what is old every minute, however long it lives', async () => {
  const clock = stillClock()
  const asked: number[] = []
  let expired = 0
  let tidied = 0
  const keys = { tidy: async () => void (tidied += 1) }
  const stages = {
    expire: async () => {
      expired += 1
      return []
    },
  }
  const forget = async (beforeMs: number): Promise<number> => {
    asked.push(clock.now() - beforeMs)
    return 0
  }
  const chores = new Chores({ stages, keys, ledger: { outcomes: { forget } } }, clock, quiet([]))
  await vi.advanceTimersByTimeAsync(3 * MINUTE_MS)
  expect([expired, tidied]).toEqual([3, 3])
  expect(asked).toEqual(Array.from({ length: 3 }, () => LIMITS.idempotencyKeepMs))
  await chores[Symbol.asyncDispose]()
  await vi.advanceTimersByTimeAsync(3 * MINUTE_MS)
  expect(expired).toBe(3)
})

it('forgets more than any depot can commit in a minute, in small steps, and no more than is there', async () => {
  let left = 100_000
  const steps: number[] = []
  const forget = async (_: number, limit: number): Promise<number> => {
    const forgotten = Math.min(limit, left)
    left -= forgotten
    steps.push(forgotten)
    return forgotten
  }
  const stages = { expire: async () => [] }
  const keys = { tidy: async () => undefined }
  await using _ = new Chores({ stages, keys, ledger: { outcomes: { forget } } }, stillClock(), quiet([]))
  await vi.advanceTimersByTimeAsync(MINUTE_MS)
  expect(left).toBe(40_000)
  expect(Math.max(...steps)).toBeLessThanOrEqual(1_000)
  await vi.advanceTimersByTimeAsync(MINUTE_MS)
  expect(left).toBe(0)
  expect(steps.at(-1)).toBe(0)
})

it('logs a round that failed and tries again', async () => {
  const logged: string[] = []
  let tries = 0
  const stages = {
    expire: async () => {
      tries += 1
      throw new Error('the disk is full')
    },
  }
  const ledger = { outcomes: { forget: async () => 0 } }
  const keys = { tidy: async () => undefined }
  await using _ = new Chores({ stages, keys, ledger }, stillClock(), quiet(logged))
  await vi.advanceTimersByTimeAsync(2 * MINUTE_MS)
  expect([tries, logged.length]).toEqual([2, 2])
})

function quiet(logged: string[]): ConstructorParameters<typeof Chores>[2] {
  const note = (_: object, text: string): void => {
    logged.push(text)
  }
  return { debug: () => undefined, info: () => undefined, warn: note, error: note }
}
