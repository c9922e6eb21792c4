/**
 * A generation as a row of the log: a line with its id and who has signed it, then the bytes of its record as they were
 * hashed and signed. In one row, so that nobody ever sees the one without the other (L1, L2).
 */
import { strict as assert } from 'node:assert'
import { decodeRecord, type Generation, type Gid } from '../model/generation.ts'
import { isSignature } from '../model/keys/key.ts'
import type { Link } from './chain.ts'

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
