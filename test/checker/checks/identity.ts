/**
 * I1, I2, I4: every answer says which generation it is of, and a generation is one tree and one number.
 */
import { type Gid, isGid, partsOf } from '../../../src/model/generation.ts'
import { type Check, Findings, Tally } from '../finding.ts'
import type { History } from '../history.ts'
import {
  formOf,
  gidOf,
  hexOfBlob,
  hexOfReprDigest,
  isHeadRead,
  isOfBalancer,
  keyOf,
  missingFrom,
  WELL_FORMED,
} from '../reading.ts'

const UNREPEATED = new Set(['POST', 'PATCH'])
const BODIES = new Set(['K1', 'K2', 'K3', 'K4', 'K5'])

/** Every answer carries exactly one well-formed Depot-Generation, unless the balancer made it. */
export const stampedOnce: Check = (history, judged = new Tally()) => {
  const found = new Findings('I1')
  const isMissing = missingFrom(history)
  for (let row = 0; row < history.length; row += 1) {
    if (history.number('status', row) === 0) continue
    judged.one()
    if (isOfBalancer(history, row)) {
      const isRoll = history.isDuring(row, 'roll') && !history.isDuring(row, 'kill', 'dark')
      // What changes something is sent once, also on a connection that its node closes at that very moment: whoever
      // asked has his key, and asks again (nasty edge case 35 of PROTOCOL).
      const isUnsure = history.isDuring(row, 'unsure') && isMissing(row)
      if (isRoll && !isUnsure && !UNREPEATED.has(history.method(row)))
        found.add('the balancer answered itself while nodes were only restarted', row)
      continue
    }
    const text = history.text('generation', row)
    if (text === undefined) found.add('an answer without Depot-Generation', row)
    else if (!WELL_FORMED.test(text)) found.add(`Depot-Generation is "${text}"`, row)
  }
  return found.violations
}

/** Documents about generations: under a pin they say nothing of their state, which may change. */
const OF_GENERATIONS = /^\/v1\/(?:head|generations)(?:[/?]|$)/
const UNPINNED = 4

/** No two answers of one gid and path differ in their digest; the pinned form of a path is the same path. */
export const oneTree: Check = (history, judged = new Tally()) => {
  const found = new Findings('I2')
  const first = new Map<number, number>()
  for (let row = 0; row < history.length; row += 1) {
    const hex = hexOfAnswer(history, row)
    if (hex === undefined) continue
    judged.one()
    const blob = hexOfBlob(history.text('path', row))
    if (blob !== undefined && blob !== hex) found.add('bytes that are not those of the digest', row)
    const promised = hexOfReprDigest(history.text('reprDigest', row))
    if (promised !== undefined && promised !== hex) found.add('the body is not what Repr-Digest says', row)
    const isApart = history.id('pin', row) === 0 && OF_GENERATIONS.test(history.text('path', row) ?? '')
    const form = formOf(history, row) + (isApart ? UNPINNED : 0)
    const key = keyOf(history.id('generation', row), history.id('path', row), form)
    const before = first.get(key)
    if (before === undefined) first.set(key, row)
    else if (hexOfAnswer(history, before) !== hex)
      found.add('one generation, one path, two digests', before, row)
  }
  return found.violations
}

/** Of the whole representation, where the answer tells it. */
function hexOfAnswer(history: History, row: number): string | undefined {
  const status = history.number('status', row)
  if ((status !== 200 && status !== 206) || !BODIES.has(history.kind(row))) return undefined
  const isBody = status === 200 && history.method(row) === 'GET' && history.id('error', row) === 0
  const hex = isBody ? history.text('digest', row) : undefined
  return hex ?? hexOfReprDigest(history.text('reprDigest', row))
}

/** No number is active twice in one lineage, in the log of the origin and in what clients were told is the head. */
export const oneNumber: Check = (history, judged = new Tally()) => {
  const found = new Findings('I4')
  const known = new Map<string, string>()
  const newest = new Map<string, number>()
  for (const { gid } of history.order.active) {
    judged.one()
    if (!isGid(gid)) {
      found.add(`"${gid}" in the activation log is no gid`)
      continue
    }
    const { lineage, number } = partsOf(gid)
    const last = newest.get(lineage) ?? -1
    if (number === last || known.has(`${lineage} ${number}`))
      found.add(`number ${number} was active twice in lineage ${lineage}`)
    else if (number < last) found.add(`number ${number} was active after ${last} in lineage ${lineage}`)
    newest.set(lineage, Math.max(last, number))
    known.set(`${lineage} ${number}`, gid)
  }
  for (let row = 0; row < history.length; row += 1) {
    const gid = isHeadRead(history, row) ? gidOf(history, row) : undefined
    if (gid === undefined) continue
    const { lineage, number } = partsOf(gid as Gid)
    const other = known.get(`${lineage} ${number}`)
    if (other === undefined) known.set(`${lineage} ${number}`, gid)
    else if (other !== gid) found.add(`the number of ${other} with another digest`, row)
  }
  return found.violations
}
