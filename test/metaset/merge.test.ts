/**
 * Merging two sides of one base, and telling where they disagree.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Key } from '../../src/metaset/key.ts'
import { type Conflict, conflicts, merge } from '../../src/metaset/merge.ts'
import { EMPTY_TREE } from '../../src/metaset/tree.ts'
import { all, entry, Forest, numbered, sorted, turnsDuring } from './memory-nodes.ts'
import { applied, editsOf, shapes, stepsOf } from './universe.ts'

type Lines = ReadonlyMap<Key, Buffer>

const NONE: Lines = new Map<Key, Buffer>()

describe('merging', () => {
  it('takes what they changed, and reports what both changed otherwise', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, stepsOf(3), stepsOf(2), stepsOf(2), async (shape, ...steps) => {
        const forest = new Forest(shape)
        const base = applied(NONE, steps[0].flatMap(editsOf))
        const ours = applied(base, steps[1].flatMap(editsOf))
        const theirs = applied(base, steps[2].flatMap(editsOf))
        const trees = [
          await forest.plant(base),
          await forest.plant(ours),
          await forest.plant(theirs),
        ] as const
        const merged = await all(merge(forest.nodes, ...trees))
        expect(merged.filter(({ kind }) => kind === 'conflict')).toEqual(conflictsOf(base, ours, theirs))
        const edits = merged.filter((item) => item.kind === 'edit')
        const tree = await forest.edit(trees[1], edits)
        expect(await forest.lines(tree)).toEqual(mergedOf(base, ours, theirs))
      }),
      { numRuns: 100 },
    )
  })

  it('reads nothing when one side has not moved', async () => {
    const forest = new Forest()
    const base = await forest.plant(new Map(numbered(1_000)))
    const moved = await forest.edit(base, sorted([entry('more', '1.0.0')]))
    forest.nodes.reads = 0
    expect(await all(merge(forest.nodes, base, moved, base))).toEqual([])
    expect(await all(merge(forest.nodes, base, moved, moved))).toEqual([])
    expect(forest.nodes.reads).toBe(0)
  })
})

describe('the conflicts of a stage', () => {
  it('are the edits whose line moved since, to something else than the edit makes it', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, stepsOf(3), stepsOf(2), stepsOf(2), async (shape, ...steps) => {
        const forest = new Forest(shape)
        const base = applied(NONE, steps[0].flatMap(editsOf))
        const head = applied(base, steps[2].flatMap(editsOf))
        const edits = sorted(steps[1].flatMap(editsOf).map(({ key, line }) => [key, line]))
        const trees = [await forest.plant(base), await forest.plant(head)] as const
        const found = await all(conflicts(forest.nodes, ...trees, edits))
        const touched = new Set(edits.map(({ key }) => key))
        const ours = applied(base, edits)
        const expected = [...touched]
          .filter((key) => !same(base.get(key), head.get(key)) && !same(ours.get(key), head.get(key)))
          .map((key) => conflictOf(key, base, ours, head))
        expect(found).toEqual(expected)
      }),
      { numRuns: 100 },
    )
  })

  it('are looked for only where the edits are', async () => {
    const forest = new Forest()
    const lines = numbered(20_000)
    const base = await forest.plant(new Map(lines))
    const head = await forest.edit(
      base,
      sorted(lines.filter((_, at) => at % 50 === 0).map(([key]) => [key, undefined])),
    )
    forest.nodes.reads = 0
    const edits = sorted([entry('package-00050', '1.0.0', 'x'), entry('package-10001', '1.0.0', 'x')])
    const found = await all(conflicts(forest.nodes, base, head, edits))
    expect(found.map(({ key, theirs }) => [key, theirs])).toEqual([['package-00050\0' + '1.0.0', undefined]])
    expect(forest.nodes.reads).toBeLessThanOrEqual(2 * 2 * base.level)
  })

  it('are none, and nothing is read, when the head has not moved', async () => {
    const forest = new Forest()
    const base = await forest.plant(new Map(numbered(100)))
    forest.nodes.reads = 0
    expect(await all(conflicts(forest.nodes, base, base, sorted(numbered(50))))).toEqual([])
    expect(forest.nodes.reads).toBe(0)
  })

  it('leave the event loop its turns, even where there are none', async () => {
    const forest = new Forest()
    const lines = numbered(10_000)
    const base = await forest.plant(new Map(lines))
    const head = await forest.edit(base, sorted([entry('zebra', '1.0.0')]))
    const turns = await turnsDuring(async () => {
      expect(await all(conflicts(forest.nodes, base, head, sorted(lines)))).toEqual([])
    })
    expect(turns).toBeGreaterThanOrEqual(10_000 / 1_000)
  })

  it('are found where there was no channel before', async () => {
    const forest = new Forest()
    const head = await forest.plant(new Map(numbered(100)))
    const edits = sorted([entry('package-0007', '1.0.0', 'x'), ...numbered(3), entry('new', '1.0.0')])
    const found = await all(conflicts(forest.nodes, EMPTY_TREE, head, edits))
    expect(found.map(({ key, base }) => [key, base])).toEqual([['package-0007\0' + '1.0.0', undefined]])
  })
})

function mergedOf(base: Lines, ours: Lines, theirs: Lines): Lines {
  const moved = [...new Set([...base.keys(), ...theirs.keys()])].filter(
    (key) => !same(base.get(key), theirs.get(key)),
  )
  const taken = moved.filter((key) => same(base.get(key), ours.get(key)))
  const merged = applied(
    ours,
    taken.map((key) => ({ key, line: theirs.get(key) })),
  )
  return new Map([...merged].sort(([a], [b]) => (a < b ? -1 : 1)))
}

function conflictsOf(base: Lines, ours: Lines, theirs: Lines): Conflict[] {
  return [...new Set([...base.keys(), ...ours.keys(), ...theirs.keys()])]
    .sort((a, b) => (a < b ? -1 : 1))
    .map((key) => conflictOf(key, base, ours, theirs))
    .filter((found) => !same(found.base, found.ours) && !same(found.base, found.theirs))
    .filter((found) => !same(found.ours, found.theirs))
}

function conflictOf(key: Key, base: Lines, ours: Lines, theirs: Lines): Conflict {
  return { kind: 'conflict', key, base: base.get(key), ours: ours.get(key), theirs: theirs.get(key) }
}

function same(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a?.toString() === b?.toString()
}
