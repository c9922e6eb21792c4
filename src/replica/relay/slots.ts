/**
 * How many things are done at one time, and no more.
 */

export class Slots {
  readonly #limit: number
  #taken = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  get taken(): number {
    return this.#taken
  }

  /** False when all are taken; who has got one gives it back. */
  take(): boolean {
    if (this.#taken >= this.#limit) return false
    this.#taken += 1
    return true
  }

  give(): void {
    this.#taken -= 1
  }
}
