/**
 * A full disk never reaches LMDB: what is refused is refused before a transaction begins.
 */
import { randomBytes } from 'node:crypto'
import { open, stat, statfs, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it, type TestContext } from 'vitest'
import { Environment } from '../../src/disk/environment.ts'
import { Headroom } from '../../src/disk/headroom.ts'
import { DiskRoom, type Purpose } from '../../src/disk/room.ts'
import { costOf, costOfClearing } from '../../src/disk/row-cost.ts'
import { DepotError } from '../../src/model/errors.ts'
import { realClock } from '../support/real-world.ts'
import { smallDisk } from '../support/small-disk.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const MIB = 1_048_576
const FILE = 'a.lmdb'

async function opened(folder: string): Promise<Environment> {
  return await Environment.open({ folder, file: FILE, room: DiskRoom.on(folder, realClock) })
}

/** Takes all that is left of the disk. */
async function fill(folder: string): Promise<void> {
  await using file = await open(join(folder, 'ballast'), 'a')
  for (let length = MIB; length >= 1; length /= 16)
    while ((await file.write(Buffer.alloc(length)).catch(() => undefined)) !== undefined);
}

async function outcomeOf(act: Promise<unknown>): Promise<string> {
  try {
    await act
    return 'written'
  } catch (error) {
    if (error instanceof DepotError) return error.code
    throw error
  }
}

it('goes on for a while on a disk without a free byte: uploads less far than commits', async (context: TestContext) => {
  await using disk = await smallDisk(context, 'size=16m')
  const environment = await opened(disk.path)
  const table = environment.table<Buffer>('rows')
  let rows = 0
  const write = async (purpose: Purpose): Promise<string> => {
    const bytes = costOf(table, [32 + 1_000])
    const key = randomBytes(32)
    const outcome = await outcomeOf(
      environment.batch(() => void table.put(key, randomBytes(1_000)), { bytes, purpose }),
    )
    if (outcome === 'written') rows += 1
    return outcome
  }
  const untilRefused = async (purpose: Purpose): Promise<number> => {
    for (let count = 0; count < 10_000; count += 1) {
      const outcome = await write(purpose)
      if (outcome === 'written') continue
      expect(outcome).toBe('disk-full')
      return count
    }
    throw new Error('it was never refused')
  }

  expect(await write('upload')).toBe('written')
  await fill(disk.path)
  expect((await statfs(disk.path)).bavail).toBe(0)
  expect(await untilRefused('upload')).toBeGreaterThan(0)
  expect(await untilRefused('commit')).toBeGreaterThan(100)
  expect(await write('upload')).toBe('disk-full')

  await unlink(join(disk.path, 'ballast'))
  expect(await write('upload')).toBe('written')
  expect(await write('commit')).toBe('written')
  await environment.close()

  const again = await opened(disk.path)
  expect(again.table('rows').getKeysCount()).toBe(rows)
  await again.close()
})

it('makes the file grow in steps, and leaves it as it was when it is opened again', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, FILE)
  const sizes = new Set<number>()
  const environment = await opened(folder.path)
  const table = environment.table<Buffer>('rows')
  for (let round = 0; round < 300; round += 1) {
    const bytes = costOf(table, [40_032])
    const key = randomBytes(32)
    await environment.batch(() => void table.put(key, randomBytes(40_000)), { bytes, purpose: 'commit' })
    const { size } = await stat(path)
    expect(size).toBeGreaterThan(environment.size().fileBytes)
    sizes.add(size)
  }
  expect(sizes.size).toBeLessThan(30)
  await environment.close()
  const { size } = await stat(path)
  await (await opened(folder.path)).close()
  expect((await stat(path)).size).toBe(size)
})

it('begins transactions in the order in which they were asked for, also when the first waits for blocks', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'blocks')
  await (await open(path, 'w')).close()
  const headroom = await Headroom.of(path, () => 0)
  const begun: number[] = []
  const sizes = [1, 40 * MIB, 1, 100 * MIB, 1]
  const work = async (at: number): Promise<void> => {
    const { size } = await stat(path)
    expect(size).toBeGreaterThanOrEqual(sizes[at] ?? 0)
    begun.push(at)
  }
  await Promise.all(
    sizes.map(
      async (bytes, at) => await headroom.hold({ bytes, purpose: 'commit' }, async () => await work(at)),
    ),
  )
  expect(begun).toEqual([0, 1, 2, 3, 4])
  await headroom.close()
})

it('gives back what a transaction held, whatever became of it', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'blocks')
  await (await open(path, 'w')).close()
  const headroom = await Headroom.of(path, () => 0)
  const load = { bytes: 8 * MIB, purpose: 'commit' } as const
  for (let round = 0; round < 20; round += 1)
    await expect(headroom.hold(load, async () => await Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect((await stat(path)).size).toBeLessThan(16 * MIB)
  await headroom.close()
})

it.each([1, 10, 1_000])(
  'rows that are taken away, %i at once, write no more than was said',
  async (atOnce) => {
    await using folder = await temporaryFolder()
    const environment = await opened(folder.path)
    const table = environment.table<Buffer>('rows')
    const keys = Array.from({ length: 5_000 }, () => randomBytes(32))
    const growth = async (bytes: number, act: () => void): Promise<void> => {
      const before = environment.size().fileBytes
      await environment.batch(act, { bytes, purpose: 'commit' })
      expect(environment.size().fileBytes - before).toBeLessThanOrEqual(bytes)
    }
    const lengths = keys.map(() => 432)
    await growth(costOf(table, lengths), () => keys.forEach((key) => void table.put(key, randomBytes(400))))
    for (let at = 0; at < 2_000; at += atOnce) {
      const gone = keys.slice(at, at + atOnce)
      const bytes = costOf(
        table,
        gone.map(() => 0),
      )
      await growth(bytes, () => gone.forEach((key) => void table.remove(key)))
    }
    await growth(costOfClearing(table), () => void table.clearAsync())
    expect(table.getKeysCount()).toBe(0)
    await environment.close()
  },
)
