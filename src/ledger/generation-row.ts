/**
 * A generation as a row of the log: a line with its id and who has signed it, then the bytes of its record as they were
 * hashed and signed. In one row, so that nobody ever sees the one without the other (L1, L2).
 */
import { strict as assert } from 'node:assert'
import { decodeRecord, type Generation, type Gid } from '../model/generation.ts'
import { parseInstant } from '../model/instant.ts'
import { isSignature } from '../model/keys/key.ts'
import type { Link } from './chain.ts'
import { numberKey, numberOf, timeKey } from './keys.ts'
import type { Row, Tables } from './store.ts'

const NEWLINE = 10
/** Stands behind the id of a generation that is known and not held. */
const AWAY = 'away'

/** As it is kept: `isHeld` tells whether its content is here, and not its record alone. */
export function encode(
  { gid, bytes, signatures = [] }: Pick<Link, 'gid' | 'bytes' | 'signatures'>,
  isHeld = true,
): Buffer {
  assert(signatures.every(isSignature), `the signatures of ${gid} are signatures`)
  const title = [gid, ...(isHeld ? [] : [AWAY]), ...signatures].join(' ')
  return Buffer.concat([Buffer.from(`${title}\n`), bytes])
}

/** Whether the content of a generation is here, and not its record alone. */
export function isRowOfHeld(value: Buffer, gid: Gid): boolean {
  const [title, second] = wordsOf(value)
  return title === gid && second !== AWAY
}

export function linkIn(value: Buffer): Link {
  const { gid, record, signatures } = decode(value)
  return { gid, record, signatures, bytes: Buffer.from(value.subarray(value.indexOf(NEWLINE) + 1)) }
}

export function decode(value: Buffer): Generation {
  const [gid, ...more] = wordsOf(value)
  return {
    gid: gid as Gid,
    record: decodeRecord(value.subarray(value.indexOf(NEWLINE) + 1)),
    state: 'active',
    signatures: more[0] === AWAY ? more.slice(1) : more,
  }
}

/** Of the first line. */
function wordsOf(value: Buffer): readonly string[] {
  return value.toString('latin1', 0, value.indexOf(NEWLINE)).split(' ')
}

/** A generation in the log, and by its time. */
export function rowsOfLink({ log, times }: Tables, link: Link, isHeld: boolean): readonly Row[] {
  const { number, created } = link.record
  return [
    [log, numberKey(number), encode(link, isHeld)],
    [times, timeKey(parseInstant(created)), numberKey(number)],
  ]
}

/** The number in the last key of a table; -1 when it is empty. */
export function lastKey(table: Tables['log']): number {
  const [key] = table.getKeys({ reverse: true, limit: 1 })
  return key === undefined ? -1 : numberOf(key)
}
