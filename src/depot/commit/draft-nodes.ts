/**
 * The nodes of a plan that nothing names yet: packed, and in memory until they are wanted on the disk.
 *
 * A plan that is brought up to date again and again while its stage is filled replaces its own inner nodes each time,
 * and in a small tree its leaves too; written each time, they would only be in the way. So nodes are written when a
 * commit or a preview needs them, and before that only leaves that have outlived a round: in a large tree that is most
 * of them. When all plans together hold too much, the one that adds more writes what it has.
 */
import { strict as assert } from 'node:assert'
import { type NodeReader, TreeNode } from '../../metaset/node.ts'
import type { Tree } from '../../metaset/tree.ts'
import type { Digest } from '../../model/digest.ts'
import { slices } from '../../model/slice.ts'
import type { Clock } from '../../model/world.ts'
import type { Nodes, PackedNode, PlainNode, Purpose, Segment } from '../../pool/pool.ts'
import { decodeSegment } from '../../pool/segment.ts'

/** Bytes that all plans of a depot may hold together. */
export class Budget {
  readonly #most: number
  #used = 0

  constructor(most: number) {
    this.#most = most
  }

  get used(): number {
    return this.#used
  }

  get isSpent(): boolean {
    return this.#used > this.#most
  }

  /** Takes so much, or gives it back. */
  take(bytes: number): void {
    this.#used += bytes
  }
}

export interface DraftNodesParts {
  readonly nodes: Pick<Nodes, 'pack' | 'keep'>
  readonly reader: NodeReader
  readonly clock: Clock
  readonly budget: Budget
}

interface Held {
  readonly segment: Segment
  /** The round in which it came. */
  readonly round: number
}

/** What a node costs beside its bytes, roughly: its row in the map and the objects. */
const OVERHEAD_BYTES = 400

export class DraftNodes implements NodeReader {
  readonly #parts: DraftNodesParts
  readonly #held = new Map<Digest, Held>()
  /** Inner nodes of those, decoded: they are read in every round. */
  readonly #inner = new Map<Digest, TreeNode>()
  #round = 0
  /** Settles when everything that was added until now is held or written. */
  #adding: Promise<void> = Promise.resolve()

  constructor(parts: DraftNodesParts) {
    this.#parts = parts
  }

  node(digest: Digest, level: number): TreeNode | Promise<TreeNode> {
    const held = this.#held.get(digest)
    return held === undefined ? this.#parts.reader.node(digest, level) : this.#decoded(digest, level, held)
  }

  /**
   * Takes new nodes. Several calls pack at the same time, but what they bring is held in their order: so nothing below
   * a node that is written is held for longer than the node. Fails with `disk-full` when nodes must be written already.
   */
  async add(plain: readonly PlainNode[], purpose: Purpose): Promise<void> {
    const adding = this.#hold(this.#adding, this.#parts.nodes.pack(plain), purpose)
    this.#adding = adding
    await adding
  }

  /** Makes durable what these trees need, and forgets the rest. Fails with `disk-full`. */
  async keep(trees: readonly Tree[], purpose: Purpose): Promise<void> {
    await this.#forgetAllBut(trees)
    await this.#write([...this.#held], purpose)
  }

  /** Ends a round: forgets what these trees do not need, and makes leaves durable that are of an earlier round. */
  async endRound(trees: readonly Tree[]): Promise<void> {
    await this.#forgetAllBut(trees)
    const old = [...this.#held].filter(
      ([digest, { round }]) => round < this.#round && !this.#inner.has(digest),
    )
    this.#round += 1
    await this.#write(old, 'upload')
  }

  /** Forgets everything, also what is on its way, and that something failed. */
  async clear(): Promise<void> {
    await Promise.allSettled([this.#adding])
    for (const digest of this.#held.keys()) this.#drop(digest)
    this.#adding = Promise.resolve()
  }

  async #hold(
    before: Promise<void>,
    packing: Promise<readonly PackedNode[]>,
    purpose: Purpose,
  ): Promise<void> {
    const [nodes] = await Promise.all([packing, before])
    for (const { digest, segment } of nodes) {
      if (this.#held.has(digest)) continue
      this.#held.set(digest, { segment, round: this.#round })
      this.#parts.budget.take(sizeOf(segment))
    }
    // It cannot be told yet which of them will be needed.
    if (this.#parts.budget.isSpent) await this.#write([...this.#held], purpose)
  }

  async #write(nodes: readonly (readonly [Digest, Held])[], purpose: Purpose): Promise<void> {
    if (nodes.length === 0) return
    await this.#parts.nodes.keep(
      nodes.map(([digest, { segment }]) => ({ digest, segment })),
      purpose,
    )
    for (const [digest] of nodes) this.#drop(digest)
  }

  #drop(digest: Digest): void {
    const held = this.#held.get(digest)
    const node = this.#inner.get(digest)
    this.#parts.budget.take(
      -(held === undefined ? 0 : sizeOf(held.segment)) - (node === undefined ? 0 : sizeOfInner(node)),
    )
    this.#held.delete(digest)
    this.#inner.delete(digest)
  }

  async #forgetAllBut(trees: readonly Tree[]): Promise<void> {
    if (this.#held.size === 0) return
    const needed = await this.#neededBy(trees)
    for (const digest of this.#held.keys()) if (!needed.has(digest)) this.#drop(digest)
  }

  /** What is held of the trees: below a node that is not held, nothing is. */
  async #neededBy(trees: readonly Tree[]): Promise<ReadonlySet<Digest>> {
    const needed = new Set<Digest>()
    const pace = slices(this.#parts.clock)
    const waiting = [...trees]
    for (let tree = waiting.pop(); tree !== undefined; tree = waiting.pop()) {
      const held = this.#held.get(tree.root)
      if (held === undefined || needed.has(tree.root)) continue
      needed.add(tree.root)
      if (tree.level === 1) continue
      const node = this.#decoded(tree.root, tree.level, held)
      for (let at = 0; at < node.length; at += 1) {
        const child = node.child(at)
        if (this.#held.has(child.root)) waiting.push(child)
      }
      const pause = pace.breathe()
      if (pause !== undefined) await pause
    }
    return needed
  }

  #decoded(digest: Digest, level: number, { segment }: Held): TreeNode {
    const known = this.#inner.get(digest)
    if (known !== undefined) return known
    const node = nodeOf(segment, level)
    if (level === 1) return node
    this.#inner.set(digest, node)
    this.#parts.budget.take(sizeOfInner(node))
    return node
  }
}

function nodeOf(segment: Segment, level: number): TreeNode {
  const plain = decodeSegment(segment)
  assert(typeof plain !== 'string', 'a segment in memory is whole')
  return new TreeNode(plain, level)
}

function sizeOf({ deflated }: Segment): number {
  return deflated.length + OVERHEAD_BYTES
}

/** Its bytes, and its lines when they are parsed. */
function sizeOfInner({ bytes }: TreeNode): number {
  return 2 * bytes.length
}
