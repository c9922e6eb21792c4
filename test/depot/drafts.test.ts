/**
 * Plans that are kept while a stage is filled: whatever was planned before, a plan is the one that would be made from
 * all rows at once, its nodes are durable when it says so, and nothing else was written for it.
 */
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { Budget, DraftNodes } from '../../src/depot/commit/draft-nodes.ts'
import { Drafts, type DraftsParts } from '../../src/depot/commit/drafts.ts'
import { encodeChange } from '../../src/depot/stage/change.ts'
import type { ChangeRow, Stage } from '../../src/ledger/ledger.ts'
import { type Key, keyOf } from '../../src/metaset/key.ts'
import type { Metaset } from '../../src/metaset/metaset.ts'
import { TreeNode } from '../../src/metaset/node.ts'
import { entries } from '../../src/metaset/read.ts'
import type { Release } from '../../src/metaset/release.ts'
import type { Tree } from '../../src/metaset/tree.ts'
import { type Digest, digestOf } from '../../src/model/digest.ts'
import { DepotError } from '../../src/model/errors.ts'
import type { ReleaseName } from '../../src/model/name.ts'
import type { Version } from '../../src/model/version.ts'
import type { Nodes, PackedNode, PlainNode } from '../../src/pool/pool.ts'
import { commit, type Engine, engine, open } from './an-engine.ts'

const NAMES = 3_000
const CHANNELS = ['one', 'two']

let at: Engine

beforeAll(async () => {
  at = await engine()
  // Every other name is there already.
  await othersCommit(Array.from({ length: NAMES / 2 }, (_, half) => put('one', 2 * half, 0)))
})
afterAll(async () => {
  await at[Symbol.asyncDispose]()
})

function nameAt(name: number): ReleaseName {
  return `name-${String(name).padStart(4, '0')}` as ReleaseName
}

function keyAt(name: number): Key {
  return keyOf(nameAt(name), '1.0.0' as Version)
}

/** Manifests differ where `variant` does. */
function put(channel: string, name: number, variant: number): ChangeRow {
  const release: Release = {
    name: nameAt(name),
    version: '1.0.0' as Version,
    manifest: digestOf(`${name} ${variant}`),
    size: variant,
  }
  return { channel, key: keyAt(name), value: encodeChange({ kind: 'line', release }) }
}

function remove(channel: string, name: number): ChangeRow {
  return { channel, key: keyAt(name), value: encodeChange({ kind: 'remove' }) }
}

function unstage(channel: string, name: number): ChangeRow {
  return { channel, key: keyAt(name), value: undefined }
}

function setUp(channel: string, frozen: boolean): ChangeRow {
  return { channel, key: '', value: encodeChange({ kind: 'settings', format: 'semver', frozen }) }
}

async function othersCommit(rows: readonly ChangeRow[]): Promise<void> {
  const stage = await open(at, at.admin)
  await at.stores.ledger.changes.write(stage.id, rows)
  await commit(at, at.admin, stage)
}

function draftsOver(more: Partial<DraftsParts> = {}): Drafts {
  const { ledger, reader, nodes, views, head, clock } = at.depot
  const log = { warn: (fields: object) => told.push(fields) }
  return new Drafts({ ledger, reader, nodes, views, head, clock, log, ...more })
}

/** What the log was told; nothing is to be told. */
const told: object[] = []

/** The metaset, or the conflicts in order. */
async function resultOf(planning: Promise<{ readonly metaset: Metaset }>): Promise<unknown> {
  try {
    return (await planning).metaset
  } catch (error) {
    if (error instanceof DepotError && error.code === 'conflict') return error.details
    throw error
  }
}

/** Reads every node below the trees of a metaset from the disk. */
async function digestsOnDisk({ channels }: Metaset): Promise<ReadonlySet<Digest>> {
  const digests = new Set<Digest>()
  const reader = {
    node: async (digest: Digest, level: number) => {
      digests.add(digest)
      return new TreeNode(await at.depot.nodes.read(digest), level)
    },
  }
  const all: readonly Tree[] = Object.values(channels).flatMap(({ releases, bound }) => [releases, bound])
  for (const tree of all) for await (const _ of entries(reader, tree));
  return digests
}

const channel = fc.constantFrom(...CHANNELS)
const name = fc.integer({ min: 0, max: NAMES - 1 })
const row = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(channel, name, fc.integer({ min: 0, max: 2 })).map((all) => put(...all)) },
  { weight: 2, arbitrary: fc.tuple(channel, name).map((both) => remove(...both)) },
  { weight: 2, arbitrary: fc.tuple(channel, name).map((both) => unstage(...both)) },
)
const rows = fc.array(row, { minLength: 1, maxLength: 120 })
/** Of names that are not bound to anything else, so that the plan succeeds. */
function ownRowsOf(where: fc.Arbitrary<string>): fc.Arbitrary<readonly ChangeRow[]> {
  const ownRow = fc
    .tuple(where, name)
    .chain((both) => fc.constantFrom(put(...both, 0), remove(...both), unstage(...both)))
  return fc.array(ownRow, { minLength: 1, maxLength: 120 })
}
const stepsWith = (some: fc.Arbitrary<readonly ChangeRow[]>): fc.Arbitrary<readonly Step[]> =>
  fc.array(
    fc.oneof(
      { weight: 4, arbitrary: some.map((all): Step => ({ kind: 'stage', rows: all })) },
      { weight: 3, arbitrary: fc.constant<Step>({ kind: 'plan' }) },
      { weight: 1, arbitrary: some.map((all): Step => ({ kind: 'others', rows: all })) },
      {
        weight: 1,
        arbitrary: fc.boolean().map((frozen): Step => ({ kind: 'stage', rows: [setUp('two', frozen)] })),
      },
    ),
    { minLength: 2, maxLength: 9 },
  )

interface Step {
  readonly kind: 'stage' | 'plan' | 'others'
  readonly rows?: readonly ChangeRow[]
}

async function take(drafts: Drafts, stage: Stage, { kind, rows: some = [] }: Step): Promise<void> {
  if (kind === 'stage') await drafts.watching(at.stores.ledger.changes).write(stage.id, some)
  else if (kind === 'plan') await resultOf(drafts.plan(stage, 'upload'))
  // Some of what others do is refused, as their names are bound already or their channel is frozen.
  else await resultOf(othersCommit(some).then(() => ({ metaset: at.depot.head.now() as never })))
}

describe('a plan that was kept', () => {
  it('is the plan from all rows, or has the same conflicts, whatever came before', async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(stepsWith(rows), stepsWith(ownRowsOf(channel))), async (steps) => {
        const stage = await open(at, at.admin)
        const drafts = draftsOver()
        for (const step of steps) await take(drafts, stage, step)
        const planned = await resultOf(drafts.plan(stage, 'upload'))
        expect(planned).toEqual(await resultOf(draftsOver().plan(stage, 'upload')))
        await drafts.close()
        await at.depot.stages.abort(at.admin, stage.id)
      }),
      { numRuns: 50, endOnFailure: true },
    )
  })

  it('misses no row that is written while it is made', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(ownRowsOf(fc.constantFrom('six', 'seven')), { minLength: 2, maxLength: 6 }),
        fc.scheduler(),
        async (writes, order) => {
          const stage = await open(at, at.admin)
          const drafts = draftsOver()
          const changes = drafts.watching(at.stores.ledger.changes)
          const acts = writes.flatMap((some) => [
            order.schedule(Promise.resolve('write')).then(async () => await changes.write(stage.id, some)),
            order
              .schedule(Promise.resolve('plan'))
              .then(async () => await resultOf(drafts.plan(stage, 'upload'))),
          ])
          await Promise.all([order.waitIdle(), ...acts])
          const { metaset, edition } = await drafts.plan(stage, 'upload')
          expect(edition).toBe(at.stores.ledger.stages.get(stage.id)?.edition)
          expect(metaset).toEqual((await draftsOver().plan(stage, 'upload')).metaset)
          await drafts.close()
          await at.depot.stages.abort(at.admin, stage.id)
        },
      ),
      { numRuns: 25 },
    )
  })

  it('writes the nodes that it needs, and few that it does not', async () => {
    const written: PackedNode[] = []
    const drafts = draftsOver({ nodes: watched(at.depot.nodes, { written }) })
    const stage = await open(at, at.admin)
    const changes = drafts.watching(at.stores.ledger.changes)
    // Each batch goes everywhere in the tree, so that what was planned for it is soon of no use.
    for (let batch = 0; batch < 20; batch += 1) {
      await changes.write(
        stage.id,
        Array.from({ length: 100 }, (_, one) => put('three', 20 * one + batch, 0)),
      )
      await drafts.idle()
    }
    const { metaset } = await drafts.plan(stage, 'upload')
    const needed = await digestsOnDisk({ ...metaset, channels: { three: metaset.channels['three']! } })
    const all = new Set(written.map(({ digest }) => digest))
    expect([...needed].filter((digest) => !all.has(digest))).toEqual([])
    expect(all.size).toBeLessThan(1.5 * needed.size)
  })

  it('is made ahead, so that the commit finds little to do', async () => {
    const packed: Digest[] = []
    const drafts = draftsOver({ nodes: watched(at.depot.nodes, { packed }) })
    const stage = await open(at, at.admin)
    const changes = drafts.watching(at.stores.ledger.changes)
    for (let name = 0; name < 1_500; name += 1) {
      await changes.write(stage.id, [put('four', name, 0)])
      await drafts.idle()
    }
    const ahead = packed.splice(0).length
    const { metaset } = await drafts.plan(stage, 'commit')
    // What came after the last round is one row in sixteen, at one end of the tree.
    const needed = await digestsOnDisk({ ...metaset, channels: { four: metaset.channels['four']! } })
    expect(ahead).toBeGreaterThan(needed.size)
    expect(packed.length).toBeLessThan(needed.size / 2)
    await drafts.close()
  })

  it('goes to the disk when plans hold too much in memory, and is the same', async () => {
    const stage = await open(at, at.admin)
    const drafts = draftsOver({ budgetBytes: 5_000 })
    const changes = drafts.watching(at.stores.ledger.changes)
    for (let batch = 0; batch < 5; batch += 1) {
      await changes.write(
        stage.id,
        Array.from({ length: 200 }, (_, one) => put('five', 5 * one + batch, 0)),
      )
      await drafts.idle()
    }
    const { metaset } = await drafts.plan(stage, 'upload')
    expect(metaset).toEqual((await draftsOver().plan(stage, 'upload')).metaset)
    await digestsOnDisk(metaset)
    await drafts.close()
  })
})

describe('a plan that is dropped for want of room', () => {
  it('while somebody waits for it, misses no row that comes after', async () => {
    const blocked = Promise.withResolvers<void>()
    const nodes: DraftsParts['nodes'] = {
      pack: async (plain) => {
        await blocked.promise
        return await at.depot.nodes.pack(plain)
      },
      keep: async (some, purpose) => await at.depot.nodes.keep(some, purpose),
    }
    const drafts = draftsOver({ nodes, most: 1 })
    const changes = drafts.watching(at.stores.ledger.changes)
    const [stage, other] = [await open(at, at.admin), await open(at, at.admin)]
    await changes.write(
      stage.id,
      Array.from({ length: 100 }, (_, name) => put('eight', name, 0)),
    )
    // It is being planned ahead, and cannot go on; the commit waits behind that.
    const planned = drafts.plan(stage, 'commit')
    await changes.write(other.id, [put('nine', 0, 0)])
    await changes.write(stage.id, [put('eight', 1_000, 0)])
    blocked.resolve()
    const { metaset, edition } = await planned
    expect(edition).toBe(at.stores.ledger.stages.get(stage.id)?.edition)
    expect(metaset).toEqual((await draftsOver().plan(stage, 'upload')).metaset)
    await drafts.close()
  })
})

describe('the nodes of a plan', () => {
  it('take from the reserve only for a commit, also when there are too many to hold', async () => {
    const purposes: string[] = []
    const nodes: DraftsParts['nodes'] = {
      pack: async (plain) => await at.depot.nodes.pack(plain),
      keep: async (some, purpose) => {
        purposes.push(purpose)
        await at.depot.nodes.keep(some, purpose)
      },
    }
    const drafts = draftsOver({ nodes, budgetBytes: 1_000 })
    const stage = await open(at, at.admin)
    const changes = drafts.watching(at.stores.ledger.changes)
    await changes.write(
      stage.id,
      Array.from({ length: 500 }, (_, name) => put('ten', name, 0)),
    )
    await drafts.idle()
    await changes.write(stage.id, [put('ten', 1_000, 0)])
    await drafts.plan(stage, 'upload')
    expect(new Set(purposes)).toEqual(new Set(['upload']))
    await changes.write(stage.id, [put('ten', 1_001, 0)])
    await drafts.plan(stage, 'commit')
    expect(purposes.at(-1)).toBe('commit')
    await drafts.close()
  })

  it('are all given back when a plan fails in the middle', async () => {
    const budget = new Budget(1_000_000_000)
    const { reader, clock } = at.depot
    const failing = new DraftNodes({
      budget,
      reader,
      clock,
      nodes: {
        pack: async (plain) => await at.depot.nodes.pack(plain),
        keep: async () => await Promise.reject(new Error('the disk is gone')),
      },
    })
    const plain = (text: string): PlainNode => ({ digest: digestOf(text), bytes: Buffer.from(text) })
    const adding = [failing.add([plain('a')], 'upload'), failing.add([plain('b')], 'upload')]
    await failing.clear()
    await Promise.all(adding)
    expect(budget.used).toBe(0)
  })
})

afterEach(() => {
  expect(told).toEqual([])
})

/** The same nodes; what is packed and what is written is told. */
function watched(
  nodes: Nodes,
  { packed = [], written = [] }: { readonly packed?: Digest[]; readonly written?: PackedNode[] },
): Nodes {
  return {
    has: (digest) => nodes.has(digest),
    read: async (digest) => await nodes.read(digest),
    segment: (digest) => nodes.segment(digest),
    lent: (digest) => nodes.lent(digest),
    pack: async (plain) => {
      packed.push(...plain.map(({ digest }) => digest))
      return await nodes.pack(plain)
    },
    keep: async (some, purpose) => {
      written.push(...some)
      await nodes.keep(some, purpose)
    },
    list: (after) => nodes.list(after),
  }
}
