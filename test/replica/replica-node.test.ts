/**
 * What a replica knows of itself (PROTOCOL §4): by heartbeats that a test answers, and a clock that it moves.
 */
import { setImmediate } from 'node:timers/promises'
import { beforeEach, describe, expect, it } from 'vitest'
import { failure, isFailure } from '../../src/model/errors.ts'
import { LIMITS } from '../../src/model/limits.ts'
import type { FollowerState } from '../../src/replica/follow.ts'
import type { ReplicaNodeParts } from '../../src/replica/replica-node.ts'
import type { NodeBody } from '../../src/wire/replication.ts'
import { BeatingNode, gid, NEVER } from './a-beating-node.ts'

let at: BeatingNode

beforeEach(() => {
  at = new BeatingNode()
})

describe('the state of a replica', () => {
  it('is boot before the first word, and cut when none comes for a while', () => {
    expect(at.mode).toBe('boot')
    at.clock.advance(LIMITS.bootGraceMs - 1)
    expect(at.mode).toBe('boot')
    at.clock.advance(1)
    expect(at.mode).toBe('cut')
  })

  it('is boot for as long as there is no head', async () => {
    at.head = undefined
    await at.confirmed(gid(1))
    at.clock.advance(LIMITS.bootGraceMs * 10)
    expect(at.mode).toBe('boot')
  })

  it('is fresh when the origin names its head, and cut after a lease without another word', async () => {
    await at.confirmed(gid(1))
    expect(at.mode).toBe('fresh')
    at.clock.advance(LIMITS.leaseMs - 1)
    expect(at.mode).toBe('fresh')
    at.clock.advance(1)
    expect(at.mode).toBe('cut')
    await at.confirmed(gid(1))
    expect(at.mode).toBe('fresh')
  })

  it('is diverged while the origin tells an older head than this node had when it asked', async () => {
    at.head = gid(5)
    for (const older of [gid(4), gid(5).replace('0123', 'ffff') as typeof at.head & string]) {
      await at.confirmed(older)
      expect([older, at.mode]).toEqual([older, 'diverged'])
      await at.confirmed(gid(5))
      expect(at.mode).toBe('fresh')
    }
    // What it has copied meanwhile was not known to whoever answered.
    const confirming = at.node.confirm(NEVER)
    const beat = await at.next()
    at.head = gid(6)
    beat.answer(gid(5))
    await confirming
    expect(at.mode).toBe('fresh')
    // After a fork the records tell, and not the numbers.
    await at.confirmed(gid(4, 'forkforkfork'))
    expect(at.mode).toBe('fresh')
  })

  it('knows whether another node has what is known, as long as the origin is heard', async () => {
    const one: NodeBody = {
      id: 'r2',
      role: 'replica',
      state: 'fresh',
      head: gid(2),
      known: gid(2),
      seenMsAgo: 5,
    }
    await at.confirmed(gid(2), [one])
    expect([at.mode, at.node.isKnownElsewhere()]).toEqual(['lag', true])
    at.clock.advance(LIMITS.leaseMs)
    expect(at.node.isKnownElsewhere()).toBe(false)
    for (const other of [{ id: 'r1' }, { state: 'lag' as const }, { head: gid(1) }]) {
      await at.confirmed(gid(2), [{ ...one, ...other }])
      expect([other, at.node.isKnownElsewhere()]).toEqual([other, false])
    }
  })

  it('counts a lease from when it was asked for', async () => {
    const confirming = at.node.confirm(NEVER)
    const beat = await at.next()
    at.clock.advance(LIMITS.leaseMs - 100)
    beat.answer(gid(1))
    await confirming
    expect(at.mode).toBe('fresh')
    at.clock.advance(100)
    expect(at.mode).toBe('cut')
  })

  it('lags while a newer head is known, by whoever has heard of it', async () => {
    await at.confirmed(gid(2))
    expect([at.mode, at.node.known()]).toEqual(['lag', gid(2)])
    at.followed = gid(3)
    expect([at.mode, at.node.known()]).toEqual(['lag', gid(3)])
    await at.confirmed(gid(2))
    expect([at.mode, at.node.known()]).toEqual(['lag', gid(3)])
    at.head = gid(3)
    expect([at.mode, at.node.known()]).toEqual(['fresh', gid(3)])
  })

  it('goes on lagging when the origin falls silent, and never goes back to its own head (A7)', async () => {
    await at.confirmed(gid(2))
    at.clock.advance(10 * LIMITS.leaseMs)
    expect([at.mode, at.node.state().isSilent]).toEqual(['lag', true])
  })

  it('is diverged whatever else holds, but for a head', async () => {
    at.isDiverged = true
    expect(at.mode).toBe('diverged')
    await at.confirmed(gid(1))
    expect(at.mode).toBe('diverged')
    at.head = undefined
    expect(at.mode).toBe('boot')
  })

  it('says in Depot-Node how it is and how old its knowledge', async () => {
    expect(at.node.label()).toBe('r1;role=replica;state=boot;age=0')
    await at.confirmed(gid(1))
    at.clock.advance(1_500)
    expect(at.node.label()).toBe('r1;role=replica;state=fresh;age=1.5')
    at.isDraining = true
    expect(at.node.label()).toBe('r1;role=replica;state=drain;age=1.5')
    expect(at.node.state()).toMatchObject({
      mode: 'fresh',
      isDraining: true,
      whenCut: 'refuse',
      isOrigin: false,
    })
  })

  it('is told to the origin', async () => {
    at.head = undefined
    at.followed = gid(4)
    void at.node.confirm(NEVER)
    const beat = await at.next()
    beat.answer(gid(4))
    expect(beat.report).toEqual({
      instance: 'i1',
      lagSeconds: 0,
      role: 'replica',
      state: 'boot',
      head: null,
      known: gid(4),
    })
  })
})

describe('known()', () => {
  it('fails as booting before anything was heard of', () => {
    at.head = undefined
    const follower = { state: () => ({ known: undefined }) as FollowerState }
    const head = {
      isThere: () => false,
      now: (): never => {
        throw new Error('booting')
      },
    }
    expect(() => new BeatingNode({ follower, head }).node.known()).toThrow('booting')
  })
})

describe('confirm()', () => {
  it('asks once for all who ask together', async () => {
    const all = [at.node.confirm(NEVER), at.node.confirm(NEVER), at.node.confirm(NEVER)]
    const first = await at.next()
    first.answer(gid(2))
    const second = await at.next()
    second.answer(gid(2))
    await Promise.all(all)
    expect(at.beats).toEqual([])
  })

  it('takes no word that was asked for before', async () => {
    const earlier = at.node.confirm(NEVER)
    const first = await at.next()
    const later = at.node.confirm(NEVER).then(() => at.node.known())
    first.answer(gid(1))
    await earlier
    expect(at.node.known()).toBe(gid(1))
    const second = await at.next()
    second.answer(gid(2))
    expect(await later).toBe(gid(2))
  })

  it('goes on for the others when one of them goes away', async () => {
    const going = new AbortController()
    const gone = at.node.confirm(going.signal)
    const staying = at.node.confirm(NEVER)
    const first = await at.next()
    going.abort()
    await expect(gone).rejects.toMatchObject({ code: 'origin-unreachable' })
    expect(first.signal.aborted).toBe(false)
    first.answer(gid(1))
    const second = await at.next()
    second.answer(gid(1))
    await staying
  })

  it('fails as origin-unreachable, whatever the origin has against this node', async () => {
    const confirming = at.node.confirm(NEVER).catch((error: unknown) => error)
    const beat = await at.next()
    beat.fail(new TypeError('unauthorised'))
    expect(isFailure(await confirming, 'origin-unreachable')).toBe(true)
    await at.confirmed(gid(1))
    expect(at.mode).toBe('fresh')
  })
})

describe('changed()', () => {
  it('is woken by a new head of the origin, and by nothing that was known', async () => {
    await at.confirmed(gid(1))
    let woken = 0
    const waiting = at.node.changed(60_000, NEVER).then(() => {
      woken += 1
    })
    await at.confirmed(gid(1))
    expect(woken).toBe(0)
    await at.confirmed(gid(2))
    await waiting
    expect(woken).toBe(1)
  })

  it('is woken when the origin is heard again', async () => {
    await at.confirmed(gid(1))
    at.clock.advance(LIMITS.leaseMs)
    const stop = new AbortController()
    const running = at.node.run(stop.signal)
    const beat = await at.next()
    beat.fail(new Error('not yet'))
    await at.paused
    expect(at.mode).toBe('cut')
    const waiting = at.node.changed(60_000, NEVER)
    await at.confirmed(gid(1))
    await waiting
    expect(at.mode).toBe('fresh')
    stop.abort()
    await running
  })

  it('is woken by the follower when there is something new, and by the end of the node', async () => {
    await at.confirmed(gid(1))
    let isWoken = false
    const waiting = at.node.changed(60_000, NEVER).then(() => {
      isWoken = true
    })
    // Nothing is another one: each failure to follow would wake hundreds for nothing.
    at.node.wake()
    await settled()
    expect(isWoken).toBe(false)
    at.followed = gid(2)
    at.node.wake()
    await waiting
    const last = at.node.changed(60_000, NEVER)
    at.node.release()
    await last
    await at.node.changed(60_000, NEVER)
  })
})

async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await setImmediate()
}

describe('run()', () => {
  it('beats after every pause, and ends with the signal', async () => {
    const pauses: (() => void)[] = []
    const { promise: paused, resolve: onPause } = Promise.withResolvers<void>()
    const sleep: ReplicaNodeParts['sleep'] = async (ms, signal) => {
      expect(ms).toBe(LIMITS.heartbeatMs)
      const { promise, resolve } = Promise.withResolvers<void>()
      signal.addEventListener('abort', () => {
        resolve()
      })
      pauses.push(resolve)
      onPause()
      await promise
    }
    const beating = new BeatingNode({ sleep })
    const stop = new AbortController()
    const running = beating.node.run(stop.signal)
    const first = await beating.next()
    first.answer(gid(1))
    await paused
    expect([beating.mode, beating.beats]).toEqual(['fresh', []])
    pauses.shift()?.()
    const second = await beating.next()
    expect(second.signal.aborted).toBe(false)
    stop.abort()
    await running
    expect(second.signal.aborted).toBe(true)
  })

  it('ends during a pause', async () => {
    const stop = new AbortController()
    const running = at.node.run(stop.signal)
    const beat = await at.next()
    beat.answer(gid(1))
    await at.paused
    stop.abort()
    await running
  })
})

describe('peers()', () => {
  it('are those that have what is known, and say where they are', async () => {
    const peer = (id: string, more: Partial<NodeBody> = {}): NodeBody => ({
      id,
      role: 'replica',
      state: 'fresh',
      head: gid(2),
      known: gid(2),
      seenMsAgo: 0,
      publicUrl: `http://${id}`,
      ...more,
    })
    const { publicUrl: _, ...hidden } = peer('r5')
    const nodes = [
      peer('r1'),
      peer('r2'),
      peer('r3', { state: 'lag' }),
      peer('r4', { head: gid(1) }),
      hidden,
      peer('r6'),
    ]
    await at.confirmed(gid(2), nodes)
    expect(at.node.peers()).toEqual(['http://r2', 'http://r6'])
  })
})

describe('how far a replica is behind', () => {
  it('is counted from the first generation that it does not show yet, until it shows all it knows', async () => {
    await at.confirmed(gid(1))
    expect(at.node.standing()).toMatchObject({ lagGenerations: 0, lagSeconds: 0, known: gid(1) })
    await at.confirmed(gid(2))
    at.clock.advance(1_500)
    expect(at.node.standing()).toMatchObject({ lagGenerations: 1, lagSeconds: 1.5, known: gid(2) })
    at.followed = gid(4)
    at.node.wake()
    at.clock.advance(500)
    at.head = gid(2)
    at.node.wake()
    expect(at.node.standing()).toMatchObject({ condition: 'lag', lagGenerations: 2, lagSeconds: 2 })
    at.head = gid(4)
    at.node.wake()
    expect(at.node.standing()).toMatchObject({ lagGenerations: 0, lagSeconds: 0 })
    at.followed = gid(5)
    at.node.wake()
    at.clock.advance(250)
    expect(at.node.standing().lagSeconds).toBe(0.25)
  })

  it('is all of it without a head', async () => {
    at.head = undefined
    const confirming = at.node.confirm(NEVER)
    const beat = await at.next()
    expect(beat.report).toMatchObject({ head: null, known: null, lagSeconds: 0, instance: 'i1' })
    beat.answer(gid(6))
    await confirming
    at.clock.advance(3_000)
    expect(at.node.standing()).toMatchObject({ condition: 'boot', lagGenerations: 7, lagSeconds: 3 })
  })

  it('is told with every heartbeat', async () => {
    await at.confirmed(gid(3))
    at.clock.advance(2_000)
    const confirming = at.node.confirm(NEVER)
    const beat = await at.next()
    expect(beat.report).toMatchObject({ head: gid(1), lagSeconds: 2 })
    beat.answer(gid(3))
    await confirming
  })

  it('and since when the origin has given no word', async () => {
    at.clock.advance(700)
    expect(at.node.standing().originSeconds).toBe(0.7)
    await at.confirmed(gid(1))
    at.clock.advance(300)
    expect(at.node.standing().originSeconds).toBe(0.3)
  })
})

describe('a replica whose id another one has', () => {
  it('says so once in its log, and in every answer, and is cut off in the end', async () => {
    await at.confirmed(gid(1))
    for (let round = 0; round < 3; round += 1) {
      const confirming = at.node.confirm(NEVER)
      ;(await at.next()).fail(failure('node-id-taken', { id: 'r1' }))
      await expect(confirming).rejects.toMatchObject({ code: 'origin-unreachable' })
    }
    expect(at.errors).toBe(1)
    expect([at.mode, at.node.standing().isIdTaken]).toEqual(['fresh', true])
    at.clock.advance(LIMITS.leaseMs)
    expect(at.mode).toBe('cut')
    expect(at.node.label()).toBe('r1;role=replica;state=cut;age=5;why=node-id-taken')
    await at.confirmed(gid(1))
    expect(at.node.label()).toBe('r1;role=replica;state=fresh;age=0')
  })
})
