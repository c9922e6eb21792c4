/**
 * A place in a tree: it stands on a line or, one step higher for every level, on a whole subtree.
 *
 * It begins on the whole tree. `open` goes down to the first thing inside of what it stands on, `advance` goes past
 * it; what is passed without being opened is never read. It moves forward, but for `back`.
 *
 * Nodes in memory are opened without a turn of the event loop, so a long walk takes one of its own accord, every few
 * nodes: however fast somebody asks for what comes next, others are served meanwhile.
 */
import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import type { Key } from './key.ts'
import { type NodeReader, rootOf, type TreeNode } from './node.ts'
import type { Tree } from './tree.ts'

/** An opened node, and the place in it. */
interface Frame {
  readonly node: TreeNode
  at: number
}

const LEAST = '' as Key
/** Nodes opened between two turns of the event loop: about a millisecond's worth of lines. */
const NODES_A_TURN = 16

export class Cursor {
  readonly #reader: NodeReader
  readonly #tree: Tree
  /** The opened nodes, from the root down. */
  readonly #frames: Frame[] = []
  #top: Frame | undefined
  #ended = false
  #opened = 0

  constructor(reader: NodeReader, tree: Tree) {
    this.#reader = reader
    this.#tree = tree
  }

  /** Whether everything is passed. */
  get ended(): boolean {
    return this.#ended
  }

  /** 0 on a line, else the level of the node it stands on. */
  get level(): number {
    return this.#top === undefined ? this.#tree.level : this.#top.node.level - 1
  }

  /** The first key of what it stands on; for the whole tree, which is not opened, the least of all keys. */
  get key(): Key {
    return this.#top === undefined ? LEAST : this.#top.node.key(this.#top.at)
  }

  /** The first key behind what it stands on. */
  get keyBehind(): Key | undefined {
    return this.#keyAfter(this.#frames.length)
  }

  /** Whether nothing stands before it. */
  get first(): boolean {
    return this.#frames.every(({ at }) => at === 0)
  }

  get tree(): Tree {
    return this.#top === undefined ? this.#tree : this.#top.node.child(this.#top.at)
  }

  get line(): Buffer {
    assert(this.#top !== undefined && this.level === 0, 'it stands on no line')
    return this.#top.node.line(this.#top.at)
  }

  /** Whether both stand on the same bytes at the same level. */
  sharesLine(other: Cursor): boolean {
    const ours = this.#top
    const theirs = other.#top
    if (ours === undefined || theirs === undefined || ours.node.level !== theirs.node.level) return false
    return ours.node.sharesLine(ours.at, theirs.node, theirs.at)
  }

  advance(): void {
    while (this.#top !== undefined) {
      this.#top.at += 1
      if (this.#top.at < this.#top.node.length) return
      this.#pop()
    }
    this.#ended = true
  }

  async open(): Promise<void> {
    this.#opened += 1
    if (this.#opened % NODES_A_TURN === 0) await setImmediate()
    const node = await rootOf(this.#reader, this.tree)
    if (node.length === 0) this.#ended = true
    else this.#push(node, 0)
  }

  /** Opens what it stands on until it stands at `level`. */
  async descend(level: number): Promise<void> {
    while (!this.#ended && this.level > level) await this.open()
  }

  /** Moves forward, without opening anything, to what would hold `key`; or stays where all keys are greater. */
  skipTo(key: Key): void {
    for (let end = this.#keyAfter(this.#frames.length - 1); end !== undefined && end <= key; ) {
      this.#pop()
      end = this.#keyAfter(this.#frames.length - 1)
    }
    if (this.#top !== undefined) this.#top.at = lastAtMost(this.#top, key)
  }

  /** Moves forward to what would hold `key` at `level`. */
  async find(key: Key, level: number): Promise<void> {
    this.skipTo(key)
    while (!this.#ended && this.level > level) {
      await this.open()
      this.skipTo(key)
    }
  }

  /** Moves one step back at `level`, which it stands at. */
  async back(level: number): Promise<void> {
    while (this.#top?.at === 0) this.#pop()
    assert(this.#top !== undefined, 'nothing stands before the first')
    this.#top.at -= 1
    while (this.level > level) {
      const node = await rootOf(this.#reader, this.tree)
      this.#push(node, node.length - 1)
    }
  }

  /** The first key behind the place in the first `depth` opened nodes. */
  #keyAfter(depth: number): Key | undefined {
    for (let deepest = depth - 1; deepest >= 0; deepest -= 1) {
      const frame = this.#frames[deepest]
      if (frame !== undefined && frame.at + 1 < frame.node.length) return frame.node.key(frame.at + 1)
    }
    return undefined
  }

  #push(node: TreeNode, at: number): void {
    this.#top = { node, at }
    this.#frames.push(this.#top)
  }

  #pop(): void {
    this.#frames.pop()
    this.#top = this.#frames.at(-1)
  }
}

/** The last place, from where the frame stands, whose key is not greater than `key`. */
function lastAtMost({ node, at }: Frame, key: Key): number {
  const found = node.seek(key, at)
  if (found < node.length && node.key(found) === key) return found
  return Math.max(at, found - 1)
}
