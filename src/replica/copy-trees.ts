/**
 * Makes every node of some trees durable that is not here yet.
 *
 * From the roots down it asks for what is missing, many nodes in a request. Leaves are written as they come; an inner
 * node only when everything below it is durable, and the root last. So a node that is here stands for all below it:
 * nothing there is looked at, what an earlier copy has brought is never asked for again, and what trees share with any
 * earlier tree costs nothing. A crash leaves subtrees that are whole, and forgets the few inner nodes above them.
 *
 * Memory: inner nodes whose leaves are on their way, in their stored form, and the names of what is to be asked for. No
 * level waits with more than a batch before the level below it is emptied. 1,000,000 releases, with both trees of their
 * channel, are 500 inner nodes and 31,000 names: 11 MB, and in each lane a megabyte of leaves that wait for the disk.
 */
import assert from 'node:assert/strict'
import { decodeNode } from '../metaset/check.ts'
import type { KeyRange } from '../metaset/key.ts'
import type { TreeNode } from '../metaset/node.ts'
import type { Tree } from '../metaset/tree.ts'
import type { Digest } from '../model/digest.ts'
import { failure } from '../model/errors.ts'
import { LIMITS } from '../model/limits.ts'
import { slices } from '../model/slice.ts'
import type { Clock } from '../model/world.ts'
import type { Nodes, PackedNode, Segment } from '../pool/pool.ts'
import { inLanes, type Lanes } from '../wire/lanes.ts'
import type { Counter } from './progress.ts'
import type { RecentNodes } from './recent-nodes.ts'
import { plainOfSent } from './sent-node.ts'
import type { Upstream } from './upstream.ts'

export interface CopyTreesParts {
  readonly nodes: Pick<Nodes, 'has' | 'keep'>
  readonly upstream: Pick<Upstream, 'nodes'>
  readonly clock: Pick<Clock, 'monotonic'>
  readonly counter: Counter
  /** Is given what came, and was right. */
  readonly recent?: Pick<RecentNodes, 'add'>
}

/**
 * Fails with `blob-unavailable` when the upstream has not what its own trees name, with `digest-mismatch` or
 * `blob-corrupt` when it sends something else, and as the upstream does. What came until then is kept.
 */
export async function copyTrees(
  parts: CopyTreesParts,
  trees: readonly Tree[],
  signal: AbortSignal,
): Promise<void> {
  await new TreeCopy(parts).copy(trees, signal)
}

/** A node that is not durable yet. */
interface Missing {
  readonly tree: Tree
  readonly within: KeyRange
  /** Those that cannot be written before it. */
  readonly above: Missing[]
  /** Its bytes, since it came, and how many of its children are not durable. */
  segment: Segment | undefined
  below: number
}

/** Bytes of leaves that are written in one transaction. */
const GROUP_BYTES = 1_048_576

class TreeCopy {
  readonly #parts: CopyTreesParts
  readonly #missing = new Map<Digest, Missing>()
  /** What is to be asked for, by level. */
  readonly #waiting: Missing[][] = []
  /** Requests for inner nodes that are under way: they will bring more to ask for. */
  #opening = 0

  constructor(parts: CopyTreesParts) {
    this.#parts = parts
  }

  async copy(trees: readonly Tree[], signal: AbortSignal): Promise<void> {
    for (const tree of trees) this.#want(tree, {})
    await inLanes(LIMITS.replicationLanes, signal, async (lanes) => await this.#ask(lanes))
    assert(this.#missing.size === 0, 'a node waits for nothing')
  }

  async #ask(lanes: Lanes): Promise<void> {
    for (;;) {
      const batch = this.#batch()
      if (batch !== undefined) await lanes.start(async (signal) => await this.#fetch(batch, signal))
      else if (lanes.isBusy) await lanes.next()
      else return
    }
  }

  /**
   * The lowest level that fills a request, so that little waits; else the highest, so that requests are filled. Leaves
   * that do not fill one go when no more of them can come.
   */
  #batch(): readonly Missing[] | undefined {
    const full = this.#waiting.findIndex((level, at) => level.length >= sizeOfBatch(at))
    const level = full === -1 ? this.#waiting.findLastIndex(({ length }) => length > 0) : full
    if (level === -1 || (level === LEAVES && full === -1 && this.#opening > 0)) return undefined
    return this.#waiting[level]?.splice(0, sizeOfBatch(level))
  }

  async #fetch(batch: readonly Missing[], signal: AbortSignal): Promise<void> {
    const isInner = batch.some(({ tree }) => tree.level > LEAVES)
    if (isInner) this.#opening += 1
    try {
      await this.#receive(batch, signal)
    } finally {
      if (isInner) this.#opening -= 1
    }
  }

  async #receive(batch: readonly Missing[], signal: AbortSignal): Promise<void> {
    const asked = new Map(batch.map((missing) => [missing.tree.root, missing]))
    const pace = slices(this.#parts.clock)
    let group: Missing[] = []
    let bytes = 0
    try {
      for await (const node of this.#parts.upstream.nodes([...asked.keys()], signal)) {
        const missing = asked.get(node.digest)
        if (missing === undefined)
          throw failure('digest-mismatch', { expected: 'a node that was asked for', found: node.digest })
        asked.delete(node.digest)
        this.#take(missing, node)
        if (missing.below === 0) group.push(missing)
        bytes += node.segment.deflated.length
        if (bytes >= GROUP_BYTES) {
          await this.#keep(group)
          group = []
          bytes = 0
        }
        const pause = pace.breathe()
        if (pause !== undefined) await pause
      }
    } finally {
      await this.#keep(group)
    }
    const [absent] = asked.keys()
    if (absent !== undefined) throw failure('blob-unavailable', { digest: absent })
  }

  /** Checks a node that came, and wants what is below it. */
  #take(missing: Missing, node: PackedNode): void {
    const { tree, within } = missing
    const plain = plainOfSent(node)
    const decoded = decodeNode(plain, tree, within)
    missing.segment = node.segment
    this.#parts.recent?.add(node.digest, decoded)
    if (tree.level > LEAVES) {
      this.#parts.counter.need(0, plain.length)
      for (let at = 0; at < decoded.length; at += 1)
        if (this.#want(decoded.child(at), rangeOf(decoded, at, within), missing)) missing.below += 1
    }
    this.#parts.counter.have(0, plain.length)
  }

  /** Whether it is not here. */
  #want(tree: Tree, within: KeyRange, above?: Missing): boolean {
    if (tree.count === 0) return false
    const known = this.#missing.get(tree.root)
    if (known !== undefined) {
      refuseUnlessSame(known.tree, tree)
      if (above !== undefined) known.above.push(above)
      return true
    }
    if (this.#parts.nodes.has(tree.root)) return false
    const missing = { tree, within, above: above === undefined ? [] : [above], segment: undefined, below: 0 }
    this.#missing.set(tree.root, missing)
    for (let level = this.#waiting.length; level <= tree.level; level += 1) this.#waiting.push([])
    this.#waiting[tree.level]?.push(missing)
    this.#parts.counter.need(1, tree.level === LEAVES ? tree.bytes : 0)
    return true
  }

  /** Writes nodes below which all is durable, and then those above them that waited for nothing else. */
  async #keep(group: readonly Missing[]): Promise<void> {
    for (let ready = group; ready.length > 0; ) {
      await this.#parts.nodes.keep(ready.map(packed), 'upload')
      for (const one of ready) {
        this.#missing.delete(one.tree.root)
        // Its request goes on for a while, and has it still.
        one.segment = undefined
      }
      this.#parts.counter.have(ready.length, 0)
      const next: Missing[] = []
      for (const parent of ready.flatMap(({ above }) => above)) {
        parent.below -= 1
        if (parent.below === 0) next.push(parent)
      }
      ready = next
    }
  }
}

const LEAVES = 1

function sizeOfBatch(level: number): number {
  return level === LEAVES ? LIMITS.replicationBatch : LIMITS.replicationInner
}

function packed({ tree, segment }: Missing): PackedNode {
  assert(segment !== undefined, 'it has come')
  return { digest: tree.root, segment }
}

/** The keys that a child may have. */
function rangeOf(node: TreeNode, at: number, within: KeyRange): KeyRange {
  const until = at + 1 < node.length ? node.key(at + 1) : within.until
  return { from: node.key(at), ...(until === undefined ? {} : { until }) }
}

/** Two parents that say different things of one child cannot both be right. */
function refuseUnlessSame(a: Tree, b: Tree): void {
  if (a.level === b.level && a.count === b.count && a.bytes === b.bytes && a.crc32 === b.crc32) return
  throw failure('blob-corrupt', { digest: a.root, reason: 'two nodes above it say different things of it' })
}
