/**
 * Generations that a replica has passed over come when it has nothing else to do, and only as far as there is use in it.
 */
import { describe, expect, it } from 'vitest'
import { failure } from '../../src/model/errors.ts'
import type { Generation } from '../../src/model/generation.ts'
import { LIMITS } from '../../src/model/limits.ts'
import { type Engine, engine, published } from '../depot/an-engine.ts'
import { expectEqual, type Following, following, replica } from './a-replica.ts'
import { cutOff, InProcess, silence } from './an-upstream.ts'

async function many(origin: Engine, count: number): Promise<readonly Generation[]> {
  const all: Generation[] = [origin.depot.head.now()]
  for (let number = 1; number <= count; number += 1)
    all.push(await published(origin, { version: `${number}.0.0`, files: { a: `${number}` } }))
  return all
}

function held(at: Engine, all: readonly Generation[]): readonly number[] {
  return all.filter(({ gid }) => at.depot.generations.isHeld(gid)).map(({ record }) => record.number)
}

async function filled(at: Engine, all: readonly Generation[], numbers: readonly number[]): Promise<void> {
  await expect.poll(() => held(at, all), { timeout: 10_000 }).toEqual(numbers)
}

/** What can be read of a generation without anybody's help. */
async function textOf(at: Engine, generation: Generation): Promise<string> {
  const view = await at.depot.views.of(generation)
  const version = `${generation.record.number}.0.0`
  const { digest } = await view.file({ channel: 'stable', name: 'hello', version }, 'a')
  return Buffer.from((await at.stores.pool.open(digest))?.bytes ?? []).toString()
}

describe('a replica that has jumped to the head', () => {
  it('brings what it has passed over, the newest first, each file once', async () => {
    await using origin = await engine()
    const all = await many(origin, 6)
    await using at = await replica()
    const upstream = new InProcess(origin)
    const order: number[] = []
    const filling = { filled: ({ record }: Generation): number => order.push(record.number) }
    await using follows = following(at, upstream, { events: filling })
    await filled(at, all, [0, 1, 2, 3, 4, 5, 6])
    expect([order, follows.failures]).toEqual([[5, 4, 3, 2, 1, 0], []])
    await expectEqual(at, origin, all[6]!)
    for (const generation of all.slice(1))
      expect(await textOf(at, generation)).toBe(String(generation.record.number))
  })

  it('stops for a newer head, takes that first, and goes on then', async () => {
    await using origin = await engine()
    const all = [...(await many(origin, 3))]
    await using at = await replica()
    const { promise: filling, resolve: onFilling } = Promise.withResolvers<void>()
    let isSilent = true
    const upstream = new InProcess(origin, async ({ kind }, bytes) => {
      if (!isSilent || kind === 'head' || !at.depot.head.isThere()) return bytes
      isSilent = false
      onFilling()
      return await silence()
    })
    await using follows = following(at, upstream)
    await filling
    all.push(await published(origin, { version: '4.0.0', files: { a: '4' } }))
    // What is under way waits for an upstream that says no word, and is given up for this.
    await follows.shows(all[4]!)
    await filled(at, all, [0, 1, 2, 3, 4])
    expect(follows.failures).toEqual([])
  })

  it('goes on after a restart, and after the upstream was away', async () => {
    await using origin = await engine()
    const all = await many(origin, 3)
    await using at = await replica()
    const upstream = new InProcess(origin)
    let isAway = true
    upstream.trouble = ({ kind }, bytes) => {
      if (isAway && kind !== 'head' && at.depot.head.isThere()) throw cutOff()
      return bytes
    }
    const seen = await failing(at, upstream)
    expect([seen, held(at, all)]).toEqual([true, [3]])
    isAway = false
    await using follows = following(at, upstream)
    await filled(at, all, [0, 1, 2, 3])
    expect(follows.failures).toEqual([])
  })

  it('passes over what the upstream has no more, says so, and asks again at the next head only', async () => {
    await using origin = await engine()
    const all = [...(await many(origin, 3))]
    const gone = all[2]!.record.metaset
    await using at = await replica()
    const upstream = new InProcess(origin)
    upstream.onRequest = (kind, digests) => {
      if (kind === 'blobs' && digests.includes(gone)) throw failure('blob-unavailable', { digest: gone })
    }
    const left: number[] = []
    await using follows = following(at, upstream, {
      events: { left: ({ record }) => left.push(record.number) },
    })
    await filled(at, all, [0, 1, 3])
    expect([left, follows.failures]).toEqual([[2], []])
    all.push(await published(origin, { version: '4.0.0', files: { a: '4' } }))
    await expect.poll(() => left).toEqual([2, 2])
    expect(held(at, all)).toEqual([0, 1, 3, 4])
  })

  it('leaves it when the disk has no room for it, and serves what it has', async () => {
    await using origin = await engine()
    const all = await many(origin, 3)
    await using at = await replica()
    const left: unknown[] = []
    const asked: number[] = []
    const demand = async (bytes: number): Promise<void> => {
      asked.push(bytes)
      await Promise.reject(failure('disk-full', { free: 0, needed: bytes }))
    }
    await using follows = following(at, new InProcess(origin), {
      room: { demand },
      events: { left: (_, error) => left.push(error) },
    })
    await follows.shows(all[3]!)
    await expect.poll(() => left).toEqual([expect.objectContaining({ code: 'disk-full' })])
    expect([held(at, all), asked]).toEqual([[3], [LIMITS.replicationBytes]])
  })
})

/** Follows until what was passed over could not be had. */
async function failing(at: Engine, upstream: InProcess): Promise<boolean> {
  await using follows: Following = following(at, upstream)
  await expect.poll(() => follows.failures.length, { timeout: 10_000 }).toBeGreaterThan(2)
  return at.depot.head.isThere()
}
