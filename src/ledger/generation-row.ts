/**
 * A generation as a row of the log: a line with its id, then the bytes of its record as they were hashed.
 */
import { decodeRecord, type Generation, type Gid } from '../model/generation.ts'
import type { Link } from './chain.ts'

const NEWLINE = 10
/** Stands behind the id of a generation that is known and not held. */
const AWAY = ' away'

/** As it is kept: `isHeld` tells whether its content is here, and not its record alone. */
export function encode({ gid, bytes }: Pick<Link, 'gid' | 'bytes'>, isHeld = true): Buffer {
  return Buffer.concat([Buffer.from(`${gid}${isHeld ? '' : AWAY}\n`), bytes])
}

/** The first line of a row: the id, and `AWAY` where only the record is here. */
export function titleOf(value: Buffer): string {
  return value.toString('latin1', 0, value.indexOf(NEWLINE))
}

export function linkIn(value: Buffer): Link {
  const { gid, record } = decode(value)
  return { gid, record, bytes: Buffer.from(value.subarray(value.indexOf(NEWLINE) + 1)) }
}

export function decode(value: Buffer): Generation {
  const title = titleOf(value)
  return {
    gid: (title.endsWith(AWAY) ? title.slice(0, -AWAY.length) : title) as Gid,
    record: decodeRecord(value.subarray(value.indexOf(NEWLINE) + 1)),
    state: 'active',
    signatures: [],
  }
}
