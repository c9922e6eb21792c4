/**
 * All checks of a history, and what they come to.
 */

import { heldBriefly, holdsAreBounded, oneHop, readsGoOn } from './checks/bounds.ts'
import { headIsLikeGet, headIsNotFrozen, resumedIsWhole, unchangedIsSame } from './checks/http.ts'
import { oneNumber, oneTree, stampedOnce } from './checks/identity.ts'
import { absentIsAbsent, goneIsGone, listedIsThere, negativesAreNotKept } from './checks/negatives.ts'
import {
  aboveFloor,
  committedIsRead,
  floorsRise,
  monotonic,
  oneSession,
  pinnedIsExact,
} from './checks/order.ts'
import { oneCommit } from './checks/publish.ts'
import { type Check, Tally, told, type Violation } from './finding.ts'
import type { History } from './history.ts'
import { isOfBalancer, isPinned } from './reading.ts'
import { type StockReport, stockReport } from './stock.ts'

export const CHECKS: Readonly<Record<string, Check>> = {
  I1: stampedOnce,
  I2: oneTree,
  I4: oneNumber,
  I6: aboveFloor,
  I7: pinnedIsExact,
  I8: listedIsThere,
  I9: oneSession,
  I12: floorsRise,
  I13: absentIsAbsent,
  I14: goneIsGone,
  I15: negativesAreNotKept,
  I16: heldBriefly,
  I17: holdsAreBounded,
  I18: readsGoOn,
  I21: oneHop,
  I23: unchangedIsSame,
  I24: resumedIsWhole,
  I25: headIsLikeGet,
  I26: headIsNotFrozen,
  I28: oneCommit,
}

/** What holds only with the fence of PROTOCOL §8, so it is told apart. */
export const CHECKS_OF_FENCE: Readonly<Record<string, Check>> = { I5: monotonic, I10: committedIsRead }

/** What has to hold behind a cache too (I27). */
const BEHIND_CACHE = new Set(['I2', 'I6', 'I7', 'I8'])
const CACHES = new Set(['nginx', 'varnish'])

export interface Report {
  readonly requests: number
  readonly violations: readonly Violation[]
  /** Of I5 and I10. */
  readonly apart: readonly Violation[]
  /** Answers that a balancer made itself, by its name. */
  readonly ofBalancers: Readonly<Record<string, number>>
  /** By invariant, what there was to judge: one without any has not passed. */
  readonly cases: Readonly<Record<string, number>>
  readonly stock: StockReport
}

export function check(history: History): Report {
  const tallies = new Map<string, Tally>()
  const judged = (checks: Readonly<Record<string, Check>>): readonly Violation[] =>
    Object.entries(checks).flatMap(([name, one]) => {
      const tally = new Tally()
      tallies.set(name, tally)
      return one(history, tally)
    })
  const found = judged(CHECKS)
  const apart = judged(CHECKS_OF_FENCE)
  const cached = found.filter(
    ({ invariant, rows }) =>
      BEHIND_CACHE.has(invariant) && rows.some((row) => CACHES.has(history.text('through', row) ?? '')),
  )
  return {
    requests: history.length,
    violations: [...found, ...cached.map((violation) => ({ ...violation, invariant: 'I27' }))],
    apart,
    ofBalancers: countOfBalancers(history),
    cases: {
      ...Object.fromEntries([...tallies].map(([name, { count }]) => [name, count])),
      I27: countBehindCaches(history),
    },
    stock: stockReport(history),
  }
}

/** For people; each violation with the requests that show it. */
export function reportTold(history: History, report: Report): string {
  const { requests, violations, apart, ofBalancers } = report
  return [
    `${requests} requests, ${violations.length} violations, ${apart.length} of what needs the fence`,
    ...Object.entries(ofBalancers).map(([name, count]) => `${count} answers that ${name} made itself`),
    ...[...violations, ...apart].map((violation) => told(history, violation)),
  ].join('\n')
}

function countBehindCaches(history: History): number {
  let count = 0
  for (let row = 0; row < history.length; row += 1)
    if (CACHES.has(history.text('through', row) ?? '') && isPinned(history, row)) count += 1
  return count
}

function countOfBalancers(history: History): Record<string, number> {
  const counts: Record<string, number> = {}
  for (let row = 0; row < history.length; row += 1) {
    if (!isOfBalancer(history, row)) continue
    const name = history.text('through', row) ?? ''
    counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}
