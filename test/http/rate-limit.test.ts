/** Token buckets, on a clock that moves only when it is told to. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Rate, RateLimit } from '../../src/http/rate-limit.ts'
import { LIMITS } from '../../src/model/limits.ts'
import { outcomeOf, refusalOf } from '../model/refusal.ts'

class StandingClock {
  nowMs = 5_000
  monotonic(): number {
    return this.nowMs
  }
}

function limited(rate: Rate): { clock: StandingClock; take: (who?: string) => string; waitMs: () => number } {
  const clock = new StandingClock()
  const limit = new RateLimit(rate, clock)
  return {
    clock,
    take: (who = 'a') =>
      outcomeOf(() => {
        limit.take(who)
      }),
    waitMs: () =>
      Number(
        refusalOf(() => {
          limit.take('a')
        }).details['retryAfterMs'],
      ),
  }
}

function times(count: number, act: () => string): readonly string[] {
  return [...new Set(Array.from({ length: count }, act))]
}

describe('a token that writes', () => {
  it('has a burst at once, and is then refused', () => {
    const { take } = limited({ perSecond: 2, burst: 5 })
    expect(times(5, take)).toEqual(['accepted'])
    expect(times(5, take)).toEqual(['rate-limited'])
  })

  it('has as many a second after that as the rate says', () => {
    const { clock, take } = limited({ perSecond: 2, burst: 5 })
    times(5, take)
    clock.nowMs += 499
    expect(take()).toBe('rate-limited')
    clock.nowMs += 1
    expect(take()).toBe('accepted')
    expect(take()).toBe('rate-limited')
    clock.nowMs += 1000
    expect([take(), take(), take()]).toEqual(['accepted', 'accepted', 'rate-limited'])
  })

  it('has no more than the burst, however long it was silent', () => {
    const { clock, take } = limited({ perSecond: 2, burst: 5 })
    take()
    clock.nowMs += 1e12
    expect(times(5, take)).toEqual(['accepted'])
    expect(take()).toBe('rate-limited')
  })

  it('is told how long to wait, and that is enough', () => {
    const { clock, take, waitMs } = limited({ perSecond: 2, burst: 1 })
    take()
    expect(waitMs()).toBe(500)
    clock.nowMs += 200
    expect(waitMs()).toBe(300)
    clock.nowMs += 300
    expect(take()).toBe('accepted')
  })

  it('does not wait longer for asking too early', () => {
    const { clock, take } = limited({ perSecond: 2, burst: 1 })
    take()
    for (let asked = 0; asked < 50; asked += 1) {
      clock.nowMs += 9
      expect(take()).toBe('rate-limited')
    }
    clock.nowMs += 50
    expect(take()).toBe('accepted')
  })

  it('is not refused for what another does', () => {
    const { take } = limited({ perSecond: 1, burst: 1 })
    expect([take('a'), take('a'), take('b'), take('__proto__'), take('__proto__')]).toEqual([
      'accepted',
      'rate-limited',
      'accepted',
      'accepted',
      'rate-limited',
    ])
  })

  it('has no limit at a rate of 0', () => {
    const { take } = limited({ perSecond: 0, burst: 0 })
    expect(times(10_000, take)).toEqual(['accepted'])
  })
})

describe('at any rate and whatever the requests', () => {
  const rates = fc.record({
    perSecond: fc.integer({ min: 1, max: 300 }),
    burst: fc.integer({ min: 1, max: 30 }),
  })
  const gaps = fc.array(fc.oneof(fc.constant(0), fc.nat(200)), { minLength: 1, maxLength: 100 })

  it('no stretch of time holds more than the burst and what the rate gives', () => {
    fc.assert(
      fc.property(rates, gaps, (rate, waits) => {
        const { clock, take } = limited(rate)
        const taken: number[] = []
        for (const wait of waits) {
          clock.nowMs += wait
          if (take() === 'accepted') taken.push(clock.nowMs)
        }
        for (const [at, start] of taken.entries()) {
          const last = taken.at(-1) ?? start
          expect(taken.length - at).toBeLessThanOrEqual(
            rate.burst + ((last - start) / 1000) * rate.perSecond + 1e-6,
          )
        }
      }),
    )
  })

  it('the wait that was told is enough, to the next millisecond, and not twice as long as needed', () => {
    fc.assert(
      fc.property(rates, fc.nat(20), (rate, early) => {
        const { clock, take, waitMs } = limited(rate)
        for (let taken = 0; taken < rate.burst; taken += 1) take()
        clock.nowMs += Math.min(early, 999 / rate.perSecond)
        const wait = waitMs()
        expect(wait).toBeGreaterThanOrEqual(1)
        expect(wait).toBeLessThanOrEqual(Math.ceil(1000 / rate.perSecond))
        clock.nowMs += wait + 1
        expect(take()).toBe('accepted')
      }),
    )
  })
})

describe('the buckets', () => {
  it('are bounded: the one unused for the longest time is forgotten, and forgetting is kind', () => {
    const { take } = limited({ perSecond: 1, burst: 1 })
    for (let who = 0; who < LIMITS.rateBuckets; who += 1) take(String(who))
    expect(take('0')).toBe('rate-limited')
    take('one more')
    expect(take('0')).toBe('rate-limited')
    expect(take('1')).toBe('accepted')
  })
})
