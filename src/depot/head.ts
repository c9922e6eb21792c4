/**
 * The head as the engine sees it: one value in memory, moved only after a flip is durable, and an event for those who
 * wait for it to move. Nobody polls.
 *
 * A replica that has copied nothing yet has none: then whoever needs it fails with `booting`.
 */
import { failure } from '../model/errors.ts'
import type { Generation, Gid } from '../model/generation.ts'
import { LIMITS } from '../model/limits.ts'
import { Waiting } from './waiting.ts'

export class Head {
  #now: Generation | undefined
  readonly #waiting = new Waiting(LIMITS.watchers)

  constructor(now: Generation | undefined) {
    this.#now = now
  }

  /** Fails with `booting` when there is none yet. */
  now(): Generation {
    if (this.#now === undefined) throw failure('booting', {})
    return this.#now
  }

  isThere(): boolean {
    return this.#now !== undefined
  }

  /** Called with a durable generation, once the views of it are ready. */
  move(to: Generation): void {
    this.#now = to
    this.#waiting.wake()
  }

  /** The same generation with other signatures: nobody who waits for another head is woken. */
  restate(same: Generation): void {
    if (this.#now?.gid === same.gid) this.#now = same
  }

  /**
   * The head as soon as it is another one than `seen`, or the first there is; undefined when none came within `waitMs`, or the signal was
   * aborted. Fails with `hold-limit` when too many wait already.
   */
  async after(seen: Gid | undefined, waitMs: number, signal: AbortSignal): Promise<Generation | undefined> {
    if (this.#now !== undefined && this.#now.gid !== seen) return this.#now
    await this.#waiting.wait(waitMs, signal)
    return this.#now?.gid === seen ? undefined : this.#now
  }

  /** Lets everybody go who waits, without a new head, and lets nobody wait any more: the node is closing. */
  release(): void {
    this.#waiting.release()
  }

  isClosing(): boolean {
    return this.#waiting.isClosing()
  }

  waiting(): number {
    return this.#waiting.count()
  }
}
