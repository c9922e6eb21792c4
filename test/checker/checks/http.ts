/**
 * I23 to I26: conditions, ranges, HEAD, and what no cache may freeze.
 */
import { type Check, Findings, Tally } from '../finding.ts'
import type { History } from '../history.ts'
import { formOf, gidOf, hexOfBlob, hexOfReprDigest, isPinned, keyOf } from '../reading.ts'

const ENTRIES = new Set(['K1', 'K2'])
const READS = new Set(['K1', 'K2', 'K3', 'K4', 'K5'])

/** A 304 is of the generation that stands in the ETag it matched. */
export const unchangedIsSame: Check = (history, judged = new Tally()) => {
  const found = new Findings('I23')
  for (let row = 0; row < history.length; row += 1) {
    const asked = history.number('status', row) === 304 ? history.text('ifNoneMatch', row) : undefined
    if (asked === undefined || !ENTRIES.has(history.kind(row)) || isPinned(history, row)) continue
    judged.one()
    const tags = [...(history.text('etag', row) ?? asked).matchAll(/"(?:(g[^/"]+)\/)?[^"]*"/g)]
    if (!tags.some(([, gid]) => gid !== undefined && gid === gidOf(history, row)))
      found.add('a 304 of another generation than the ETag it matched', row)
  }
  return found.violations
}

/** A download that was gone on with is what it should be, and never pieces of two things. */
export const resumedIsWhole: Check = (history, judged = new Tally()) => {
  const found = new Findings('I24')
  for (let row = 0; row < history.length; row += 1) {
    const wanted = history.text('ifRange', row)
    const etag = history.text('etag', row)
    if (history.number('status', row) === 206 && wanted?.startsWith('"') === true && etag !== wanted)
      found.add('a piece of something else than If-Range names', row)
    const whole = history.text('whole', row)
    if (whole === undefined) continue
    const should =
      hexOfReprDigest(history.text('reprDigest', row)) ??
      hexOfBlob(history.text('path', row)) ??
      /^"sha256-([0-9a-f]{64})"$/.exec(etag ?? '')?.[1]
    if (should !== undefined) judged.one()
    if (should !== undefined && should !== whole) found.add('the pieces make something else', row)
  }
  return found.violations
}

/** HEAD and GET agree, and no range is taken of what changes with the head. */
export const headIsLikeGet: Check = (history, judged = new Tally()) => {
  const found = new Findings('I25')
  const heads = new Map<number, number>()
  const eachRead = (method: string, look: (row: number, key: number) => void): void => {
    for (let row = 0; row < history.length; row += 1) {
      const status = history.number('status', row)
      if (history.method(row) !== method || !READS.has(history.kind(row))) continue
      // A node may refuse for a moment, and a condition or a range makes it another question.
      if (status !== 200 && !(status === 404 && history.id('pin', row) !== 0)) continue
      // A 404 for the generation itself is of whichever one the node has.
      if (history.id('pin', row) !== 0 && history.text('generation', row) !== history.text('pin', row))
        continue
      // A pinned ETag has no generation in it.
      const small = formOf(history, row) * 2 + (history.id('pin', row) === 0 ? 0 : 1)
      look(row, keyOf(history.id('generation', row), history.id('path', row), small))
    }
  }
  eachRead('HEAD', (row, key) => heads.set(key, row))
  eachRead('GET', (row, key) => {
    const head = heads.get(key)
    if (head === undefined) return
    judged.one()
    const differs = differenceOf(history, head, row)
    if (differs !== undefined) found.add(`HEAD and GET differ in ${differs}`, head, row)
  })
  for (let row = 0; row < history.length; row += 1)
    if (history.number('status', row) === 206 && ENTRIES.has(history.kind(row)))
      found.add('a piece of what changes with the head', row)
  return found.violations
}

/** Depot-Head never stands on what a cache may keep. */
export const headIsNotFrozen: Check = (history, judged = new Tally()) => {
  const found = new Findings('I26')
  for (let row = 0; row < history.length; row += 1) {
    if (history.id('head', row) === 0) continue
    judged.one()
    if (/(?:max-age|s-maxage)=0*[1-9]/.test(history.text('cacheControl', row) ?? ''))
      found.add('a cache may freeze Depot-Head', row)
  }
  return found.violations
}

function differenceOf(history: History, head: number, get: number): string | undefined {
  if (history.number('status', head) !== history.number('status', get)) return 'status'
  if (history.number('status', get) !== 200) return undefined
  if (history.id('etag', head) !== history.id('etag', get)) return 'ETag'
  const [told, came] = [history.number('length', head), lengthOf(history, get)]
  return Number.isNaN(told) || Number.isNaN(came) || told === came ? undefined : 'length'
}

/** Without Content-Length it is what came, if that was all. */
function lengthOf(history: History, row: number): number {
  const length = history.number('length', row)
  if (!Number.isNaN(length)) return length
  return history.id('error', row) === 0 && formOf(history, row) === 0
    ? history.number('bytes', row)
    : Number.NaN
}
