/**
 * I5, I6, I7, I9, I10, I12: nobody is led back, and nothing is mixed.
 */
import { isGid, partsOf } from '../../../src/model/generation.ts'
import { type Check, Findings, Tally } from '../finding.ts'
import type { History } from '../history.ts'
import { byEnd, byStart, gidOf, isHeadRead, isPinned, isSentOn, pinOf, rowsWhere } from '../reading.ts'

const ANSWERED = new Set([200, 206, 304, 307])
const SAME = new Set([200, 206, 304])

/** If one read of the head ended before another one started, the later one is not older. */
export const monotonic: Check = (history, judged = new Tally()) => {
  const found = new Findings('I5')
  const reads = rowsWhere(history, (row) => isHeadRead(history, row))
  const rankOf = rankOfAnswer(history)
  for (const row of reads) {
    judged.one()
    if (rankOf(row) === undefined) found.add('the head is a generation that was never active', row)
  }
  goingBack(history, { earlier: reads, later: reads, rankOfEarlier: rankOf, rankOfLater: rankOf }, (a, b) =>
    found.add('the head went back', a, b),
  )
  return found.violations
}

/** After a commit was answered "active", every later read of the head has it. */
export const committedIsRead: Check = (history, judged = new Tally()) => {
  const found = new Findings('I10')
  const commits = rowsWhere(
    history,
    (row) => history.number('status', row) === 201 && history.id('made', row) !== 0,
  )
  judged.count += commits.length
  const goes = {
    earlier: commits,
    later: rowsWhere(history, (row) => isHeadRead(history, row)),
    rankOfEarlier: (row: number) => history.order.rankOf(history.text('made', row)),
    rankOfLater: rankOfAnswer(history),
  }
  goingBack(history, goes, (a, b) => found.add('the head is older than a commit that was active', a, b))
  return found.violations
}

/** An answer satisfies the floor of its request, from a cache too. */
export const aboveFloor: Check = (history, judged = new Tally()) => {
  const found = new Findings('I6')
  const rankOf = rankOfAnswer(history)
  for (let row = 0; row < history.length; row += 1) {
    const min = history.text('min', row)
    const status = history.number('status', row)
    const isNegative = status === 404 && history.kind(row) === 'K3'
    if (min === undefined || !(ANSWERED.has(status) || isNegative) || isSentOn(history, row)) continue
    const gid = gidOf(history, row)
    if (gid === undefined) continue
    judged.one()
    if (min === 'head') {
      if (
        !isPinned(history, row) &&
        (rankOf(row) ?? -1) < history.order.newestAt(history.number('start', row))
      )
        found.add('the head was to be confirmed, and a newer one was active', row)
    } else if (!history.order.satisfies(gid, min)) found.add('the answer is below the floor', row)
  }
  return found.violations
}

/** A pinned answer is of the pinned generation. */
export const pinnedIsExact: Check = (history, judged = new Tally()) => {
  const found = new Findings('I7')
  for (let row = 0; row < history.length; row += 1) {
    const pin = SAME.has(history.number('status', row)) ? pinOf(history, row) : undefined
    if (pin === undefined || history.text('generation', row) === 'any') continue
    judged.one()
    if (gidOf(history, row) !== pin) found.add('another generation than the pinned one', row)
  }
  return found.violations
}

/** All bodies of a session are of one generation. */
export const oneSession: Check = (history, judged = new Tally()) => {
  const found = new Findings('I9')
  const first = new Map<number, number>()
  for (let row = 0; row < history.length; row += 1) {
    const session = history.id('session', row)
    if (session === 0 || history.isStock(row) || !SAME.has(history.number('status', row))) continue
    // What a node says of itself, as its keys, is of no generation.
    if (history.kind(row) === 'K0') continue
    const gid = gidOf(history, row)
    if (gid === undefined) continue
    judged.one()
    const before = first.get(session)
    if (before === undefined) first.set(session, row)
    else if (gidOf(history, before) !== gid) found.add('one session, two generations', before, row)
  }
  return found.violations
}

/** The floor of a client never goes down, but when it was told to accept another lineage. */
export const floorsRise: Check = (history, judged = new Tally()) => {
  const found = new Findings('I12')
  const last = new Map<number, number>()
  for (const row of byStart(
    history,
    rowsWhere(history, (at) => history.id('floor', at) !== 0),
  )) {
    judged.one()
    const client = history.id('client', row)
    const before = last.get(client)
    last.set(client, row)
    if (before === undefined || history.id('floor', before) === history.id('floor', row)) continue
    const [was, is] = [history.text('floor', before) ?? '', history.text('floor', row) ?? '']
    const isAccepted = isGid(is) && history.text('accepted', row) === partsOf(is).lineage
    if (!isAccepted && !history.order.satisfies(is, was))
      found.add(`the floor went from ${was} to ${is}`, before, row)
  }
  return found.violations
}

interface Goes {
  readonly earlier: Uint32Array
  readonly later: Uint32Array
  readonly rankOfEarlier: (row: number) => number | undefined
  readonly rankOfLater: (row: number) => number | undefined
}

/** The highest rank of all that ended before a request started: one pass over both in the order of time. */
function goingBack(
  history: History,
  { earlier, later, rankOfEarlier, rankOfLater }: Goes,
  tell: (before: number, after: number) => void,
): void {
  const ended = byEnd(history, earlier)
  let [at, highest, highestRow] = [0, -1, -1]
  for (const row of byStart(history, later)) {
    const start = history.number('start', row)
    for (; at < ended.length && history.number('end', ended[at]!) < start; at += 1) {
      const rank = rankOfEarlier(ended[at]!) ?? -1
      if (rank > highest) [highest, highestRow] = [rank, ended[at]!]
    }
    const rank = rankOfLater(row)
    if (rank !== undefined && rank < highest) tell(highestRow, row)
  }
}

/** The rank of what an answer is of, looked up once for each text of the header. */
function rankOfAnswer(history: History): (row: number) => number | undefined {
  const known = new Map<number, number | undefined>()
  return (row) => {
    const id = history.id('generation', row)
    if (!known.has(id)) known.set(id, history.order.rankOf(gidOf(history, row)))
    return known.get(id)
  }
}
