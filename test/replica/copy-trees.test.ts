/**
 * Copying trees: children before parents, nothing twice, and nothing that does not fit its parent.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TreeNode } from '../../src/metaset/node.ts'
import type { Tree } from '../../src/metaset/tree.ts'
import type { Digest } from '../../src/model/digest.ts'
import { LIMITS } from '../../src/model/limits.ts'
import type { PackedNode } from '../../src/pool/pool.ts'
import { encodeSegment } from '../../src/pool/segment.ts'
import { copyTrees } from '../../src/replica/copy-trees.ts'
import { Counter } from '../../src/replica/progress.ts'
import { outcomeOf } from '../depot/an-engine.ts'
import { Forest, numbered } from '../metaset/memory-nodes.ts'
import { stillClock } from '../support/still-clock.ts'
import { cutOff } from './an-upstream.ts'

const SMALL = { bits: 1, most: 8 }
const NEVER = new AbortController().signal

/** What is durable at a replica, which refuses a parent before its children. */
class Durable {
  readonly here = new Set<Digest>()
  readonly asked: Digest[] = []
  requests = 0
  readonly #forest: Forest
  readonly #levels: ReadonlyMap<Digest, number>
  /** Gives what is sent for a node, or throws. */
  send: (node: PackedNode, at: number) => PackedNode | undefined = (node) => node

  constructor(forest: Forest, trees: readonly Tree[]) {
    this.#forest = forest
    this.#levels = new Map(trees.flatMap((tree) => [...levelsOf(forest, tree)]))
  }

  async copy(trees: readonly Tree[]): Promise<void> {
    const { asked, here } = this
    const counter = new Counter()
    const nodes = { has: (digest: Digest) => here.has(digest), keep: this.#keep.bind(this) }
    const upstream = { nodes: (digests: readonly Digest[]) => this.#nodes(digests) }
    await copyTrees({ nodes, upstream, clock: stillClock(), counter }, trees, NEVER)
    expect(asked.length).toBeGreaterThanOrEqual(counter.tally().done)
    expect(counter.tally().done).toBe(counter.tally().needed)
  }

  async #keep(nodes: readonly PackedNode[]): Promise<void> {
    const before = new Set(this.here)
    await new Promise(setImmediate)
    for (const { digest } of nodes) {
      const level = this.#levels.get(digest) ?? 1
      for (const child of childrenOf(this.#forest, digest, level)) expect(before).toContain(child.root)
      this.here.add(digest)
    }
  }

  async *#nodes(digests: readonly Digest[]): AsyncGenerator<PackedNode> {
    this.requests += 1
    expect(digests.length).toBeLessThanOrEqual(LIMITS.replicationBatch)
    for (const digest of digests) {
      expect(this.here.has(digest)).toBe(false)
      this.asked.push(digest)
      const segment = encodeSegment(this.#forest.nodes.bytes.get(digest)!)
      const sent = this.send({ digest, segment }, this.asked.length)
      if (sent !== undefined) yield sent
    }
  }
}

function childrenOf(forest: Forest, digest: Digest, level: number): readonly Tree[] {
  if (level === 1) return []
  const node = new TreeNode(forest.nodes.bytes.get(digest)!, level)
  return Array.from({ length: node.length }, (_, at) => node.child(at))
}

function* levelsOf(forest: Forest, { root, level }: Tree): Generator<readonly [Digest, number]> {
  yield [root, level]
  for (const child of childrenOf(forest, root, level)) yield* levelsOf(forest, child)
}

function nodesOf(forest: Forest, trees: readonly Tree[]): ReadonlySet<Digest> {
  return new Set(trees.flatMap((tree) => [...levelsOf(forest, tree)].map(([digest]) => digest)))
}

/** A tree, and what becomes of it when some lines are taken away. */
async function planted(shape = SMALL): Promise<{ forest: Forest; tree: Tree; later: Tree }> {
  const forest = new Forest(shape)
  const lines = numbered(200)
  const tree = await forest.plant(new Map(lines))
  const later = await forest.edit(
    tree,
    lines.slice(90, 93).map(([key]) => ({ key, line: undefined })),
  )
  return { forest, tree, later }
}

describe('copying trees', () => {
  it('brings every node, children before parents, and of a later tree only what is new', async () => {
    const { forest, tree, later } = await planted()
    const durable = new Durable(forest, [tree, later])
    await durable.copy([tree])
    expect(durable.here).toEqual(nodesOf(forest, [tree]))
    const before = durable.asked.length
    await durable.copy([tree, later, later])
    expect(durable.here).toEqual(nodesOf(forest, [tree, later]))
    expect(durable.asked.length - before).toBe(durable.here.size - before)
    await durable.copy([tree, later])
    expect(durable.asked).toHaveLength(durable.here.size)
  })

  it('copies trees that share nodes at the same time, each node once', async () => {
    const { forest, tree, later } = await planted()
    const durable = new Durable(forest, [tree, later])
    await durable.copy([later, tree])
    expect(durable.here).toEqual(nodesOf(forest, [tree, later]))
    expect(durable.asked).toHaveLength(durable.here.size)
  })

  it('goes on after any failures, and asks for no node again that is durable', async () => {
    const { forest, tree, later } = await planted()
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 120 }), { maxLength: 6 }), async (cuts) => {
        const durable = new Durable(forest, [tree, later])
        let left = [...cuts].sort((a, b) => a - b)
        durable.send = (node, at) => {
          if (at < (left[0] ?? Number.POSITIVE_INFINITY)) return node
          left = left.slice(1)
          throw cutOff()
        }
        for (let tries = 0; tries <= cuts.length; tries += 1)
          if ((await outcomeOf(durable.copy([tree, later]))) === 'accepted') break
        expect(durable.here).toEqual(nodesOf(forest, [tree, later]))
      }),
      { numRuns: 30 },
    )
  })

  it('takes a few requests for a deep tree', async () => {
    const forest = new Forest()
    const tree = await forest.plant(new Map(numbered(20_000)))
    const durable = new Durable(forest, [tree])
    await durable.copy([tree])
    expect(tree.level).toBe(3)
    expect(durable.requests).toBe(3)
  })

  it.each<[string, string, (node: PackedNode, other: PackedNode) => PackedNode | undefined]>([
    ['is another node', 'digest-mismatch', ({ digest }, { segment }) => ({ digest, segment })],
    ['was not asked for', 'digest-mismatch', (_, other) => other],
    [
      'is cut off',
      'blob-corrupt',
      ({ digest, segment }) => ({
        digest,
        segment: { ...segment, deflated: segment.deflated.subarray(0, -5) },
      }),
    ],
    ['is not there', 'blob-unavailable', () => undefined],
  ])('refuses what %s with `%s`, and keeps no node above it', async (_, code, change) => {
    const { forest, tree } = await planted()
    const [[some]] = [[...forest.nodes.bytes.keys()]]
    const other = { digest: some!, segment: encodeSegment(Buffer.from('no node\n')) }
    for (const at of [1, 2, 40, nodesOf(forest, [tree]).size]) {
      const durable = new Durable(forest, [tree])
      durable.send = (node, number) => (number === at ? change(node, other) : node)
      expect(await outcomeOf(durable.copy([tree]))).toBe(code)
      expect(durable.here).not.toContain(tree.root)
    }
  })

  it('refuses a tree that says something else than its nodes', async () => {
    const { forest, tree } = await planted()
    const durable = new Durable(forest, [tree])
    expect(await outcomeOf(durable.copy([{ ...tree, count: tree.count + 1 }]))).toBe('blob-corrupt')
    expect(await outcomeOf(durable.copy([tree, { ...tree, bytes: tree.bytes + 1 }]))).toBe('blob-corrupt')
  })
})
