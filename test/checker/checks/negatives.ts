/**
 * I8, I13, I14, I15: a node says no only when it is so, and nobody keeps a no that may change.
 */
import { type Check, Findings, Tally } from '../finding.ts'
import type { History } from '../history.ts'
import { gidOf, isOfBalancer, isPinned, keyOf, pinOf } from '../reading.ts'

/** What is no answer to a name that is there. That a node refuses for a moment is for I18. */
const DENIED = new Set([404, 410, 412, 500])

/** What a catalog lists is there under its pin, until the generation is retired. */
export const listedIsThere: Check = (history, judged = new Tally()) => {
  const found = new Findings('I8')
  const listed = new Set<number>()
  for (const { gid, paths } of history.listed)
    for (const path of paths) {
      // What nobody asked for needs no place.
      const id = history.texts.find(path)
      if (id !== 0) listed.add(keyOf(history.texts.find(gid), id))
    }
  const retiredAt = timesOfRetired(history)
  for (let row = 0; row < history.length; row += 1) {
    const pin = history.id('pin', row)
    if (pin === 0 || isOfBalancer(history, row) || !listed.has(keyOf(pin, history.id('path', row)))) continue
    judged.one()
    if (!DENIED.has(history.number('status', row))) continue
    if (
      history.number('end', row) < (retiredAt.get(history.text('pin', row) ?? '') ?? Number.POSITIVE_INFINITY)
    )
      found.add('a catalog of this generation lists it', row)
  }
  return found.violations
}

/** No 404 for what is in the generation that the 404 names, or in a newer one that was active at the start. */
export const absentIsAbsent: Check = (history, judged = new Tally()) => {
  const found = new Findings('I13')
  const spans = spansOf(history)
  const retiredAt = timesOfRetired(history)
  for (let row = 0; row < history.length; row += 1) {
    if (history.number('status', row) !== 404) continue
    const newest = history.order.newestAt(history.number('start', row))
    const pin = pinOf(history, row)
    const named = history.order.rankOf(pin ?? gidOf(history, row))
    if (named === undefined) continue
    judged.one()
    if (pin !== undefined && named <= newest && !retiredAt.has(pin) && isIgnorance(history, row))
      found.add('the generation was active, and a node did not know it', row)
    const last = pin === undefined ? Math.max(named, newest) : named
    const isThere = spans.of(row).some(({ from, until }) => from <= last && until > named)
    if (isThere) found.add('a 404 for what was there', row)
  }
  return found.violations
}

/** 410 only after the tombstone of the origin, or for a branch that is lost. */
export const goneIsGone: Check = (history, judged = new Tally()) => {
  const found = new Findings('I14')
  const retiredAt = timesOfRetired(history)
  for (let row = 0; row < history.length; row += 1) {
    const kind = history.kind(row)
    const wanted = sinceOf(history, row) ?? pinOf(history, row)
    // Every answer to who names a generation could have been a 410.
    if (wanted !== undefined && history.number('status', row) !== 0) judged.one()
    if (history.number('status', row) !== 410 || kind === 'K6' || kind === 'K7') continue
    if (wanted === undefined) found.add('a 410 for what names no generation', row)
    else if (history.text('problem', row) === 'generation-lost') {
      if (!history.order.isLost(wanted, newestName(history)))
        found.add(`${wanted} is not of a lost branch`, row)
    } else {
      const since = retiredAt.get(wanted)
      if (since === undefined) found.add(`${wanted} was never retired`, row)
      else if (history.number('end', row) < since) found.add(`${wanted} was retired later`, row)
    }
  }
  return found.violations
}

/** No unpinned 404, no 412 and no 5xx may be kept by a cache. */
export const negativesAreNotKept: Check = (history, judged = new Tally()) => {
  const found = new Findings('I15')
  for (let row = 0; row < history.length; row += 1) {
    const status = history.number('status', row)
    const isMeant = status >= 500 || status === 412 || (status === 404 && history.id('pin', row) === 0)
    if (!isMeant || isOfBalancer(history, row)) continue
    judged.one()
    if (!(history.text('cacheControl', row) ?? '').includes('no-store')) found.add('a cache may keep it', row)
  }
  return found.violations
}

interface Span {
  readonly from: number
  /** The first one without it. */
  readonly until: number
}

/** Where in the activation log each name is there. */
function spansOf(history: History): { of(row: number): readonly Span[] } {
  const known = new Map<string, Span[]>()
  for (const { path, from, until } of history.contents) {
    const first = history.order.rankOf(from)
    // It was staged, and never became active.
    if (first === undefined) continue
    const last = until === undefined ? undefined : history.order.rankOf(until)
    const spans = known.get(path) ?? []
    spans.push({ from: first, until: last ?? Number.POSITIVE_INFINITY })
    known.set(path, spans)
  }
  return {
    of: (row) => {
      const [path = ''] = (history.text('path', row) ?? '').split('?')
      return known.get(path) ?? []
    },
  }
}

/** Says itself that it does not know the generation. */
function isIgnorance(history: History, row: number): boolean {
  const problem = history.text('problem', row)
  return isPinned(history, row) && (problem === 'generation-unknown' || problem === 'lineage-foreign')
}

function timesOfRetired(history: History): ReadonlyMap<string, number> {
  return new Map(history.retired.map(({ gid, at }) => [gid, at]))
}

function sinceOf(history: History, row: number): string | undefined {
  const [, query = ''] = (history.text('path', row) ?? '').split('?')
  return new URLSearchParams(query).get('since') ?? undefined
}

function newestName(history: History): string {
  return history.order.active.at(-1)?.gid ?? ''
}
