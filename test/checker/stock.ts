/**
 * What becomes of clients that pin nothing and send no floor: their sessions may mix generations and go back as long as
 * there is no fence (PROTOCOL §8). It is counted and no violation; that they are never told an ignorant 404 is I13.
 */
import type { History } from './history.ts'
import { gidOf } from './reading.ts'

export interface StockReport {
  readonly sessions: number
  /** Sessions that saw more than one generation. */
  readonly mixed: number
  /** Sessions that saw an older one after a newer one. */
  readonly back: number
  readonly notFound: number
}

interface Seen {
  newest: number
  readonly first: number
  isMixed: boolean
  wentBack: boolean
}

const ANSWERED = new Set([200, 206, 304, 404])

/** The requests of a session stand in the history in the order in which they ended. */
export function stockReport(history: History): StockReport {
  const sessions = new Map<number, Seen>()
  let notFound = 0
  for (let row = 0; row < history.length; row += 1) {
    if (!history.isStock(row) || !ANSWERED.has(history.number('status', row))) continue
    if (history.number('status', row) === 404) notFound += 1
    const rank = history.order.rankOf(gidOf(history, row))
    if (rank === undefined) continue
    const session = history.id('session', row)
    const seen = sessions.get(session)
    if (seen === undefined)
      sessions.set(session, { newest: rank, first: rank, isMixed: false, wentBack: false })
    else {
      seen.isMixed ||= rank !== seen.first
      seen.wentBack ||= rank < seen.newest
      seen.newest = Math.max(seen.newest, rank)
    }
  }
  const all = [...sessions.values()]
  return {
    sessions: all.length,
    mixed: all.filter(({ isMixed }) => isMixed).length,
    back: all.filter(({ wentBack }) => wentBack).length,
    notFound,
  }
}
