/**
 * I16, I17, I18, I21: nobody waits for ever, and what goes on behind the balancer fails no GET.
 */
import { sortedBy } from '../columns.ts'
import { type Check, Findings, Tally } from '../finding.ts'
import type { History } from '../history.ts'
import {
  byEnd,
  isOfBalancer,
  isReading,
  isRelayed,
  isWatch,
  keyOf,
  missingFrom,
  rowsWhere,
} from '../reading.ts'

const GRACE_MS = 250
const BUDGET_MS = 10_000
const WATCH_MS = 25_000
/** A balancer asks up to two more nodes, and each may hold anew. */
const TRIES = 3
const HOLDS = 512
/** What 512 holds may do to the slowest hundredth of other answers. */
const SLOWER = 2
const SLOWER_MS = 20
const SAMPLE = 100

/** No request is held longer than its budget, and no budget is above 10 s. */
export const heldBriefly: Check = (history, judged = new Tally()) => {
  const found = new Findings('I16')
  for (let row = 0; row < history.length; row += 1) {
    const budget = history.number('budget', row)
    if (Number.isNaN(budget)) continue
    judged.one()
    const most = Math.min(budget, isWatch(history, row) ? WATCH_MS : BUDGET_MS)
    const tries = history.id('through', row) === 0 ? 1 : TRIES
    const held = headAt(history, row) - history.number('start', row)
    const excused = excusedMs(history, row)
    if (held > (most + GRACE_MS) * tries + excused)
      found.add(
        `held for ${held.toFixed(0)} ms, with a budget of ${most} ms (excused: ${excused.toFixed(0)})`,
        row,
      )
  }
  return found.violations
}

/** Holds never exceed the cap, and do not slow down what needs none. */
export const holdsAreBounded: Check = (history, judged = new Tally()) => {
  const found = new Findings('I17')
  const held = rowsWhere(history, (row) => {
    const isHold = !Number.isNaN(history.number('budget', row)) && !isWatch(history, row)
    // It was one too many, and said so at once.
    if (history.text('problem', row) === 'hold-limit') return false
    // Which nodes a balancer let wait before this one, nobody can tell.
    return (
      isHold &&
      history.id('through', row) === 0 &&
      history.id('node', row) !== 0 &&
      heldUntil(history, row) > heldFrom(history, row)
    )
  })
  const starting = sortedBy(held, (row) => heldFrom(history, row))
  const ending = sortedBy(held, (row) => heldUntil(history, row))
  const counts = new Map<string, number>()
  let at = 0
  for (const row of starting) {
    for (; heldUntil(history, ending[at]!) <= heldFrom(history, row); at += 1)
      counts.set(nodeOf(history, ending[at]!), (counts.get(nodeOf(history, ending[at]!)) ?? 0) - 1)
    const node = nodeOf(history, row)
    const count = (counts.get(node) ?? 0) + 1
    counts.set(node, count)
    judged.one()
    if (count > HOLDS) found.add(`${node} held ${count} requests at one time`, row)
  }
  for (const kind of ['K0', 'K4', 'K5']) slowed(history, kind, found)
  return found.violations
}

function slowed(history: History, kind: string, found: Findings): void {
  const times = { quiet: [] as number[], holding: [] as number[] }
  for (let row = 0; row < history.length; row += 1) {
    // What a balancer and other nodes have to do with it is not asked here.
    if (
      history.kind(row) !== kind ||
      history.number('status', row) !== 200 ||
      history.id('through', row) !== 0
    )
      continue
    const time = headAt(history, row) - history.number('start', row) - excusedMs(history, row)
    times[history.isDuring(row, 'holds') ? 'holding' : 'quiet'].push(time)
  }
  if (times.quiet.length < SAMPLE || times.holding.length < SAMPLE) return
  const [quiet, holding] = [hundredth(times.quiet), hundredth(times.holding)]
  if (holding > quiet * SLOWER + SLOWER_MS)
    found.add(`${kind} took ${holding.toFixed(1)} ms (p99) beside holds, ${quiet.toFixed(1)} ms without`)
}

function hundredth(times: readonly number[]): number {
  const sorted = Float64Array.from(times).sort()
  return sorted[Math.floor(sorted.length * 0.99)]!
}

/** Through the balancer no GET fails; a body that kill -9 cut off is gone on with. */
export const readsGoOn: Check = (history, judged = new Tally()) => {
  const found = new Findings('I18')
  const isMissing = missingFrom(history)
  const resumedAt = new Map<number, number>()
  const resumed = rowsWhere(history, (row) => isReading(history, row) && isWhole(history, row))
  for (const row of byEnd(history, resumed))
    resumedAt.set(whoAndWhat(history, row), history.number('start', row))
  for (let row = 0; row < history.length; row += 1) {
    if (!isThroughBalancer(history, row)) continue
    judged.one()
    if (!isFailedRead(history, row) || history.isDuring(row, 'dark') || isHonestFailure(history, row))
      continue
    if (isOfBalancer(history, row) && history.isDuring(row, 'unsure') && isMissing(row)) continue
    if (!isCutBody(history, row)) found.add('a GET failed', row)
    else if (!history.isDuring(row, 'kill', 'link'))
      found.add('a body was cut off, and nobody was killed', row)
    else if ((resumedAt.get(whoAndWhat(history, row)) ?? 0) < history.number('end', row))
      found.add('a body was cut off, and nobody went on with it', row)
  }
  return found.violations
}

/** A relay is one hop, and no redirect is followed by another one. */
export const oneHop: Check = (history, judged = new Tally()) => {
  const found = new Findings('I21')
  for (let row = 0; row < history.length; row += 1) {
    const status = history.number('status', row)
    const isRedirect = (status === 307 || status === 308) && history.id('location', row) !== 0
    if (isRedirect || history.number('hop', row) > 0 || status === 508 || isRelayed(history, row))
      judged.one()
    if (isRedirect && history.number('hop', row) > 0) found.add('a redirect after a redirect', row)
    if (history.number('hop', row) > 1) found.add('two redirects one after the other', row)
    if (status === 508) found.add('a relay that came back to where it was', row)
    if ((history.text('relayed', row) ?? '').includes(',')) found.add('a relay of a relay', row)
  }
  return found.violations
}

/** When the head of the answer was here, or that there would be none was clear. */
function headAt(history: History, row: number): number {
  const first = history.number('first', row)
  return Number.isNaN(first) ? history.number('end', row) : first
}

/** While a node stood still, a network was slow or this machine was busy with others, nobody could answer. */
function excusedMs(history: History, row: number): number {
  return history.within(history.number('start', row), headAt(history, row), 'stop', 'delay', 'late')
}

/** As seen from outside a hold is shorter than its request, on both sides: only what is certain is counted. */
function heldFrom(history: History, row: number): number {
  return history.number('start', row) + GRACE_MS + excusedMs(history, row)
}

function heldUntil(history: History, row: number): number {
  return headAt(history, row) - GRACE_MS
}

function nodeOf(history: History, row: number): string {
  return (history.text('node', row) ?? '').split(';')[0] ?? ''
}

const READS = new Set(['K1', 'K2', 'K3', 'K4', 'K5'])

function isThroughBalancer(history: History, row: number): boolean {
  return history.id('through', row) !== 0 && isReading(history, row) && READS.has(history.kind(row))
}

/** What a node may say as long as nobody can ask the origin: the sentence is about nodes of which one is fresh. */
const UNSURE = new Set(['head-unconfirmed', 'origin-unreachable', 'generation-behind', 'blob-unavailable'])

/** Or the balancer let go of a connection that was kept open for the next request, while it was told to start anew. */
function isHonestFailure(history: History, row: number): boolean {
  const isLeft = (history.text('error', row) ?? '').includes('other side closed')
  if (history.number('status', row) === 0 && isLeft && history.isDuring(row, 'reload')) return true
  return (
    history.number('status', row) === 503 &&
    !isOfBalancer(history, row) &&
    saysUnsure(history, row) &&
    history.isDuring(row, 'unsure')
  )
}

/** The answer to a HEAD has no body that could say why. */
function saysUnsure(history: History, row: number): boolean {
  const problem = history.text('problem', row)
  return problem === undefined ? history.method(row) === 'HEAD' : UNSURE.has(problem)
}

function isFailedRead(history: History, row: number): boolean {
  const status = history.number('status', row)
  if (history.text('error', row)?.startsWith('given up') === true) return false
  // All of it is here: only that there is no more was cut off.
  if (isCutBody(history, row) && history.number('bytes', row) === history.number('length', row)) return false
  return status === 0 || status >= 500 || history.id('error', row) !== 0
}

function isCutBody(history: History, row: number): boolean {
  const status = history.number('status', row)
  return (status === 200 || status === 206) && history.id('error', row) !== 0
}

function isWhole(history: History, row: number): boolean {
  const status = history.number('status', row)
  return (status === 200 || status === 206) && history.id('error', row) === 0
}

function whoAndWhat(history: History, row: number): number {
  return keyOf(history.id('client', row), history.id('path', row))
}
