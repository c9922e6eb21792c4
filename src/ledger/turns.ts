/**
 * Who may work on a stage at the same time: many who add to it, or one who needs it to himself, first come first
 * served.
 *
 * One process has the data folder (`folder-lock.ts`), so what is read in a turn is still true when it is written, and
 * LMDB's writer thread can do the writing without asking back.
 */

interface Line {
  /** Settles when the last one who is alone is done; never rejects. */
  alone: Promise<void>
  /** Those who share since then. */
  readonly sharing: Set<Promise<void>>
}

export class Turns {
  readonly #lines = new Map<string, Line>()

  /** Runs beside others who share, after those who came alone before. */
  async share<T>(name: string, work: () => Promise<T>): Promise<T> {
    const line = this.#line(name)
    return await this.#run(name, line, line.alone, work)
  }

  /** Runs after everybody who came before, and before everybody who comes later. */
  async alone<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#lines.get(name)
    const ready = before && Promise.all([before.alone, ...before.sharing])
    const line: Line = { alone: Promise.resolve(), sharing: new Set() }
    this.#lines.set(name, line)
    const running = this.#run(name, line, ready, work)
    line.alone = running.then(nothing, nothing)
    return await running
  }

  /** Resolves when nobody works or waits. */
  async idle(): Promise<void> {
    while (this.#lines.size > 0)
      await Promise.all([...this.#lines.values()].flatMap((line) => [line.alone, ...line.sharing]))
  }

  #line(name: string): Line {
    const there = this.#lines.get(name)
    if (there !== undefined) return there
    const line: Line = { alone: Promise.resolve(), sharing: new Set() }
    this.#lines.set(name, line)
    return line
  }

  async #run<T>(
    name: string,
    line: Line,
    ready: Promise<unknown> | undefined,
    work: () => Promise<T>,
  ): Promise<T> {
    const ended = Promise.withResolvers<void>()
    line.sharing.add(ended.promise)
    try {
      await ready
      return await work()
    } finally {
      line.sharing.delete(ended.promise)
      ended.resolve()
      if (line.sharing.size === 0 && this.#lines.get(name) === line) this.#lines.delete(name)
    }
  }
}

function nothing(): void {}
