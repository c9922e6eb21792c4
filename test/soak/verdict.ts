/**
 * What a soak comes to: the report of the checker, what clients could not do, and whether there was something to judge.
 */
import { check, type Report } from '../checker/check.ts'
import { told } from '../checker/finding.ts'
import type { History } from '../checker/history.ts'
import type { Mishap } from './scene.ts'

export interface Verdict {
  readonly report: Report
  /** Sentences; it has passed when there are none. */
  readonly failures: readonly string[]
  /** For people. */
  readonly told: string
}

interface Evidence {
  readonly history: History
  readonly mishaps: readonly Mishap[]
  readonly troubles: readonly string[]
  readonly nemeses: Readonly<Record<string, number>>
  readonly wanted: readonly string[]
  /** Milliseconds for which this machine let processes wait. */
  readonly late: Readonly<Record<string, number>>
}

/** A soak that had nothing to judge for one of these has shown nothing. */
export const JUDGED: readonly string[] =
  'I1 I2 I4 I6 I7 I8 I9 I13 I14 I15 I16 I17 I18 I21 I23 I24 I25 I26 I27 I28'.split(' ')

const APART_SHOWN = 4
const KINDS = { c0: 'stock (C0)', c1: 'link-following (C1)', c3: 'official (C3)' }

export function verdictOf(evidence: Evidence, judged: readonly string[] = JUDGED): Verdict {
  const { history, mishaps, troubles, nemeses, wanted } = evidence
  const report = check(history)
  const failures = [
    ...report.violations.map((violation) => told(history, violation)),
    ...mishaps.filter((one) => !isExcused(history, one)).map(mishapTold),
    ...troubles,
    ...judged.filter((name) => (report.cases[name] ?? 0) === 0).map((name) => `${name}: 0 cases`),
    ...wanted.filter((name) => nemeses[name] === undefined).map((name) => `"${name}" was not done`),
  ]
  return { report, failures, told: [...summary(evidence, report), ...failures].join('\n') }
}

/**
 * While no replica reached the origin, nobody could publish, and who asked what only the origin knows got no answer. What
 * opens a stage is not sent twice, so it is lost with the node or the connection that had it.
 */
function isExcused(history: History, { isWrite, from, to }: Mishap): boolean {
  return history.windows.isDuring(from, to, isWrite ? ['dark', 'unsure', 'kill', 'link'] : ['dark', 'unsure'])
}

function mishapTold({ who, what, from, to }: Mishap): string {
  return `${who} could not go on: ${what} (${from.toFixed(0)}..${to.toFixed(0)})`
}

function summary({ history, mishaps, nemeses, late }: Evidence, report: Report): readonly string[] {
  const { stock, cases, apart, violations, ofBalancers } = report
  const count = (record: Readonly<Record<string, number>>): string =>
    Object.entries(record)
      .map(([name, number]) => `${name} ${number}`)
      .join(', ')
  const excused = mishaps.filter((one) => isExcused(history, one)).length
  return [
    `${report.requests} requests; sessions: ${count(sessionsOf(history))}; ${history.order.active.length} generations`,
    `nemeses: ${count(nemeses)}`,
    `cases: ${count(cases)}`,
    `processes waited for this machine, in ms: ${count(late)}`,
    `what a balancer answered itself: ${count(ofBalancers) || 'nothing'}`,
    `given up while no node reached the origin: ${excused}`,
    `stock clients, reported and no failure: of ${stock.sessions} sessions ${stock.mixed} mixed generations, ` +
      `${stock.back} went back; ${stock.notFound} times 404`,
    `needs the fence, reported and no failure: ${count(countsOf(apart))}`,
    ...apart.slice(0, APART_SHOWN).map((violation) => told(history, violation)),
    `violations: ${count(countsOf(violations)) || 'none'}`,
  ]
}

function countsOf(
  found: readonly { readonly invariant: string; readonly sentence: string }[],
): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { invariant, sentence } of found) {
    const [, more] = /^and (\d+) more of them$/.exec(sentence) ?? []
    counts[invariant] = (counts[invariant] ?? 0) + Number(more ?? 1)
  }
  return counts
}

function sessionsOf(history: History): Record<string, number> {
  const seen = new Set<number>()
  const counts: Record<string, number> = {}
  for (let row = 0; row < history.length; row += 1) {
    const id = history.id('session', row)
    if (id === 0 || seen.has(id)) continue
    seen.add(id)
    const [prefix = ''] = (history.text('session', row) ?? '').split('-')
    const kind = KINDS[prefix as keyof typeof KINDS] ?? prefix
    counts[kind] = (counts[kind] ?? 0) + 1
  }
  return counts
}
