/**
 * Editing: whatever the order, the same set is the same tree, and only what was touched is made anew.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { keyHasher, parseSalt, startsNode } from '../../src/metaset/boundary.ts'
import { type Key, keyOf, partsOfKey } from '../../src/metaset/key.ts'
import { leaves } from '../../src/metaset/read.ts'
import type { Edit } from '../../src/metaset/source.ts'
import { EMPTY_TREE, type Tree } from '../../src/metaset/tree.ts'
import { entry, Forest, nodesOf, numbered, SALT, sorted } from './memory-nodes.ts'
import { reference } from './reference.ts'
import { applied, editsOf, shapes, stepsOf } from './universe.ts'

type Lines = ReadonlyMap<Key, Buffer>

describe('a tree', () => {
  it('is the one that DESIGN describes after every edit, and no node is made in vain', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, stepsOf(10), async (shape, steps) => {
        const forest = new Forest(shape)
        let model: Lines = new Map<Key, Buffer>()
        let tree = EMPTY_TREE
        let before = new Set<string>()
        for (const step of steps) {
          const edits = editsOf(step)
          tree = await forest.edit(tree, edits)
          model = applied(model, edits)
          const expected = reference(model, SALT, shape)
          expect(tree).toEqual(expected.tree)
          const after = await nodesOf(forest.nodes, tree)
          expect(after).toEqual(new Set(model.size === 0 ? [] : expected.nodes.keys()))
          expect(forest.nodes.added.toSorted()).toEqual([...after].filter((node) => !before.has(node)).sort())
          before = after
        }
      }),
      { numRuns: 100 },
    )
  })

  it('is that also when one edit leaves little of it, here and there', async () => {
    const all = numbered(40)
    await fc.assert(
      fc.asyncProperty(
        shapes,
        fc.subarray(all),
        fc.subarray(all),
        fc.subarray(all),
        async (shape, some, kept, touched) => {
          const before = new Map(some)
          const stays = new Set(kept.map(([key]) => key))
          const forest = new Forest(shape)
          const tree = await forest.plant(before)
          const had = await nodesOf(forest.nodes, tree)
          const gone = some.filter(([key]) => !stays.has(key)).map(([key]) => [key, undefined] as const)
          const changed = touched.filter(([key]) => stays.has(key)).map(([key]) => changedEntry(key))
          const edits = sorted([...gone, ...changed])
          const edited = await forest.edit(tree, edits)
          const expected = reference(applied(before, edits), SALT, shape)
          expect(edited).toEqual(expected.tree)
          const has = await nodesOf(forest.nodes, edited)
          expect(forest.nodes.added.toSorted()).toEqual([...has].filter((node) => !had.has(node)).sort())
        },
      ),
      { numRuns: 1_000 },
    )
  })

  it.each(['00', '11', '22', '33', '44'])('is that whatever its ends lose, with salt %s', async (byte) => {
    const salt = parseSalt(byte.repeat(16))
    const shape = { bits: 1, most: 5 }
    const lines = numbered(20)
    const keys = lines.map(([key]) => key)
    const forest = new Forest(shape, salt)
    const tree = await forest.plant(new Map(lines))
    for (let from = 0; from <= keys.length; from += 1) {
      for (let until = from; until <= keys.length; until += 1) {
        const head = keys.slice(0, from).map((key) => [key, undefined] as const)
        const tail = keys.slice(until).map((key) => [key, undefined] as const)
        const touched = keys.slice(until, until + 1).map((key) => changedEntry(key))
        for (const edits of [sorted([...head, ...tail]), sorted([...head, ...touched])]) {
          const edited = await forest.edit(tree, edits)
          expect(edited).toEqual(reference(applied(new Map(lines), edits), salt, shape).tree)
        }
      }
    }
  })

  it('is the same in whatever order and batches its lines came', async () => {
    const lines = numbered(3_000)
    const forest = new Forest()
    const { root } = await forest.plant(new Map(lines))
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(6), { minLength: 3_000, maxLength: 3_000 }), async (batchOf) => {
        const batches: (typeof lines)[] = [[], [], [], [], [], [], []]
        for (const [at, line] of lines.entries()) batches[batchOf[at]!]!.push(line)
        let tree = EMPTY_TREE
        for (const batch of batches) tree = await forest.edit(tree, sorted(batch))
        expect(tree.root).toBe(root)
      }),
      { numRuns: 10 },
    )
  })

  it('shrinks back to the empty tree, and grows again', async () => {
    const forest = new Forest()
    const lines = numbered(5_000)
    const full = await forest.plant(new Map(lines))
    expect(full.level).toBe(2)
    const one = await forest.edit(full, sorted(lines.slice(1).map(([key]) => [key, undefined])))
    expect(one).toEqual(reference(new Map(lines.slice(0, 1)), SALT).tree)
    const none = await forest.edit(one, [{ key: lines[0]![0], line: undefined }])
    expect(none).toEqual(EMPTY_TREE)
    expect(forest.nodes.added).toEqual([])
    expect(await forest.edit(none, sorted(lines))).toEqual(full)
  })

  it('has the count, the length and the checksum of its leaves, one after the other', async () => {
    const forest = new Forest()
    const lines = new Map(numbered(7_000))
    const tree = await forest.plant(lines)
    const catalog: Buffer[] = []
    for await (const leaf of leaves(forest.nodes, tree)) catalog.push(forest.nodes.node(leaf.root, 1).bytes)
    expect(Buffer.concat(catalog).equals(Buffer.concat(sorted(lines).map(({ line }) => line!)))).toBe(true)
    expect(tree).toEqual(reference(lines, SALT).tree)
    expect(tree.count).toBe(7_000)
  })
})

describe('an edit', () => {
  it('makes only the nodes on the paths that it touches', async () => {
    const forest = new Forest()
    const tree = await forest.plant(new Map(numbered(20_000)))
    const touched = await forest.edit(tree, sorted([entry('package-7777', '1.0.0', 'changed')]))
    expect(touched.root).not.toBe(tree.root)
    expect(forest.nodes.added).toHaveLength(tree.level)
    expect(forest.nodes.reads).toBeLessThanOrEqual(2 * tree.level)
  })

  it('that changes nothing gives the same tree and makes no node', async () => {
    const forest = new Forest()
    const lines = numbered(2_000)
    const tree = await forest.plant(new Map(lines))
    const same = [...lines.slice(100, 900), [keyOf('absent', '1.0.0'), undefined]] as const
    expect(await forest.edit(tree, sorted(same))).toBe(tree)
    expect(await forest.edit(tree, [])).toBe(tree)
    expect(await forest.edit(EMPTY_TREE, [{ key: keyOf('absent', '1.0.0'), line: undefined }])).toBe(
      EMPTY_TREE,
    )
    expect(forest.nodes.added).toEqual([])
  })

  it('tells what stood under every key before, in order', async () => {
    const forest = new Forest()
    const lines = numbered(1_000)
    const tree = await forest.plant(new Map(lines))
    const edits = sorted([
      lines[10]!,
      [lines[20]![0], undefined],
      entry('package-0030', '1.0.0', 'changed'),
      entry('absent', '1.0.0'),
      [keyOf('nothing', '1.0.0'), undefined],
    ])
    const told: (readonly [Key, string | undefined, Buffer | undefined])[] = []
    await forest.edit(tree, edits, {
      onEdit: (key, before, after) => told.push([key, before?.toString(), after]),
    })
    const known = new Map(lines)
    expect(told).toEqual(edits.map(({ key, line }) => [key, known.get(key)?.toString(), line]))
  })

  it('stops, and closes where its edits come from, when the listener objects', async () => {
    const forest = new Forest()
    let closed = false
    async function* source(): AsyncGenerator<Edit> {
      try {
        for (const [key, line] of numbered(100)) yield { key, line }
      } finally {
        closed = true
      }
    }
    const onEdit = (key: Key): void => {
      if (key.startsWith('package-0050')) throw new Error('bound to other bytes')
    }
    await expect(forest.edit(EMPTY_TREE, source(), { onEdit })).rejects.toThrow('bound to other bytes')
    expect(closed).toBe(true)
  })

  it('takes edits from an async source as from any other', async () => {
    const forest = new Forest()
    const lines = numbered(3_000)
    async function* source(): AsyncGenerator<Edit> {
      for (const [key, line] of lines) yield { key, line }
    }
    expect(await forest.edit(EMPTY_TREE, source())).toEqual(await forest.plant(new Map(lines)))
  })

  it('refuses edits that are out of order, or twice for one key', async () => {
    const forest = new Forest()
    const [a, b] = numbered(2).map(([key, line]) => ({ key, line })) as [Edit, Edit]
    await expect(forest.edit(EMPTY_TREE, [b, a])).rejects.toThrow('sorted by key')
    await expect(forest.edit(EMPTY_TREE, [a, a])).rejects.toThrow('sorted by key')
  })

  it('waits for the sink, so that few nodes are under way', async () => {
    const forest = new Forest()
    let pending = 0
    const sink = {
      add: async (digest: Tree['root'], bytes: Buffer): Promise<void> => {
        pending += 1
        expect(pending).toBe(1)
        await new Promise((resolve) => setImmediate(resolve))
        forest.nodes.add(digest, bytes)
        pending -= 1
      },
    }
    const tree = await forest.edit(EMPTY_TREE, sorted(numbered(5_000)), { sink })
    expect(tree).toEqual(await forest.plant(new Map(numbered(5_000))))
  })

  it('hands children to the sink before their parents', async () => {
    const forest = new Forest()
    const tree = await forest.plant(new Map(numbered(5_000)))
    const place = new Map(forest.nodes.added.map((digest, at) => [digest, at]))
    async function check(parent: Tree): Promise<void> {
      if (parent.level === 1) return
      const node = forest.nodes.node(parent.root, parent.level)
      for (let at = 0; at < node.length; at += 1) {
        expect(place.get(node.child(at).root)).toBeLessThan(place.get(parent.root)!)
        await check(node.child(at))
      }
    }
    await check(tree)
  })

  it('gives the event loop its turns, in many edits and in many nodes', async () => {
    const forest = new Forest()
    let breaths = 0
    const slices = {
      breathe: () => {
        breaths += 1
        return breaths % 100 === 0 ? Promise.resolve() : undefined
      },
    }
    const tree = await forest.edit(EMPTY_TREE, sorted(numbered(20_000)), { slices })
    expect(breaths).toBeGreaterThan(20_000 / 64)
    breaths = 0
    await forest.edit(
      tree,
      sorted(numbered(20_000).map(([key], at) => [key, at % 64 === 0 ? undefined : Buffer.from(`${key}\n`)])),
      { slices },
    )
    expect(breaths).toBeGreaterThan(20_000 / 64 + forest.nodes.reads)
  })
})

describe('a run of more than 512 keys', () => {
  const hashOf = keyHasher(SALT)
  const wide = numbered(6_000).filter(([key]) => !startsNode(hashOf(key), 1, { bits: 6, most: 512 }))

  it('is cut, the same way whatever the order of edits', async () => {
    const forest = new Forest()
    const lines = new Map(wide.slice(0, 4_000))
    const tree = await forest.plant(lines)
    expect(tree).toEqual(reference(lines, SALT).tree)
    for await (const leaf of leaves(forest.nodes, tree)) {
      expect(leaf.count).toBeLessThanOrEqual(512)
      expect(leaf.count).toBeGreaterThanOrEqual(128)
    }
    const [even, odd] = [0, 1].map((rest) => wide.slice(0, 4_000).filter((_, at) => at % 2 === rest))
    const half = await forest.edit(EMPTY_TREE, sorted(even!))
    expect(await forest.edit(half, sorted(odd!))).toEqual(tree)
    expect(await forest.edit(tree, sorted(odd!.map(([key]) => [key, undefined])))).toEqual(half)
  })

  it('is one leaf again when enough is removed, and two at the 513th key', async () => {
    const forest = new Forest()
    const most = await forest.plant(new Map(wide.slice(0, 512)))
    expect(most.level).toBe(1)
    const more = await forest.edit(most, sorted(wide.slice(512, 513)))
    expect(more.level).toBe(2)
    expect(forest.nodes.added).toHaveLength(3)
    expect(await forest.edit(more, [{ key: wide[100]![0], line: undefined }])).toEqual(
      reference(new Map(wide.slice(0, 513).filter((_, at) => at !== 100)), SALT).tree,
    )
  })

  it('stays flat when hashes were chosen to rise with the keys', async () => {
    const shape = { bits: 6, most: 16 }
    const count = 400
    const lines = Array.from({ length: count }, (_, at) => {
      for (let nonce = 0; ; nonce += 1) {
        const line = entry(`package-${String(at).padStart(4, '0')}-${nonce}`, '1.0.0')
        const share = Buffer.from(hashOf(line[0]), 'latin1').readUInt32BE() / 2 ** 32
        if (Math.floor(((share - 1 / 64) / (1 - 1 / 64)) * count) === at) return line
      }
    })
    const forest = new Forest(shape)
    const tree = await forest.plant(new Map(lines))
    expect(tree).toEqual(reference(new Map(lines), SALT, shape).tree)
    expect(tree.level).toBeLessThanOrEqual(4)
    expect(forest.nodes.added.length).toBeLessThan(count / 3)
  })
})

function changedEntry(key: Key): readonly [Key, Buffer] {
  const { name, version } = partsOfKey(key)
  return entry(name, version, 'changed')
}
