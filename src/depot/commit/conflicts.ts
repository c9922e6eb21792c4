/**
 * What a stage and the head disagree on, collected as a plan is made. All are counted, the first thousand are listed.
 */
import { failure } from '../../model/errors.ts'
import type { Conflict } from '../../model/failures.ts'
import { LIMITS } from '../../model/limits.ts'

export class Conflicts {
  readonly #listed: Conflict[] = []
  #total = 0

  add(conflict: Conflict): void {
    this.#total += 1
    if (this.#listed.length < LIMITS.conflictsListed) this.#listed.push(conflict)
  }

  /** Fails with `conflict` when there are any. */
  refuse(): void {
    if (this.#total > 0) throw failure('conflict', { conflicts: this.#listed, total: this.#total })
  }
}
