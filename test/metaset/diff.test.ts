/**
 * Differences: right for any two trees, and cheap for those that are near.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseSalt } from '../../src/metaset/boundary.ts'
import { type Difference, diff } from '../../src/metaset/diff.ts'
import type { Key } from '../../src/metaset/key.ts'
import { EMPTY_TREE } from '../../src/metaset/tree.ts'
import { all, entry, Forest, numbered, sorted, turnsDuring } from './memory-nodes.ts'
import { applied, editsOf, shapes, stepsOf } from './universe.ts'

const OTHER = parseSalt('ffffffffffffffffffffffffffffffff')

describe('the difference of two trees', () => {
  it('is that of their lines, and makes the one of the other', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, stepsOf(4), stepsOf(3), async (shape, steps, more) => {
        const forest = new Forest(shape)
        const before = applied(new Map<Key, Buffer>(), steps.flatMap(editsOf))
        const after = applied(before, more.flatMap(editsOf))
        const a = await forest.plant(before)
        const b = await forest.edit(a, sorted(more.flatMap(editsOf).map(({ key, line }) => [key, line])))
        const differences = await all(diff(forest.nodes, a, b))
        expect(differences).toEqual(differencesOf(before, after))
        expect(
          await forest.edit(
            a,
            differences.map(({ key, after: line }) => ({ key, line })),
          ),
        ).toEqual(b)
        const back = await all(diff(forest.nodes, b, a))
        expect(back).toEqual(differencesOf(after, before))
      }),
      { numRuns: 100 },
    )
  })

  it('is right, if slow, for trees that are cut by different salts or shapes', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, shapes, stepsOf(3), stepsOf(3), async (ours, theirs, steps, more) => {
        const before = applied(new Map<Key, Buffer>(), steps.flatMap(editsOf))
        const after = applied(before, more.flatMap(editsOf))
        const forest = new Forest(ours)
        const stranger = new Forest(theirs, OTHER)
        const a = await forest.plant(before)
        const b = await stranger.plant(after)
        for (const [digest, bytes] of stranger.nodes.bytes) forest.nodes.bytes.set(digest, bytes)
        expect(await all(diff(forest.nodes, a, b))).toEqual(differencesOf(before, after))
      }),
      { numRuns: 100 },
    )
  })

  it('to and from the empty tree is everything', async () => {
    const forest = new Forest()
    const lines = new Map(numbered(1_000))
    const tree = await forest.plant(lines)
    expect(await all(diff(forest.nodes, EMPTY_TREE, tree))).toEqual(differencesOf(new Map(), lines))
    expect(await all(diff(forest.nodes, tree, EMPTY_TREE))).toEqual(differencesOf(lines, new Map()))
    expect(await all(diff(forest.nodes, EMPTY_TREE, EMPTY_TREE))).toEqual([])
  })

  it('of near trees reads little: two paths for each change', async () => {
    const forest = new Forest()
    const tree = await forest.plant(new Map(numbered(20_000)))
    const changed = await forest.edit(
      tree,
      sorted([2_000, 7_000, 18_000].map((at) => entry(`package-${at}x`, '1.0.0'))),
    )
    forest.nodes.reads = 0
    expect(await all(diff(forest.nodes, tree, changed))).toHaveLength(3)
    expect(forest.nodes.reads).toBeLessThanOrEqual(3 * 2 * tree.level)
    forest.nodes.reads = 0
    expect(await all(diff(forest.nodes, tree, tree))).toEqual([])
    expect(forest.nodes.reads).toBe(0)
  })

  it('of trees that share a part reads nothing of that part', async () => {
    const forest = new Forest()
    const lines = numbered(20_000)
    const part = await forest.plant(new Map(lines.slice(0, 1_000)))
    const more = await forest.edit(part, sorted(lines.slice(1_000)))
    expect(more.level).toBeGreaterThan(part.level)
    const added = forest.nodes.added.length
    forest.nodes.reads = 0
    expect(await all(diff(forest.nodes, part, more))).toHaveLength(19_000)
    expect(forest.nodes.reads).toBeLessThanOrEqual(added + 2)
  })

  it('gives the event loop its turns, even where it finds nothing to tell', async () => {
    const lines = new Map(numbered(3_000))
    const forest = new Forest()
    const stranger = new Forest(undefined, OTHER)
    const a = await forest.plant(lines)
    const b = await stranger.plant(lines)
    for (const [digest, bytes] of stranger.nodes.bytes) forest.nodes.bytes.set(digest, bytes)
    const nodes = forest.nodes.bytes.size
    const turns = await turnsDuring(async () => {
      expect(await all(diff(forest.nodes, a, b))).toEqual([])
    })
    expect(turns).toBeGreaterThanOrEqual(Math.floor(nodes / 32))
  })
})

function differencesOf(before: ReadonlyMap<Key, Buffer>, after: ReadonlyMap<Key, Buffer>): Difference[] {
  return [...new Set([...before.keys(), ...after.keys()])]
    .sort((a, b) => (a < b ? -1 : 1))
    .map((key) => ({ key, before: before.get(key), after: after.get(key) }))
    .filter((difference) => difference.before?.toString() !== difference.after?.toString())
}
