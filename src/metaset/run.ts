/**
 * A run: consecutive lines of one level that are to become a node, or several when they are too many.
 *
 * Lines that stay are taken as bytes, many at a time: a line of a leaf is not parsed and its key not hashed, unless
 * its run is so wide that it must be cut.
 */
import { crc32 } from 'node:zlib'
import type { Slices } from '../model/slice.ts'
import { cutsOf, type KeyHash, type KeyHasher } from './boundary.ts'
import type { Key } from './key.ts'
import { TreeNode } from './node.ts'
import { EMPTY_EXTENT, type Extent, joinExtents } from './tree.ts'

export class Run {
  readonly level: number
  readonly #pieces: Buffer[] = []
  #key: Key | undefined
  #length = 0
  #size = 0
  /** What is below the lines of an inner node. */
  #below = EMPTY_EXTENT
  #fresh = false

  constructor(level: number) {
    this.level = level
  }

  /** Number of lines. */
  get length(): number {
    return this.#length
  }

  /** The first key; undefined where there is none. */
  get key(): Key | undefined {
    return this.#key
  }

  /** Whether one of the lines is new. */
  get fresh(): boolean {
    return this.#fresh
  }

  get pieces(): readonly Buffer[] {
    return this.#pieces
  }

  /** Adds a new line. */
  append(key: Key, line: Buffer): void {
    this.#key ??= key
    this.#pieces.push(line)
    this.#length += 1
    this.#size += line.length
    this.#fresh = true
    if (this.level > 1) this.#below = joinExtents(this.#below, new TreeNode(line, this.level).child(0))
  }

  /** Adds lines of a node of this level. */
  take(node: TreeNode, from: number, until: number): void {
    const piece = node.lines(from, until)
    this.#key ??= node.key(from)
    this.#pieces.push(piece)
    this.#length += until - from
    this.#size += piece.length
    if (this.level === 1) return
    for (let at = from; at < until; at += 1) this.#below = joinExtents(this.#below, node.child(at))
  }

  /** The bytes of a node with these lines. */
  bytes(): Buffer {
    return Buffer.concat(this.#pieces, this.#size)
  }

  /** What is below that node, given its bytes. */
  extent(bytes: Buffer): Extent {
    if (this.level > 1) return this.#below
    return { count: this.#length, bytes: bytes.length, crc32: crc32(bytes) }
  }
}

/** What cutting a run takes. */
interface Cutting {
  readonly hashOf: KeyHasher
  readonly most: number
  readonly slices: Slices
}

/** Cuts a run that is too wide for one node. */
export async function* partsOf(run: Run, { hashOf, most, slices }: Cutting): AsyncGenerator<Run> {
  const nodes: TreeNode[] = []
  const hashes: KeyHash[] = []
  for (const piece of run.pieces) {
    const node = new TreeNode(piece, run.level)
    for (let at = 0; at < node.length; at += 1) hashes.push(hashOf(node.key(at)))
    nodes.push(node)
    const pause = slices.breathe()
    if (pause !== undefined) await pause
  }
  const ends = [...(await cutsOf(hashes, most, slices)), hashes.length].values()
  let end = ends.next().value ?? 0
  let part = new Run(run.level)
  let at = 0
  for (const node of nodes) {
    for (let from = 0, until = 0; from < node.length; from = until) {
      until = Math.min(node.length, from + end - at)
      part.take(node, from, until)
      at += until - from
      if (at < end) continue
      yield part
      part = new Run(run.level)
      end = ends.next().value ?? 0
    }
  }
}
