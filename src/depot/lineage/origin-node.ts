/**
 * What an origin knows of itself: everything that there is to know, unless those who follow it tell otherwise.
 */

import type { Gid } from '../../model/generation.ts'
import { LIMITS } from '../../model/limits.ts'
import type { NodeState } from '../gate.ts'
import type { Head } from '../head.ts'
import type { Node } from '../node.ts'
import { Waiting } from '../waiting.ts'
import type { OriginCheck, Verdict } from './origin-check.ts'

export class OriginNode implements Node {
  readonly #head: Pick<Head, 'now' | 'after'>
  readonly #check: Pick<OriginCheck, 'verdict'>
  readonly #isDraining: () => boolean
  readonly #waiting = new Waiting(LIMITS.holds)

  constructor(
    head: Pick<Head, 'now' | 'after'>,
    check: Pick<OriginCheck, 'verdict'>,
    isDraining: () => boolean,
  ) {
    this.#head = head
    this.#check = check
    this.#isDraining = isDraining
  }

  state(): NodeState {
    const { kind } = this.#check.verdict()
    const isApart = kind === 'diverged' || kind === 'superseded'
    return {
      mode: isApart ? 'diverged' : 'fresh',
      isDraining: this.#isDraining(),
      whenCut: 'serve',
      isOrigin: true,
      ...(kind === 'sure' ? {} : { unsure: kind }),
    }
  }

  /** What was lost, where something was: who asks for it is not told that it never was. */
  known(): Gid {
    const verdict: Verdict = this.#check.verdict()
    return 'seen' in verdict ? verdict.seen : this.#head.now().gid
  }

  isKnownElsewhere(): boolean {
    return false
  }

  async confirm(): Promise<void> {
    // It is its own word.
  }

  async changed(waitMs: number, signal: AbortSignal): Promise<void> {
    const { kind } = this.#check.verdict()
    if (kind === 'sure') await this.#head.after(this.#head.now().gid, waitMs, signal)
    else await this.#waiting.wait(waitMs, signal)
  }

  /** The verdict may be another one: who waits for that looks again. */
  wake(): void {
    this.#waiting.wake()
  }

  /** Lets everybody go who waits: the node is closing. */
  release(): void {
    this.#waiting.release()
  }
}
