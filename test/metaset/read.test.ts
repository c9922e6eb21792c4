/**
 * Reading: one release, a range, the leaves; and how little is read for it.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Key, type KeyRange, keyOf } from '../../src/metaset/key.ts'
import { entries, entriesOfName, leaves, lookup, runsOfLeaves } from '../../src/metaset/read.ts'
import { EMPTY_TREE } from '../../src/metaset/tree.ts'
import { all, entry, Forest, numbered, sorted } from './memory-nodes.ts'
import { applied, editsOf, shapes, stepsOf } from './universe.ts'

const planted = fc.record({ shape: shapes, steps: stepsOf(3) }).map(({ shape, steps }) => {
  const edits = steps.flatMap(editsOf)
  return {
    forest: new Forest(shape),
    model: applied(new Map<Key, Buffer>(), edits),
    asked: sorted(edits.map(({ key }) => [key, undefined])),
  }
})

describe('looking a key up', () => {
  it('finds exactly what is there', async () => {
    await fc.assert(
      fc.asyncProperty(planted, async ({ forest, model, asked }) => {
        const tree = await forest.plant(model)
        for (const { key } of asked) expect(await lookup(forest.nodes, tree, key)).toEqual(model.get(key))
        for (const name of ['', 'zz', '\u{1fa00}'])
          expect(await lookup(forest.nodes, tree, keyOf(name, '1.0.0'))).toBeUndefined()
      }),
      { numRuns: 50 },
    )
  })

  it('reads one path', async () => {
    const forest = new Forest()
    const tree = await forest.plant(new Map(numbered(20_000)))
    forest.nodes.reads = 0
    expect(await lookup(forest.nodes, tree, keyOf('package-12345', '1.0.0'))).toEqual(
      entry('package-12345', '1.0.0', 12_345)[1],
    )
    expect(forest.nodes.reads).toBe(tree.level)
  })
})

describe('the entries of a range', () => {
  it('are those of the sorted lines', async () => {
    await fc.assert(
      fc.asyncProperty(planted, fc.nat(), fc.nat(), async ({ forest, model, asked }, a, b) => {
        const tree = await forest.plant(model)
        const range: KeyRange = {
          ...(a % 5 === 0 ? {} : { from: asked[a % asked.length]!.key }),
          ...(b % 5 === 0 ? {} : { until: asked[b % asked.length]!.key }),
        }
        const { from, until } = range
        const expected = sorted(model).filter(
          ({ key }) => (from === undefined || key >= from) && (until === undefined || key < until),
        )
        expect(await all(entries(forest.nodes, tree, range))).toEqual(expected)
      }),
      { numRuns: 100 },
    )
  })

  it('are found without reading what lies before them', async () => {
    const forest = new Forest()
    const tree = await forest.plant(new Map(numbered(20_000)))
    forest.nodes.reads = 0
    const range = { from: keyOf('package-15000', '1.0.0'), until: keyOf('package-15002', '1.0.0') }
    expect(await all(entries(forest.nodes, tree, range))).toHaveLength(2)
    expect(forest.nodes.reads).toBeLessThanOrEqual(tree.level + 1)
  })

  it('of a name are all its versions and nothing else', async () => {
    const forest = new Forest({ bits: 1, most: 4 })
    const names = ['a', 'a-b', 'a/b', 'aa', 'ä', '']
    const model = new Map(
      names.flatMap((name) => ['1.0.0', '1.0.1', '10.0.0', '2.0.0'].map((version) => entry(name, version))),
    )
    const tree = await forest.plant(model)
    for (const name of names) {
      const found = await all(entriesOfName(forest.nodes, tree, name))
      expect(found.map(({ line }) => JSON.parse(line.toString()) as unknown)).toEqual(
        ['1.0.0', '1.0.1', '10.0.0', '2.0.0'].map((version) => ({ name, version, value: '' })),
      )
    }
    expect(await all(entriesOfName(forest.nodes, tree, 'b'))).toEqual([])
  })
})

describe('the leaves', () => {
  it('are named in order without being read', async () => {
    const forest = new Forest()
    const model = new Map(numbered(10_000))
    const tree = await forest.plant(model)
    forest.nodes.reads = 0
    const found = await all(leaves(forest.nodes, tree))
    expect(forest.nodes.reads).toBeLessThan(found.length / 10)
    const catalog = found.map((leaf) => {
      const node = forest.nodes.node(leaf.root, leaf.level)
      expect([node.length, node.bytes.length]).toEqual([leaf.count, leaf.bytes])
      return node.bytes
    })
    expect(Buffer.concat(catalog).equals(Buffer.concat(sorted(model).map(({ line }) => line!)))).toBe(true)
  })

  it('come in runs, one for each of the nodes above them', async () => {
    const forest = new Forest()
    const tree = await forest.plant(new Map(numbered(50_000)))
    const runs = await all(runsOfLeaves(forest.nodes, tree))
    expect(runs.flat()).toEqual(await all(leaves(forest.nodes, tree)))
    expect(runs.length).toBeGreaterThan(1)
    expect(runs.length).toBeLessThan(runs.flat().length / 10)
  })

  it('of one leaf is itself, and of nothing are none', async () => {
    const forest = new Forest()
    const tree = await forest.plant(new Map(numbered(10)))
    forest.nodes.reads = 0
    expect(await all(leaves(forest.nodes, tree))).toEqual([tree])
    expect(await all(leaves(forest.nodes, EMPTY_TREE))).toEqual([])
    expect(await all(entries(forest.nodes, EMPTY_TREE))).toEqual([])
    expect(forest.nodes.reads).toBe(0)
  })
})
