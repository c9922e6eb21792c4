/**
 * A token bucket for each token and each address that writes: a burst at once, then so many requests a second.
 *
 * The buckets are bounded in number: the one that was not used for the longest time goes first, and a new one starts
 * full, so that forgetting one can only be kind.
 */
import { LRUCache } from 'lru-cache'
import { failure } from '../model/errors.ts'
import { LIMITS } from '../model/limits.ts'
import type { Clock } from '../model/world.ts'

/** `perSecond` 0 is no limit. */
export interface Rate {
  readonly perSecond: number
  readonly burst: number
}

interface Bucket {
  left: number
  atMs: number
}

export class RateLimit {
  readonly #rate: Rate
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #buckets = new LRUCache<string, Bucket>({ max: LIMITS.rateBuckets })

  constructor(rate: Rate, clock: Pick<Clock, 'monotonic'>) {
    this.#rate = rate
    this.#clock = clock
  }

  /** Counts one request of `who`. Fails with `rate-limited`. */
  take(who: string): void {
    const { perSecond, burst } = this.#rate
    if (perSecond === 0) return
    const now = this.#clock.monotonic()
    const bucket = this.#buckets.get(who) ?? { left: burst, atMs: now }
    bucket.left = Math.min(burst, bucket.left + ((now - bucket.atMs) / 1000) * perSecond)
    bucket.atMs = now
    this.#buckets.set(who, bucket)
    if (bucket.left < 1)
      throw failure('rate-limited', { retryAfterMs: Math.ceil(((1 - bucket.left) / perSecond) * 1000) })
    bucket.left -= 1
  }
}
