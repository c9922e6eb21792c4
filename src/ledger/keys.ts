/**
 * Keys of the tables: bytes, which LMDB orders as bytes.
 *
 * A key is put together so that no part of it can run into the next: numbers have eight bytes, a stage's id has its
 * length in front, a channel's name ends with a NUL (it cannot hold one), and what follows goes to the end.
 */
import { strict as assert } from 'node:assert'
import { KEY_BYTES } from '../disk/environment.ts'
import { LIMITS } from '../model/limits.ts'
import type { StageId } from './ledger.ts'

const STAGE_ID_BYTES = 64

const RELEASE_KEY_BYTES = LIMITS.releaseNameBytes + 1 + LIMITS.versionBytes
const STAGE_ID = /^[\u0021-\u007e]+$/
// oxlint-disable-next-line no-control-regex -- the NUL is a byte like others
const BYTES = /^[\u0000-\u00ff]*$/

/** Checks that the longest names there may be still make a key. */
export function assertKeysFit(): void {
  const longest = 1 + STAGE_ID_BYTES + LIMITS.channelNameBytes + 1 + RELEASE_KEY_BYTES
  assert(longest <= KEY_BYTES, `a change has a key of up to ${longest} bytes, and ${KEY_BYTES} fit`)
}

/** Eight bytes that order as the numbers do. */
export function numberKey(number: number): Buffer {
  assert(Number.isSafeInteger(number) && number >= 0, `${number} is not a number for a key`)
  const key = Buffer.allocUnsafe(8)
  key.writeBigUInt64BE(BigInt(number))
  return key
}

/** The key of a moment, in whole milliseconds. */
export function timeKey(epochMs: number): Buffer {
  return numberKey(Math.max(0, Math.min(Math.floor(epochMs), Number.MAX_SAFE_INTEGER)))
}

export function numberOf(bytes: Uint8Array): number {
  return Number(Buffer.from(bytes.buffer, bytes.byteOffset, 8).readBigUInt64BE())
}

export function textKey(text: string): Buffer {
  return Buffer.from(text)
}

/** Whether a stage may have this id. Whoever asks for one may have it from anywhere. */
export function isStageId(id: string): boolean {
  return id.length <= STAGE_ID_BYTES && STAGE_ID.test(id)
}

/** What all rows of a stage begin with. */
export function stageKey(id: StageId): Buffer {
  assert(isStageId(id), `"${id}" is not the id of a stage`)
  return Buffer.from(String.fromCharCode(id.length) + id, 'latin1')
}

/** The stage whose key stands in these bytes from `start` on. */
export function stageIn(bytes: Buffer, start = 0): StageId {
  const length = bytes[start] ?? 0
  return bytes.toString('latin1', start + 1, start + 1 + length) as StageId
}

/** The key of a change; `stage` is the key of its stage. */
export function changeKey(stage: Buffer, channel: string, key: string): Buffer {
  assert(channel.length <= LIMITS.channelNameBytes && !channel.includes('\0'), `"${channel}" is no channel`)
  assert(key.length <= RELEASE_KEY_BYTES && BYTES.test(key), 'a key has one character for each of its bytes')
  return Buffer.from(`${stage.toString('latin1')}${channel}\0${key}`, 'latin1')
}

export function channelAndKeyIn(bytes: Buffer, stage: Buffer): { channel: string; key: string } {
  const nul = bytes.indexOf(0, stage.length)
  return { channel: bytes.toString('latin1', stage.length, nul), key: bytes.toString('latin1', nul + 1) }
}

/** The first key that comes after `key`. */
export function after(key: Buffer): Buffer {
  return Buffer.concat([key, Buffer.of(0)])
}

/** Everything that begins with `prefix`, from `start` on. */
export function within(prefix: Buffer, start: Buffer = prefix): { start: Buffer; end: Buffer } {
  let last = prefix.length - 1
  while (prefix[last] === 0xff) last -= 1
  assert(last >= 0, 'a prefix of nothing but 0xff has no end')
  const end = Buffer.from(prefix.subarray(0, last + 1))
  end[last] = (end[last] ?? 0) + 1
  return { start, end }
}
