/**
 * The head as the engine sees it: one value in memory, moved only after a flip is durable, and an event for those who
 * wait for it to move. Nobody polls.
 */
import { setImmediate } from 'node:timers/promises'
import { failure } from '../model/errors.ts'
import type { Generation, Gid } from '../model/generation.ts'
import { LIMITS } from '../model/limits.ts'

type Waiter = () => void

/**
 * How many waiters are woken before the event loop gets its turn. What each of them does then, an answer and a write
 * to its socket, is done in the same turn, and takes about 0.1 ms.
 */
const BATCH = 16

export class Head {
  #now: Generation
  #waiters = new Set<Waiter>()
  #isClosing = false

  constructor(now: Generation) {
    this.#now = now
  }

  now(): Generation {
    return this.#now
  }

  /** Called with a durable generation, once the views of it are ready. */
  move(to: Generation): void {
    this.#now = to
    const waiters = this.#waiters
    this.#waiters = new Set()
    void wake(waiters)
  }

  /**
   * The head as soon as it is another one than `seen`; undefined when none came within `waitMs`, or the signal was
   * aborted. Fails with `hold-limit` when too many wait already.
   */
  async after(seen: Gid, waitMs: number, signal: AbortSignal): Promise<Generation | undefined> {
    if (this.#now.gid !== seen) return this.#now
    if (waitMs <= 0 || signal.aborted || this.#isClosing) return undefined
    if (this.#waiters.size >= LIMITS.watchers) throw failure('hold-limit', { limit: LIMITS.watchers })
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
    return this.#now.gid === seen ? undefined : this.#now
  }

  /** Lets everybody go who waits, without a new head, and lets nobody wait any more: the node is closing. */
  release(): void {
    this.#isClosing = true
    void wake(this.#waiters)
  }

  isClosing(): boolean {
    return this.#isClosing
  }

  waiting(): number {
    return this.#waiters.size
  }
}

async function wake(waiters: ReadonlySet<Waiter>): Promise<void> {
  let woken = 0
  for (const waiter of Array.from(waiters)) {
    waiter()
    woken += 1
    if (woken % BATCH === 0) await setImmediate()
  }
}
