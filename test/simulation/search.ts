/**
 * Many histories, one seed after the other, until one breaks an invariant.
 */
import type { Mutation } from './mutations.ts'
import { type Outcome, simulate } from './simulate.ts'

export interface Found {
  readonly histories: number
  readonly events: number
  readonly answers: number
  readonly activated: number
  readonly aborted: number
  readonly failed: Outcome | undefined
}

export function search(from: number, count: number, mutation?: Mutation): Found {
  const sum = { histories: 0, events: 0, answers: 0, activated: 0, aborted: 0 }
  for (let seed = from; seed < from + count; seed += 1) {
    const outcome = simulate(seed, mutation)
    sum.histories += 1
    sum.events += outcome.events
    sum.answers += outcome.answers
    sum.activated += outcome.activated
    sum.aborted += outcome.aborted
    if (outcome.violation !== undefined) return { ...sum, failed: outcome }
  }
  return { ...sum, failed: undefined }
}
