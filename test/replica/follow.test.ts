/**
 * Following: what is known and when it was said, what happens when the upstream is not there or goes back, and that all
 * of it stops at once.
 */
import { describe, expect, it } from 'vitest'
import { copyId } from '../../src/depot/stage/stages.ts'
import { encodeRecord, type Generation } from '../../src/model/generation.ts'
import { LIMITS } from '../../src/model/limits.ts'
import { BackOff, sleep } from '../../src/replica/sleep.ts'
import type { SentRecord } from '../../src/replica/upstream.ts'
import { engine, published } from '../depot/an-engine.ts'
import { expectEqual, following, partsOf, replica } from './a-replica.ts'
import { cutOff, InProcess, silence } from './an-upstream.ts'

function sent({ gid, record, signatures }: Generation): SentRecord {
  return { gid, bytes: encodeRecord(record), signatures }
}

async function until(isSo: () => boolean): Promise<void> {
  for (let tries = 0; !isSo(); tries += 1) {
    if (tries > 2_000) throw new Error('it never came to be')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

describe('a follower that shows a head', () => {
  it('drops what earlier copies have left, and leaves alone what is being pulled', async () => {
    await using origin = await engine()
    await using at = await replica()
    const { incoming } = at.stores
    const upstream = new InProcess(origin)
    const left = copyId('0'.repeat(64))
    const pulled = copyId('1'.repeat(64))
    for (const id of [left, pulled]) await incoming.append(id, 0, piece(), 10)
    const head = await published(origin, {})
    const pulls = partsOf(at, upstream).pulls
    await using follows = following(at, upstream, {
      pulls: { bring: async (...asked) => await pulls.bring(...asked), owns: (id) => id === pulled },
    })
    await follows.shows(head)
    await expect.poll(async () => await incoming.offset(left)).toBeUndefined()
    expect(await incoming.offset(pulled)).toBe(4)
  })
})

async function* piece(): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(Buffer.from('some'))
}

describe('a follower of a replica', () => {
  it('waits for an upstream that is behind it, and takes it for nothing worse', async () => {
    await using origin = await engine()
    await using at = await replica()
    const first = await published(origin, { version: '1.0.0' })
    const second = await published(origin, { version: '2.0.0' })
    const upstream = new InProcess(origin)
    const more = { isUpstreamOrigin: () => false }
    {
      await using follows = following(at, upstream, more)
      await follows.shows(second)
    }
    upstream.head = async () => await Promise.resolve(sent(first))
    await using follows = following(at, upstream, more)
    await until(() => follows.failures.length > 2)
    expect(follows.failures).toContainEqual(expect.objectContaining({ code: 'generation-behind' }))
    expect(follows.follower.state()).toMatchObject({ known: second.gid, isDiverged: false })
    expect(at.depot.head.now().gid).toBe(second.gid)
  })

  it('waits for one that has told of a head before it had it', async () => {
    await using origin = await engine()
    await using at = await replica()
    const first = await published(origin, { version: '1.0.0' })
    const upstream = new InProcess(origin)
    const log = upstream.log.bind(upstream)
    upstream.log = (after, upTo, signal) => log(after, Math.min(upTo, 1), signal)
    await using follows = following(at, upstream, { isUpstreamOrigin: () => false })
    await follows.shows(first)
    const second = await published(origin, { version: '2.0.0' })
    await until(() => follows.failures.length > 2)
    expect(follows.failures).toContainEqual(expect.objectContaining({ code: 'generation-behind' }))
    expect(follows.follower.state()).toMatchObject({ known: second.gid, isDiverged: false })
    upstream.log = log
    await follows.shows(second)
  })

  it('sees that one tells another history than this node has', async () => {
    await using origin = await engine()
    await using at = await replica()
    await published(origin, { version: '1.0.0' })
    const upstream = new InProcess(origin)
    const more = { isUpstreamOrigin: () => false }
    {
      await using follows = following(at, upstream, more)
      await follows.shows(origin.depot.head.now())
    }
    // With the same key, so that nothing but the log is another one.
    await using stranger = await engine({ safe: origin.safe })
    upstream.head = async () => await Promise.resolve(sent(stranger.depot.head.now()))
    await using follows = following(at, upstream, more)
    await until(() => follows.follower.state().isDiverged)
  })
})

describe('a follower', () => {
  it('shows every head that its origin commits, and asks again only when there is one', async () => {
    await using origin = await engine()
    await using at = await replica()
    const upstream = new InProcess(origin)
    await using follows = following(at, upstream)
    for (let time = 0; time < 5; time += 1) {
      const head = await published(origin, { version: `${time}.0.0` })
      await follows.shows(head)
      await expectEqual(at, origin, head)
    }
    expect(upstream.count('head')).toBeLessThanOrEqual(7)
    expect(follows.failures).toEqual([])
  })

  it('knows of newer heads while it copies, and then takes them as one', async () => {
    await using origin = await engine()
    await using at = await replica()
    const { promise: gate, resolve: open } = Promise.withResolvers<void>()
    const upstream = new InProcess(origin, async ({ kind }, bytes) => {
      if (kind === 'nodes') await gate
      return bytes
    })
    const first = await published(origin, { version: '1.0.0' })
    const shown: string[] = []
    await using follows = following(at, upstream, { events: { shown: ({ gid }) => shown.push(gid) } })
    await until(() => follows.follower.state().progress?.nodes.needed === 2)
    await published(origin, { version: '2.0.0' })
    const last = await published(origin, { version: '3.0.0' })
    await until(() => follows.follower.state().known === last.gid)
    expect(follows.follower.state()).toMatchObject({ head: undefined, progress: { gid: first.gid } })
    open()
    await follows.shows(last)
    await until(() => shown.length === 2)
    expect(shown).toEqual([first.gid, last.gid])
  })

  it('remembers when the upstream last agreed, and says nothing new while it cannot be reached', async () => {
    await using origin = await engine()
    await using at = await replica()
    const upstream = new InProcess(origin)
    const head = origin.depot.head.now()
    await using follows = following(at, upstream)
    expect(follows.follower.state().confirmedAt).toBeUndefined()
    await follows.shows(head)
    const { confirmedAt } = follows.follower.state()
    expect(confirmedAt).toBe(at.clock.monotonic())
    upstream.trouble = () => {
      throw cutOff()
    }
    at.clock.advance(5_000)
    await published(origin, {})
    await until(() => follows.failures.length > 3)
    expect(follows.follower.state()).toMatchObject({ confirmedAt, known: head.gid, isDiverged: false })
    upstream.trouble = (_, bytes) => bytes
    await follows.shows(origin.depot.head.now())
    expect(follows.follower.state().confirmedAt).toBe(at.clock.monotonic())
  })

  it('never follows an upstream that goes back, and goes on when it no longer does', async () => {
    await using origin = await engine()
    await using at = await replica()
    const old = await published(origin, { version: '1.0.0' })
    const upstream = new InProcess(origin)
    await using follows = following(at, upstream)
    const head = await published(origin, { version: '2.0.0' })
    await follows.shows(head)
    const honest = upstream.head.bind(upstream)
    upstream.head = async () => sent(old)
    await published(origin, { version: '3.0.0' })
    await until(() => follows.follower.state().isDiverged)
    expect(follows.follower.state().head?.gid).toBe(head.gid)
    upstream.head = honest
    await follows.shows(origin.depot.head.now())
    await until(() => !follows.follower.state().isDiverged)
  })

  it('never follows another depot', async () => {
    await using origin = await engine()
    await using other = await engine({ safe: origin.safe })
    await using at = await replica()
    const head = await published(origin, {})
    {
      await using follows = following(at, new InProcess(origin))
      await follows.shows(head)
    }
    await published(other, {})
    await published(other, { version: '2.0.0' })
    await using follows = following(at, new InProcess(other))
    await until(() => follows.follower.state().isDiverged)
    expect(at.depot.head.now()).toEqual(head)
    expect(at.stores.ledger.generations.head()).toEqual(head)
  })

  it.each(['head', 'nodes', 'blobs', 'log'] as const)(
    'stops at once when its %s never come',
    async (silent) => {
      await using origin = await engine()
      await using at = await replica()
      await published(origin, {})
      const { promise: reached, resolve } = Promise.withResolvers<void>()
      const upstream = new InProcess(origin, async ({ kind }, bytes) => {
        if (kind !== silent) return bytes
        resolve()
        return await silence()
      })
      {
        await using _follows = following(at, upstream, { sleep })
        await reached
      }
      expect(at.depot.head.isThere()).toBe(false)
    },
  )

  it('gives up an upstream that has fallen silent, and asks again', async () => {
    await using origin = await engine()
    await using at = await replica()
    const head = await published(origin, {})
    let silences = 0
    const upstream = new InProcess(origin, async ({ kind }, bytes) => {
      if (kind !== 'nodes' || silences === 2) return bytes
      silences += 1
      return await silence()
    })
    await using follows = following(at, upstream, {
      sleep: async (milliseconds, signal) => {
        // Time passes as soon as nothing else happens.
        await sleep(50, signal)
        at.clock.advance(milliseconds)
      },
    })
    await follows.shows(head)
    expect(follows.failures).toContainEqual(expect.objectContaining({ code: 'origin-unreachable' }))
  })

  it('drops what an earlier copy has left of a blob that is not needed any more', async () => {
    await using origin = await engine()
    await using at = await replica()
    const id = 'copy-0123'
    await at.stores.incoming.append(
      id,
      0,
      (async function* () {
        yield Buffer.from('part')
      })(),
      100,
    )
    await at.depot.stages.dropUploads()
    expect(await at.stores.incoming.offset(id)).toBe(4)
    await using follows = following(at, new InProcess(origin))
    await follows.shows(origin.depot.head.now())
    while ((await at.stores.incoming.offset(id)) !== undefined) await new Promise(setImmediate)
  })
})

describe('the pause after a failure', () => {
  it('grows to a bound, is spread, and begins anew after a success', () => {
    for (const [chance, share] of [
      [0, 0.5],
      [255, 0.998],
    ] as const) {
      const backOff = new BackOff({ bytes: () => Uint8Array.of(chance) })
      const first = backOff.next()
      expect(first).toBe(Math.round(LIMITS.retryLeastMs * share))
      const pauses = Array.from({ length: 100 }, () => backOff.next())
      expect(pauses[0]).toBe(Math.round(2 * LIMITS.retryLeastMs * share))
      expect(Math.max(...pauses)).toBe(Math.round(LIMITS.retryMostMs * share))
      backOff.reset()
      expect(backOff.next()).toBe(first)
    }
  })
})
