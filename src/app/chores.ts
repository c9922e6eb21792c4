/**
 * What has to be done now and then while a depot runs: idle stages end, old idempotency keys are forgotten. Each round
 * does a bounded amount, and one that fails is logged and tried again in the next.
 */
import type { Depot } from '../depot/depot.ts'
import { LIMITS } from '../model/limits.ts'
import type { Clock, Log } from '../model/world.ts'

const ROUND_MS = 60_000
const FORGET_AT_ONCE = 10_000

export class Chores {
  readonly #depot: Pick<Depot, 'stages' | 'ledger'>
  readonly #clock: Clock
  readonly #log: Log
  readonly #timer: NodeJS.Timeout
  #round: Promise<void> = Promise.resolve()

  constructor(depot: Pick<Depot, 'stages' | 'ledger'>, clock: Clock, log: Log) {
    this.#depot = depot
    this.#clock = clock
    this.#log = log
    this.#timer = setInterval(() => {
      this.#round = this.#round.then(async () => await this.#doAll())
    }, ROUND_MS).unref()
  }

  /** Ends after the round that is under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    await this.#round
  }

  async #doAll(): Promise<void> {
    try {
      const expired = await this.#depot.stages.expire()
      if (expired.length > 0) this.#log.info({ stages: expired }, 'idle stages expired')
      await this.#depot.ledger.outcomes.forget(this.#clock.now() - LIMITS.idempotencyKeepMs, FORGET_AT_ONCE)
    } catch (error) {
      this.#log.error({ err: error }, 'a chore failed and will be tried again')
    }
  }
}
