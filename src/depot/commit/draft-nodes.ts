/**
 * The nodes of a plan that nothing names yet: packed, and in memory until a commit or a preview wants them on the disk.
 *
 * A plan that is made again and again while its stage is filled replaces most of its own nodes, and so only those that
 * are needed in the end are written. When all plans together hold too much, the one that adds more writes what it has.
 */
import { strict as assert } from 'node:assert'
import { type NodeReader, TreeNode } from '../../metaset/node.ts'
import type { Tree } from '../../metaset/tree.ts'
import type { Digest } from '../../model/digest.ts'
import { type Slices, slices } from '../../model/slice.ts'
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

  get isSpent(): boolean {
    return this.#used > this.#most
  }

  take(bytes: number): void {
    this.#used += bytes
  }

  give(bytes: number): void {
    this.#used -= bytes
  }
}

export interface DraftNodesParts {
  readonly nodes: Pick<Nodes, 'pack' | 'keep'>
  readonly reader: NodeReader
  readonly clock: Clock
  readonly budget: Budget
}

/** What a segment costs beside its bytes, roughly: its row in the map and the objects. */
const OVERHEAD_BYTES = 400

export class DraftNodes implements NodeReader {
  readonly #parts: DraftNodesParts
  #held = new Map<Digest, Segment>()
  #size = 0
  /** Settles when everything that was added until now is held or written. */
  #adding: Promise<void> = Promise.resolve()

  constructor(parts: DraftNodesParts) {
    this.#parts = parts
  }

  node(digest: Digest, level: number): TreeNode | Promise<TreeNode> {
    const segment = this.#held.get(digest)
    return segment === undefined ? this.#parts.reader.node(digest, level) : nodeOf(segment, level)
  }

  /**
   * Takes new nodes. Several calls pack at the same time, but what they bring is held in their order: so nothing below
   * a node that is written is held for longer than the node. Fails with `disk-full` when nodes must be written already.
   */
  async add(plain: readonly PlainNode[]): Promise<void> {
    const adding = this.#hold(this.#adding, this.#parts.nodes.pack(plain))
    this.#adding = adding
    await adding
  }

  /** Makes durable what these trees need, and forgets the rest. Fails with `disk-full`. */
  async keep(trees: readonly Tree[], purpose: Purpose): Promise<void> {
    if (this.#held.size > 0) await this.#write(packed(await this.#neededBy(trees)), purpose)
  }

  /** Forgets everything, also that something failed. */
  clear(): void {
    this.#parts.budget.give(this.#size)
    this.#size = 0
    this.#held = new Map()
    this.#adding = Promise.resolve()
  }

  async #hold(before: Promise<void>, packing: Promise<readonly PackedNode[]>): Promise<void> {
    const [nodes] = await Promise.all([packing, before])
    for (const { digest, segment } of nodes) {
      if (this.#held.has(digest)) continue
      const size = sizeOf(segment)
      this.#held.set(digest, segment)
      this.#size += size
      this.#parts.budget.take(size)
    }
    // It cannot be told yet which of them will be needed.
    if (this.#parts.budget.isSpent) await this.#write(packed(this.#held), 'commit')
  }

  async #write(nodes: readonly PackedNode[], purpose: Purpose): Promise<void> {
    await this.#parts.nodes.keep(nodes, purpose)
    this.clear()
  }

  /** What is held of the trees: below a node that is not held, nothing is. */
  async #neededBy(trees: readonly Tree[]): Promise<ReadonlyMap<Digest, Segment>> {
    const needed = new Map<Digest, Segment>()
    const pace = slices(this.#parts.clock)
    const waiting = [...trees]
    for (let tree = waiting.pop(); tree !== undefined; tree = waiting.pop()) {
      const segment = this.#held.get(tree.root)
      if (segment === undefined || needed.has(tree.root)) continue
      needed.set(tree.root, segment)
      if (tree.level > 1) waiting.push(...(await childrenOf(nodeOf(segment, tree.level), pace)))
    }
    return needed
  }
}

async function childrenOf(node: TreeNode, pace: Slices): Promise<readonly Tree[]> {
  const children: Tree[] = []
  for (let at = 0; at < node.length; at += 1) {
    children.push(node.child(at))
    const pause = pace.breathe()
    if (pause !== undefined) await pause
  }
  return children
}

function nodeOf(segment: Segment, level: number): TreeNode {
  const plain = decodeSegment(segment)
  assert(typeof plain !== 'string', 'a segment in memory is whole')
  return new TreeNode(plain, level)
}

function packed(segments: ReadonlyMap<Digest, Segment>): readonly PackedNode[] {
  return [...segments].map(([digest, segment]) => ({ digest, segment }))
}

function sizeOf({ deflated }: Segment): number {
  return deflated.length + OVERHEAD_BYTES
}
