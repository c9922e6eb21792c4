/**
 * Requests that wait for something to happen: woken by the event, a few at a time, so that nobody else waits for them.
 */
import { setImmediate } from 'node:timers/promises'
import { failure } from '../model/errors.ts'

type Waiter = () => void

/**
 * How many waiters are woken before the event loop gets its turn. What each of them does then, an answer and a write
 * to its socket, is done in the same turn, and takes about 0.1 ms.
 */
const BATCH = 16

export class Waiting {
  readonly #limit: number
  #waiters = new Set<Waiter>()
  #isClosing = false

  constructor(limit: number) {
    this.#limit = limit
  }

  /**
   * Resolves at the next event, after `waitMs`, or when the signal is aborted; at once when the node is closing. Fails
   * with `hold-limit` when too many wait already.
   */
  async wait(waitMs: number, signal: AbortSignal): Promise<void> {
    if (waitMs <= 0 || signal.aborted || this.#isClosing) return
    if (this.#waiters.size >= this.#limit) throw failure('hold-limit', { limit: this.#limit })
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        this.#waiters.delete(done)
        resolve()
      }
      const timer = setTimeout(done, waitMs)
      signal.addEventListener('abort', done)
      this.#waiters.add(done)
    })
  }

  /** It has happened. Who waits from now on waits for the next time. */
  wake(): void {
    const waiters = this.#waiters
    this.#waiters = new Set()
    void wakeAll(waiters)
  }

  /** Lets everybody go, and lets nobody wait any more. */
  release(): void {
    this.#isClosing = true
    void wakeAll(this.#waiters)
  }

  isClosing(): boolean {
    return this.#isClosing
  }

  count(): number {
    return this.#waiters.size
  }
}

async function wakeAll(waiters: ReadonlySet<Waiter>): Promise<void> {
  let woken = 0
  for (const waiter of Array.from(waiters)) {
    waiter()
    woken += 1
    if (woken % BATCH === 0) await setImmediate()
  }
}
