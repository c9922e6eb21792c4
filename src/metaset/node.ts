/**
 * One node of a tree: lines of canonical JSON, sorted by key, and how nodes are had.
 *
 * A node keeps its plain bytes and finds its lines at once, but parses a line only when its key is asked for, and
 * once. A node never changes, so one object may serve many readers; a cache reckons with up to twice its bytes.
 */
import assert from 'node:assert/strict'
import type { Digest } from '../model/digest.ts'
import { type Key, keyOfBytes } from './key.ts'
import type { Tree } from './tree.ts'

/**
 * R1. `node` gives the node with this digest, read at this level; it is never asked for the empty leaf.
 * R2. It answers at once where it can, so that a short walk over nodes in memory costs no turn of the event loop.
 */
export interface NodeReader {
  node(digest: Digest, level: number): TreeNode | Promise<TreeNode>
}

const NEWLINE = 0x0a

export class TreeNode {
  readonly bytes: Buffer
  readonly level: number
  /** Number of lines. */
  readonly length: number
  /** Where each line ends. */
  readonly #ends: readonly number[]
  readonly #keys: (Key | undefined)[] = []
  readonly #children: (Tree | undefined)[] = []

  constructor(bytes: Uint8Array, level: number) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.level = level
    this.#ends = endsOfLines(this.bytes)
    this.length = this.#ends.length
  }

  key(at: number): Key {
    return this.#keys[at] ?? this.#parse(at)
  }

  /** The tree below a line of an inner node. */
  child(at: number): Tree {
    if (this.#children[at] === undefined) this.#parse(at)
    const child = this.#children[at]
    assert(child, `line ${at} of a node of level ${this.level} stands for no child`)
    return child
  }

  line(at: number): Buffer {
    return this.lines(at, at + 1)
  }

  /** The bytes of the lines from `from` up to, not including, `until`. */
  lines(from: number, until: number): Buffer {
    return this.bytes.subarray(this.#start(from), this.#start(until))
  }

  /** Whether a line has these bytes. */
  hasLine(at: number, line: Buffer): boolean {
    const start = this.#start(at)
    const end = this.#start(at + 1)
    return end - start === line.length && this.bytes.compare(line, 0, line.length, start, end) === 0
  }

  /** Whether a line has the same bytes as a line of another node. */
  sharesLine(at: number, other: TreeNode, otherAt: number): boolean {
    const start = this.#start(at)
    const end = this.#start(at + 1)
    const from = other.#start(otherAt)
    const until = other.#start(otherAt + 1)
    return end - start === until - from && this.bytes.compare(other.bytes, from, until, start, end) === 0
  }

  /** The place, from `from` on, of the first key that is not less than `key`. */
  seek(key: Key, from = 0): number {
    let low = from
    let high = this.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.key(middle) < key) low = middle + 1
      else high = middle
    }
    return low
  }

  #start(at: number): number {
    return at === 0 ? 0 : (this.#ends[at - 1] ?? this.bytes.length)
  }

  #parse(at: number): Key {
    // Read as Latin-1 the text has one character for each byte, and so has what JSON.parse makes of it.
    const text = this.bytes.toString('latin1', this.#start(at), this.#start(at + 1))
    const line = JSON.parse(text) as Line
    const key = keyOfBytes(line.name, line.version)
    this.#keys[at] = key
    if (this.level > 1) this.#children[at] = this.#childOf(line)
    return key
  }

  #childOf({ child, level, count, bytes, crc32 }: Line): Tree {
    assert(level === this.level - 1, `a node of level ${this.level} has a child of level ${level}`)
    return { root: child, level, count, bytes, crc32 }
  }
}

const EMPTY_NODE = new TreeNode(new Uint8Array(), 1)

/** The root node of a tree. */
export function rootOf(reader: NodeReader, tree: Tree): TreeNode | Promise<TreeNode> {
  return tree.count === 0 ? EMPTY_NODE : reader.node(tree.root, tree.level)
}

/** What a line says about its place in the tree; members of a child only where it stands for one. */
interface Line {
  readonly name: string
  readonly version: string
  readonly child: Digest
  readonly level: number
  readonly count: number
  readonly bytes: number
  readonly crc32: number
}

function endsOfLines(bytes: Buffer): readonly number[] {
  const ends: number[] = []
  for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1)) ends.push(at + 1)
  assert((ends.at(-1) ?? 0) === bytes.length, 'the last line of a node has no end')
  return ends
}
