/**
 * What was opened, to be closed in the opposite order. (`AsyncDisposableStack` in short: Node 22 has none.)
 */

type Close = () => Promise<void> | void

export class Opened implements AsyncDisposable {
  readonly #closes: Close[] = []

  /** Something that closes itself. */
  use<Thing extends AsyncDisposable | Disposable>(thing: Thing): Thing {
    this.defer(async () => {
      if (Symbol.asyncDispose in thing) await thing[Symbol.asyncDispose]()
      else thing[Symbol.dispose]()
    })
    return thing
  }

  defer(close: Close): void {
    this.#closes.push(close)
  }

  /** Closes everything, also when closing something fails; the first failure is thrown at the end. */
  async [Symbol.asyncDispose](): Promise<void> {
    const failures: unknown[] = []
    for (let close = this.#closes.pop(); close !== undefined; close = this.#closes.pop()) {
      try {
        await close()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }
}
