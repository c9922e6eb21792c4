/**
 * Where the tree is cut into nodes: a function of the salt and the set of keys, never of the order of edits
 * (DESIGN §3, "The tree").
 *
 * A key starts a node at level L when SHA-256(salt, 0x00, key) begins with at least 6 * L zero bits. What lies
 * between two such keys is a run; a run of more than 512 entries is cut again, at the key of least hash in its middle
 * half, and so on with both parts. Only in the middle half: whoever knows the salt can choose keys whose hashes rise
 * with the keys, and a cut at the least hash of all would then part off one entry at a time, at every level again.
 * This way a part has at least a quarter of what was cut, whatever the keys.
 */
import { hash } from 'node:crypto'
import { failure } from '../model/errors.ts'
import type { Slices } from '../model/slice.ts'
import type { Key } from './key.ts'

declare const brand: unique symbol
/** 16 bytes in lower-case hex. */
export type Salt = string & { readonly [brand]: 'Salt' }

/** The hash of a key: 32 characters, one for each byte, so that `<` compares bytes. */
export type KeyHash = string & { readonly [brand]: 'KeyHash' }
export type KeyHasher = (key: Key) => KeyHash

/** How wide nodes are; all trees of a depot have the same shape. */
export interface Shape {
  /** Zero bits for each level: nodes have 2^bits entries on average. */
  readonly bits: number
  /** The most entries of a node. */
  readonly most: number
}

export const SHAPE: Shape = { bits: 6, most: 512 }

const SALT = /^[0-9a-f]{32}$/
const KEY_BYTES = 1_024
/** Hashes compared between two breaths. */
const STRIDE = 4_096

/** Fails with `bad-request`. */
export function parseSalt(text: string): Salt {
  if (!SALT.test(text)) throw failure('bad-request', { reason: 'a salt is 32 lower-case hexadecimal digits' })
  return text as Salt
}

export function keyHasher(salt: Salt): KeyHasher {
  const prefix = Buffer.from(`${salt}00`, 'hex')
  const room = Buffer.alloc(prefix.length + KEY_BYTES)
  prefix.copy(room)
  return (key) => {
    const input = key.length <= KEY_BYTES ? room : Buffer.concat([prefix], prefix.length + key.length)
    const end = prefix.length + input.write(key, prefix.length, 'latin1')
    return hash('sha256', input.subarray(0, end), 'binary') as KeyHash
  }
}

/** Whether a key with this hash starts a node at the level, wherever it stands. */
export function startsNode(keyHash: KeyHash, level: number, shape: Shape): boolean {
  const bits = shape.bits * level
  const whole = bits >> 3
  for (let at = 0; at < whole; at += 1) if (keyHash.charCodeAt(at) !== 0) return false
  return keyHash.charCodeAt(whole) >> (8 - (bits & 7)) === 0
}

/** The places, in ascending order, at which a run is cut so that no part is wider than `most`. */
export async function cutsOf(
  hashes: readonly KeyHash[],
  most: number,
  slices: Slices,
): Promise<readonly number[]> {
  const cuts: number[] = []
  const parts: (readonly [number, number])[] = [[0, hashes.length]]
  for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
    const [from, until] = part
    if (until - from <= most) continue
    const cut = await leastWithin(hashes, part, slices)
    cuts.push(cut)
    parts.push([from, cut], [cut, until])
  }
  return cuts.sort((a, b) => a - b)
}

async function leastWithin(
  hashes: readonly KeyHash[],
  [from, until]: readonly [number, number],
  slices: Slices,
): Promise<number> {
  const quarter = (until - from) >> 2
  const last = until - quarter
  let least = from + Math.max(1, quarter)
  for (let at = least; at < last; at += 1) {
    if ((hashes[at] ?? '') < (hashes[least] ?? '')) least = at
    const pause = at % STRIDE === 0 ? slices.breathe() : undefined
    if (pause !== undefined) await pause
  }
  return least
}
