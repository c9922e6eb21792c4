/**
 * A `Tree` says which tree it is and how much is in it; the line of a child in an inner node says the same of the
 * child, so every node of a tree is the root of a smaller one.
 */
import { type Digest, digestOf } from '../model/digest.ts'
import { combineCrc32 } from './crc32.ts'
import { type Key, partsOfKey } from './key.ts'

/** What is below a node: how many releases, and length and CRC-32 of all leaves, one after the other. */
export interface Extent {
  readonly count: number
  readonly bytes: number
  readonly crc32: number
}

export interface Tree extends Extent {
  readonly root: Digest
  /** Leaves are level 1. */
  readonly level: number
}

export const EMPTY_EXTENT: Extent = { count: 0, bytes: 0, crc32: 0 }

/** The tree without a key. Its only node, a leaf of no bytes, is never read and never handed to a sink. */
export const EMPTY_TREE: Tree = { root: digestOf(''), level: 1, ...EMPTY_EXTENT }

/** The extent of A followed by B. */
export function joinExtents(a: Extent, b: Extent): Extent {
  return {
    count: a.count + b.count,
    bytes: a.bytes + b.bytes,
    crc32: combineCrc32(a.crc32, b.crc32, b.bytes),
  }
}

/** The line that stands for a child in its parent; `key` is the first one below. */
export function lineOfChild(key: Key, { root, level, count, bytes, crc32 }: Tree): Buffer {
  const { name, version } = partsOfKey(key)
  // The members stand in canonical order, and neither names nor integers have two spellings in JSON.stringify.
  return Buffer.from(`${JSON.stringify({ bytes, child: root, count, crc32, level, name, version })}\n`)
}
