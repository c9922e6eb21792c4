/**
 * A real disk that gets full, in bytes and in inodes (P5): uploads are refused, reading goes on, commits still work,
 * and when there is room again everything does.
 */
import { mkdir, open, rm, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, type TestContext, vi } from 'vitest'
import { type Digest, digestOf } from '../../src/model/digest.ts'
import { LIMITS } from '../../src/model/limits.ts'
import { type DiskStore, openDiskStore } from '../../src/pool/open-disk.ts'
import { realRandom } from '../support/real-world.ts'
import { smallDisk } from '../support/small-disk.ts'
import { type StillClock, stillClock } from '../support/still-clock.ts'
import { collected, inPieces, listed, someBytes } from './bytes.ts'
import { manyNodes, writeNodes } from './texts.ts'

const FULL = { code: 'disk-full' }
const PLENTY = LIMITS.blobBytes
/** The reserve, and 16 MiB beside it. */
const SIZE = 'size=80m'

interface Ground extends AsyncDisposable {
  readonly path: string
  readonly store: DiskStore
  /** Stands still, so that what was measured stays believed. */
  readonly clock: StillClock
}

async function ground(context: TestContext, ...options: readonly string[]): Promise<Ground> {
  const disk = await smallDisk(context, ...options)
  const clock = stillClock()
  const store = await openDiskStore(disk.path, { clock, random: realRandom })
  return {
    path: disk.path,
    store,
    clock,
    [Symbol.asyncDispose]: async () => {
      await store.close()
      await disk[Symbol.asyncDispose]()
    },
  }
}

/** Until it fails; gives what was kept and the failure. */
async function untilFull<Kept>(
  next: (at: number) => Promise<Kept>,
): Promise<{ kept: Kept[]; error: unknown }> {
  const kept: Kept[] = []
  for (let at = 0; ; at += 1) {
    try {
      kept.push(await next(at))
    } catch (error) {
      return { kept, error }
    }
  }
}

/** Somebody else takes all the room there is but for some bytes. */
async function fill(path: string, spare = 0): Promise<string> {
  const filler = join(path, 'filler')
  const file = await open(filler, 'w')
  const { error } = await untilFull(async () => await file.writeFile(Buffer.alloc(65_536)))
  expect(error).toMatchObject({ code: 'ENOSPC' })
  await file.truncate((await file.stat()).size - spare)
  await file.close()
  return filler
}

async function areWhole(store: DiskStore, digests: readonly Digest[]): Promise<void> {
  for (const digest of digests)
    expect(digestOf(await collected((await store.pool.open(digest))!.read()))).toBe(digest)
}

describe('a full disk (P5)', () => {
  const unhandled: unknown[] = []
  const note = (reason: unknown): void => void unhandled.push(reason)

  beforeEach(() => {
    // lmdb-js tells the console of a failed commit, besides its promises.
    vi.spyOn(console, 'error').mockImplementation(() => undefined)
    process.on('unhandledRejection', note)
  })

  afterEach(() => {
    vi.restoreAllMocks()
    process.off('unhandledRejection', note)
    expect(unhandled.splice(0)).toEqual([])
  })

  it('refuses small blobs, keeps serving, and takes them again where others were removed', async (context) => {
    await using found = await ground(context, SIZE)
    const { store } = found
    const batch = (at: number): Uint8Array[] =>
      Array.from({ length: 20 }, (_, i) => someBytes(50_000, `${at} ${i}`))
    const { kept, error } = await untilFull(async (at) => await store.pool.putAll(batch(at)))
    expect(error).toMatchObject(FULL)
    expect(kept.length).toBeGreaterThan(8)
    const { bavail, bsize } = await statfs(found.path)
    expect(bavail * bsize).toBeGreaterThanOrEqual(LIMITS.diskReserveBytes)
    await areWhole(store, kept.flat())
    await expect(store.pool.put(batch(0)[0]!)).resolves.toBeDefined()
    await store.pool.remove(kept.slice(0, 4).flat())
    // The file of LMDB never shrinks, yet there is room in it.
    found.clock.advance(1_000)
    const [fresh] = await store.pool.putAll([someBytes(50_000, 'fresh')])
    await areWhole(store, [fresh!, ...kept.slice(4).flat()])
  })

  it('refuses large blobs and uploads, leaves nothing of them, and takes them when there is room', async (context) => {
    await using found = await ground(context, SIZE)
    const { store } = found
    const { kept, error } = await untilFull(
      async (at) => await store.pool.put(inPieces(someBytes(1_000_000, at), 500_000)),
    )
    expect(error).toMatchObject(FULL)
    expect(kept.length).toBeGreaterThan(8)
    expect(await listed(store.incoming.list())).toEqual([])
    const next = someBytes(3_000_000, 'next')
    const stored = { digest: digestOf(next), size: next.length }
    await expect(store.pool.put(inPieces(next), stored)).rejects.toMatchObject(FULL)
    await expect(store.incoming.append('a', 0, inPieces(next), next.length)).rejects.toMatchObject(FULL)
    await expect(store.incoming.append('b', 0, inPieces(next, 900, 1_000), PLENTY)).rejects.toMatchObject(
      FULL,
    )
    await expect(store.room.demand(next.length)).rejects.toMatchObject(FULL)
    await areWhole(
      store,
      kept.map(({ digest }) => digest),
    )

    await store.pool.remove(kept.slice(0, 4).map(({ digest }) => digest))
    await expect(store.room.demand(next.length)).resolves.toBeUndefined()
    const offset = (await store.incoming.offset('b')) ?? 0
    await store.incoming.append('b', offset, inPieces(next.subarray(offset)), next.length)
    await expect(store.incoming.finish('b', stored)).resolves.toEqual(stored)
    await areWhole(store, [stored.digest, ...kept.slice(4).map(({ digest }) => digest)])
  })

  it('lets commits write nodes and manifests into the reserve', async (context) => {
    await using found = await ground(context, SIZE)
    const { store } = found
    const { error } = await untilFull(async (at) => await store.pool.put(someBytes(1_000_000, at)))
    expect(error).toMatchObject(FULL)
    const nodes = manyNodes(300)
    await writeNodes(store.nodes, nodes)
    expect(nodes.every(({ digest }) => store.nodes.has(digest))).toBe(true)
    for (const size of [60_000, 600_000])
      await expect(store.reserve.put(someBytes(size, 'metaset'))).resolves.toMatchObject({ size })
    await expect(store.pool.put(someBytes(2_000_000, 'upload'))).rejects.toMatchObject(FULL)
  })

  // What is to be small rows has blocks already, which nobody can take away; as much as a commit needs, and no more.
  it.for([0, 16_384])(
    'that somebody else has filled up to %i bytes fails a write as full',
    async (spare, context) => {
      await using found = await ground(context, SIZE)
      const { store } = found
      const first = await store.pool.put(someBytes(60_000, 'first'))
      const second = await store.pool.put(someBytes(100_000, 'second'))
      await store.incoming.append('a', 0, inPieces(someBytes(100_000, 'a')), PLENTY)
      const filler = await fill(found.path, spare)
      // What was measured before is still believed, so all of these reach the disk.
      const blobs = Array.from({ length: 40 }, (_, at) => someBytes(60_000, at))
      const writes = [
        store.pool.putAll(blobs),
        store.pool.put(inPieces(someBytes(200_000, 'third'))),
        store.incoming.append('a', 100_000, inPieces(someBytes(100_000, 'b')), PLENTY),
        store.incoming.append('b', 0, inPieces(someBytes(100_000, 'b')), PLENTY),
      ]
      const commit = [
        writeNodes(store.nodes, manyNodes(200)),
        store.derived.put([[Buffer.of(1), someBytes(50_000)]]),
      ]
      for (const one of await Promise.allSettled(writes))
        expect(one).toMatchObject({ status: 'rejected', reason: FULL })
      await Promise.all(commit)
      await areWhole(store, [first.digest, second.digest])
      await expect(store.pool.open(digestOf(blobs[0]!))).resolves.toBeUndefined()

      await rm(filler)
      found.clock.advance(1_000)
      const digests = await store.pool.putAll(blobs.slice(0, 20))
      await writeNodes(store.nodes, manyNodes(200))
      const offset = (await store.incoming.offset('a')) ?? 0
      await store.incoming.append('a', offset, inPieces(someBytes(100_000, 'b')), PLENTY)
      await store.pool.remove([first.digest])
      await areWhole(store, [second.digest, ...digests])
    },
  )

  it('that has no room at all still removes', async (context) => {
    await using found = await ground(context, SIZE)
    const { store } = found
    const small = await store.pool.putAll(Array.from({ length: 50 }, (_, at) => someBytes(40_000, at)))
    const large = await Promise.all(
      Array.from({ length: 5 }, async (_, at) => (await store.pool.put(someBytes(500_000, at))).digest),
    )
    await fill(found.path)
    found.clock.advance(1_000)
    await expect(store.pool.put(someBytes(50_000, 'x'))).rejects.toMatchObject(FULL)
    await store.pool.remove(large)
    await areWhole(store, small)
  })

  it('opens what was there before, and nothing new', async (context) => {
    await using disk = await smallDisk(context, SIZE)
    const options = { clock: stillClock(), random: realRandom }
    const store = await openDiskStore(disk.path, options)
    const { digest } = await store.pool.put(someBytes(50_000))
    await store.close()
    await fill(disk.path)
    const again = await openDiskStore(disk.path, options)
    await areWhole(again, [digest])
    await again.close()
    await mkdir(join(disk.path, 'another'))
    await expect(openDiskStore(join(disk.path, 'another'), options)).rejects.toMatchObject(FULL)
  })

  it('without inodes refuses files and takes rows', async (context) => {
    await using found = await ground(context, SIZE, `nr_inodes=${LIMITS.diskReserveInodes + 30}`)
    const { store } = found
    const { kept, error } = await untilFull(async (at) => await store.pool.put(someBytes(70_000, at)))
    const inodes = { free: expect.any(Number) as number, reserve: LIMITS.diskReserveInodes }
    expect(error).toMatchObject({
      ...FULL,
      details: { inodes },
      message: expect.stringContaining('inodes') as string,
    })
    expect(kept.length).toBeGreaterThan(3)
    await expect(store.incoming.append('a', 0, inPieces(someBytes(10)), PLENTY)).rejects.toMatchObject(FULL)
    const row = await store.pool.put(someBytes(60_000))
    await areWhole(store, [row.digest, ...kept.map(({ digest }) => digest)])
    await store.pool.remove(kept.slice(0, 3).map(({ digest }) => digest))
    await expect(store.pool.put(someBytes(70_000, 'next'))).resolves.toBeDefined()
  })

  it('whose inodes somebody else has used up fails a file as full', async (context) => {
    await using found = await ground(context, SIZE, `nr_inodes=${LIMITS.diskReserveInodes + 200}`)
    const { store } = found
    await store.pool.put(someBytes(70_000, 'first'))
    const { kept } = await untilFull(async (at) => {
      const path = join(found.path, `filler-${at}`)
      await writeFile(path, '')
      return path
    })
    await expect(store.pool.put(someBytes(70_000, 'second'))).rejects.toMatchObject(FULL)
    await expect(store.incoming.append('a', 0, inPieces(someBytes(10)), PLENTY)).rejects.toMatchObject(FULL)
    for (const path of kept) await rm(path)
    await expect(store.pool.put(someBytes(70_000, 'second'))).resolves.toBeDefined()
  })
})
