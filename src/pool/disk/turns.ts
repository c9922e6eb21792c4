/**
 * Work on the same thing takes turns, work on different things does not wait.
 */
export class Turns {
  readonly #last = new Map<string, Promise<void>>()

  /** Runs `work` when everything that came before for any of the keys has ended. */
  async take<Result>(keys: readonly string[], work: () => Promise<Result>): Promise<Result> {
    const before = keys.flatMap((key) => this.#last.get(key) ?? [])
    const ended = Promise.withResolvers<void>()
    // All keys in one go, without waiting between: so two that want the same keys can never wait for each other.
    for (const key of keys) this.#last.set(key, ended.promise)
    try {
      await Promise.all(before)
      return await work()
    } finally {
      ended.resolve()
      for (const key of keys) if (this.#last.get(key) === ended.promise) this.#last.delete(key)
    }
  }
}
