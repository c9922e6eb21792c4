/**
 * What has to be done now and then while a depot runs: idle stages end, old idempotency keys are forgotten, and private
 * keys whose overlap has ended go. Each round
 * does a bounded amount, and one that fails is logged and tried again in the next.
 */
import type { Depot } from '../depot/depot.ts'
import { LIMITS } from '../model/limits.ts'
import type { Clock, Log } from '../model/world.ts'

const ROUND_MS = 60_000
/** Of one transaction, which is handed over in one go. */
const FORGET_AT_ONCE = 1_000
/** More in a round than any disk can commit in the time of a round: a commit leaves an outcome and an ended stage. */
const FORGET_BATCHES = 60

export interface ChoresParts {
  readonly stages: Pick<Depot['stages'], 'expire'>
  readonly keys: Pick<Depot['keys'], 'tidy'>
  readonly ledger: { readonly outcomes: Pick<Depot['ledger']['outcomes'], 'forget'> }
}

export class Chores {
  readonly #depot: ChoresParts
  readonly #clock: Clock
  readonly #log: Log
  readonly #timer: NodeJS.Timeout
  #round: Promise<void> = Promise.resolve()

  constructor(depot: ChoresParts, clock: Clock, log: Log) {
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
      await this.#forget()
      await this.#depot.keys.tidy()
    } catch (error) {
      this.#log.error({ err: error }, 'a chore failed and will be tried again')
    }
  }

  /** Outcomes of commits and ended stages, which are kept equally long. */
  async #forget(): Promise<void> {
    const before = this.#clock.now() - LIMITS.idempotencyKeepMs
    for (let batch = 0; batch < FORGET_BATCHES; batch += 1) {
      const forgotten = await this.#depot.ledger.outcomes.forget(before, FORGET_AT_ONCE)
      if (forgotten < FORGET_AT_ONCE) return
    }
  }
}
