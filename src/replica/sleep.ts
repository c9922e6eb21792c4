/**
 * Waiting for a while, how long to wait before something that failed is tried again, and asking whoever lets one wait.
 */
import { setTimeout } from 'node:timers/promises'
import { failure } from '../model/errors.ts'
import { LIMITS } from '../model/limits.ts'
import type { Clock, Random } from '../model/world.ts'

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

/**
 * Does a thing over and over until the signal is aborted, with a pause after each failure, longer after each in a row.
 * `onFailed` is told of it before the pause.
 */
export async function overAndOver(
  { random, sleep: pause }: { readonly random: Random; readonly sleep: Sleep },
  signal: AbortSignal,
  once: () => Promise<void>,
  onFailed: (error: unknown, retryMs: number) => void,
): Promise<void> {
  const backOff = new BackOff(random)
  while (!signal.aborted) {
    try {
      await once()
      backOff.reset()
    } catch (error) {
      if (signal.aborted) return
      const retryMs = backOff.next()
      onFailed(error, retryMs)
      await pause(retryMs, signal)
    }
  }
}

/** For an ask that may wait so long: who falls silent in the middle is given up. */
export function unlessSilent(signal: AbortSignal, waitMs: number): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(waitMs + LIMITS.upstreamSilenceMs)])
}

/**
 * One ask after another for what is new, at somebody who lets an ask wait. Only after one that was answered, and whose
 * answer was taken, the next one waits.
 */
export class WaitingAsk {
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #mostMs: number
  #isHeard = false

  constructor(clock: Pick<Clock, 'monotonic'>, mostMs: number) {
    this.#clock = clock
    this.#mostMs = mostMs
  }

  /**
   * Asks once, and has what came taken; undefined is that there was nothing. Fails with `origin-unreachable` when that
   * was said long before its time, for then it would be asked without a pause.
   */
  async once<News>(
    ask: (waitMs: number) => Promise<News | undefined>,
    take: (news: News) => Promise<void> | void,
  ): Promise<void> {
    const waitMs = this.#isHeard ? this.#mostMs : 0
    this.#isHeard = false
    const asked = this.#clock.monotonic()
    const news = await ask(waitMs)
    if (news !== undefined) await take(news)
    else if (waitMs > 0 && this.#clock.monotonic() - asked < waitMs / 2)
      throw failure('origin-unreachable', { reason: 'it lets nobody wait, as if it were closing' })
    this.#isHeard = true
  }
}
