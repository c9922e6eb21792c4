/**
 * What several checks ask of a request in the same words.
 */
import { MOST_TEXTS, sortedBy } from './columns.ts'
import type { History } from './history.ts'

export const WELL_FORMED: RegExp =
  /^(?:any|none|g(?:0|[1-9][0-9]{0,14})\.[a-z][a-z2-7]{11}\.[0-9a-f]{16}(?:;st=(?:sealed|staging))?)$/

const WATCH = /^\/v1\/head\?(?:.*&)?after=/

/** The generation that the answer says it is of, without its state; undefined for `any`, `none` and what is broken. */
export function gidOf(history: History, row: number): string | undefined {
  const text = history.text('generation', row)
  if (text === undefined || !text.startsWith('g') || !WELL_FORMED.test(text)) return undefined
  const [gid] = text.split(';')
  return gid
}

/** What the request pins, by its URL or by a header. */
export function pinOf(history: History, row: number): string | undefined {
  return history.text('pin', row) ?? history.text('exact', row)
}

export function isPinned(history: History, row: number): boolean {
  return history.id('pin', row) !== 0 || history.id('exact', row) !== 0
}

/** A node sends the client to another one, for it has not what was asked: that is a refusal, and no answer. */
export function isSentOn(history: History, row: number): boolean {
  return history.number('status', row) === 307 && /[?&]_h=/.test(history.text('location', row) ?? '')
}

/** "Unpinned OK" of the protocol: an answer that says what the head is. */
export function isHeadRead(history: History, row: number): boolean {
  const kind = history.kind(row)
  if ((kind !== 'K1' && kind !== 'K2') || isPinned(history, row) || isSentOn(history, row)) return false
  return [200, 304, 307].includes(history.number('status', row))
}

export function isWatch(history: History, row: number): boolean {
  return history.kind(row) === 'K1' && WATCH.test(history.text('path', row) ?? '')
}

export function isReading(history: History, row: number): boolean {
  const method = history.method(row)
  return method === 'GET' || method === 'HEAD'
}

/** An answer that a balancer made itself, for it reached no node. */
export function isOfBalancer(history: History, row: number): boolean {
  return (
    history.id('through', row) !== 0 &&
    history.id('generation', row) === 0 &&
    history.id('node', row) === 0 &&
    history.number('status', row) >= 400 &&
    (history.text('type', row) ?? '').startsWith('text/html')
  )
}

/** Sent on by a node, or a write that a replica has answered: it does none itself. */
export function isRelayed(history: History, row: number): boolean {
  const isOfReplica = (history.text('node', row) ?? '').includes(';role=replica')
  const isWrite = history.kind(row) === 'K7' && history.number('status', row) < 300
  return history.id('relayed', row) !== 0 || (isWrite && isOfReplica)
}

export function rowsWhere(history: History, isWanted: (row: number) => boolean): Uint32Array {
  let count = 0
  let rows = new Uint32Array(1_024)
  for (let row = 0; row < history.length; row += 1) {
    if (!isWanted(row)) continue
    if (count === rows.length) {
      const more = new Uint32Array(rows.length * 2)
      more.set(rows)
      rows = more
    }
    rows[count] = row
    count += 1
  }
  return rows.slice(0, count)
}

export function byStart(history: History, rows: Uint32Array): Uint32Array {
  return sortedBy(rows, (row) => history.number('start', row))
}

export function byEnd(history: History, rows: Uint32Array): Uint32Array {
  return sortedBy(rows, (row) => history.number('end', row))
}

/** Two ids and a number below 8 as one, for a map of millions. */
export function keyOf(a: number, b: number, small = 0): number {
  return (a * MOST_TEXTS + b) * 8 + small
}

/** What encoding the body has, as a small number. */
export function formOf(history: History, row: number): number {
  const encoding = history.text('encoding', row)
  if (encoding === undefined) return 0
  return encoding === 'gzip' ? 1 : 2
}

/** SHA-256 in hex, of `Repr-Digest`. */
export function hexOfReprDigest(text: string | undefined): string | undefined {
  const [, base64] = /\bsha-256=:([A-Za-z0-9+/=]+):/.exec(text ?? '') ?? []
  return base64 === undefined ? undefined : Buffer.from(base64, 'base64').toString('hex')
}

/** SHA-256 in hex, of the URL of a blob. */
export function hexOfBlob(path: string | undefined): string | undefined {
  return /^\/o\/sha256\/([0-9a-f]{64})(?:\?|$)/.exec(path ?? '')?.[1]
}

/**
 * Tells whether a request is for what nobody ever got: a generation or a blob that is not there. While nobody reaches the
 * origin no node may say so, and a balancer that asks one after the other may end with one that is being restarted.
 */
export function missingFrom(history: History): (row: number) => boolean {
  const got = new Set<number>()
  for (let row = 0; row < history.length; row += 1)
    if (isImmutable(history, row) && history.number('status', row) > 0 && history.number('status', row) < 400)
      got.add(keyOf(history.id('pin', row), history.id('path', row)))
  return (row) =>
    isImmutable(history, row) && !got.has(keyOf(history.id('pin', row), history.id('path', row)))
}

function isImmutable(history: History, row: number): boolean {
  return history.id('pin', row) !== 0 || history.kind(row) === 'K4'
}
