/**
 * One after the other: flips are serial, and so is what must see the head stand still. The queue is bounded.
 */
import { failure } from '../../model/errors.ts'

export class Turns {
  readonly #limit: number
  #last: Promise<unknown> = Promise.resolve()
  #waiting = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Runs the work when all that came before has ended, however it ended. Fails with `hold-limit`. */
  async take<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#waiting >= this.#limit) throw failure('hold-limit', { limit: this.#limit })
    this.#waiting += 1
    const turn = this.#last.then(work, work)
    this.#last = turn.catch(() => undefined)
    try {
      return await turn
    } finally {
      this.#waiting -= 1
    }
  }
}
