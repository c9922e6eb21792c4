/**
 * A replica becomes what its origin is: the whole path from an empty folder, over real stores.
 */
import { describe, expect, it } from 'vitest'
import { failure } from '../../src/model/errors.ts'
import type { Generation } from '../../src/model/generation.ts'
import type { ProgressReport } from '../../src/replica/progress.ts'
import { type Engine, engine, published, type Wished } from '../depot/an-engine.ts'
import { askedTwice, expectEqual, following, publishedAll, publishedLarge, replica } from './a-replica.ts'
import { InProcess } from './an-upstream.ts'

const LARGE = Buffer.from('large '.repeat(40_000))

function many(count: number, version: string): readonly Wished[] {
  return Array.from({ length: count }, (_, at) => ({
    name: `release-${at}`,
    version,
    files: { 'a.txt': `${at} ${version}`, LICENSE: 'free' },
  }))
}

async function caughtUp(
  at: Engine,
  upstream: InProcess,
  generation: Generation,
): Promise<readonly unknown[]> {
  await using follows = following(at, upstream, { room: FULL })
  await follows.shows(generation)
  return follows.failures
}

/** So that nothing is copied that was passed over: this is about the way to the head. */
const FULL = {
  demand: async (needed: number): Promise<void> => {
    await Promise.reject(failure('disk-full', { free: 0, needed }))
  },
}

describe('an empty folder', () => {
  it('has no head before it has copied one, and then is what the origin is', async () => {
    await using origin = await engine()
    await published(origin, { channel: 'other', name: 'x' })
    await publishedLarge(origin, '1.0.0', LARGE)
    const head = await publishedAll(origin, 'stable', many(200, '1.0.0'))
    await using at = await replica()
    expect(() => at.depot.head.now()).toThrow(expect.objectContaining({ code: 'booting' }))
    const upstream = new InProcess(origin)
    const twice = askedTwice(at, upstream)
    expect(await caughtUp(at, upstream, head)).toEqual([])
    expect(twice).toEqual([])
    await expectEqual(at, origin, head)
  })

  it('becomes a replica of a depot in which there is nothing', async () => {
    await using origin = await engine()
    await using at = await replica()
    expect(await caughtUp(at, new InProcess(origin), origin.depot.head.now())).toEqual([])
    await expectEqual(at, origin, origin.depot.head.now())
  })

  it('copies a manifest that is too large for a batch, and 3,000 files of one release', async () => {
    await using origin = await engine()
    const files = Object.fromEntries(
      Array.from({ length: 3_000 }, (_, at) => [`folder/with/a/long/name/file-${at}.txt`, `${at}`]),
    )
    const head = await published(origin, { files })
    await using at = await replica()
    const upstream = new InProcess(origin)
    const twice = askedTwice(at, upstream)
    expect(await caughtUp(at, upstream, head)).toEqual([])
    await expectEqual(at, origin, head)
    expect(twice).toEqual([])
    expect(upstream.count('blob')).toBe(1)
  })
})

describe('a replica that is 100 generations behind', () => {
  it('is caught up by one difference, in a few requests, and knows the records of all', async () => {
    await using origin = await engine()
    await using at = await replica()
    const first = await publishedAll(origin, 'stable', many(300, '1.0.0'))
    await caughtUp(at, new InProcess(origin), first)
    const between: Generation[] = []
    for (let time = 0; time < 100; time += 1)
      between.push(await published(origin, { name: `release-${time}`, version: '2.0.0' }))
    const head = between.at(-1)!
    const upstream = new InProcess(origin)
    const twice = askedTwice(at, upstream)
    expect(await caughtUp(at, upstream, head)).toEqual([])
    await expectEqual(at, origin, head)
    expect(twice).toEqual([])
    const counts = (['head', 'log', 'lineages', 'nodes', 'blobs', 'blob'] as const).map(
      (kind) => `${kind} ${upstream.count(kind)}`,
    )
    // The second watch waits. Blobs: the metaset, the manifests; the file of all is the same and is here.
    // How many levels the trees have is up to the salt.
    const nodes = expect.stringMatching(/^nodes [1-4]$/) as string
    expect(counts).toEqual(['head 2', 'log 1', 'lineages 0', nodes, 'blobs 3', 'blob 0'])
    // Who copies the head into an empty folder asks for all that it names: nothing else was asked for.
    await using empty = await replica()
    const whole = new InProcess(origin)
    await caughtUp(empty, whole, head)
    const named = new Set(whole.requests.flatMap(({ digests }) => digests))
    const asked = upstream.requests.flatMap(({ digests }) => digests)
    expect(asked.length).toBeGreaterThan(100)
    expect(named.has(between[41]!.record.metaset)).toBe(false)
    expect(asked.filter((digest) => !named.has(digest))).toEqual([])
    const generations = at.stores.ledger.generations
    expect(generations.get(between[41]!.gid)).toEqual(between[41])
    expect(generations.isHeld(between[41]!.gid)).toBe(false)
    expect(generations.isHeld(first.gid)).toBe(true)
  })

  it('asks for nothing but the metaset and the records when a channel is cloned or a release marked', async () => {
    await using origin = await engine()
    await using at = await replica()
    await caughtUp(at, new InProcess(origin), await publishedAll(origin, 'stable', many(100, '1.0.0')))
    const head = await published(origin, {
      name: 'release-1',
      version: '1.0.0',
      channel: 'other',
      files: { 'a.txt': '1 1.0.0', LICENSE: 'free' },
    })
    const upstream = new InProcess(origin)
    expect(await caughtUp(at, upstream, head)).toEqual([])
    await expectEqual(at, origin, head)
    expect(upstream.requests.filter(({ kind }) => kind === 'blobs')).toHaveLength(1)
  })
})

describe('what a replica reports', () => {
  it('is how much is needed and how much of it is here, all of it in the end', async () => {
    await using origin = await engine()
    await publishedAll(origin, 'stable', many(200, '1.0.0'))
    const head = await publishedLarge(origin, '1.0.0', LARGE)
    await using at = await replica()
    const { promise: shown, resolve } = Promise.withResolvers<ProgressReport>()
    await using follows = following(at, new InProcess(origin), {
      events: { shown: (_, report) => resolve(report) },
    })
    const { gid, ...tallies } = await shown
    expect(gid).toBe(head.gid)
    expect(tallies).toMatchObject({
      manifests: { needed: 201 },
      files: { needed: 202, neededBytes: LARGE.length + 1_694 },
    })
    for (const { needed, done, neededBytes, doneBytes } of Object.values(tallies))
      expect([done, doneBytes]).toEqual([needed, neededBytes])
    expect(follows.follower.state()).toMatchObject({
      known: head.gid,
      isDiverged: false,
      progress: undefined,
    })
  })
})
