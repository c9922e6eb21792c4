import { setTimeout } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { type FloorStore, MemoryFloor } from '../../src/client/floor.ts'
import { Heads } from '../../src/client/heads.ts'
import { MemoryPins } from '../../src/client/keys/pins.ts'
import { KeyTrust } from '../../src/client/keys/trust.ts'
import type { Generation, Gid, LineageId } from '../../src/model/generation.ts'
import { Caller } from '../../src/wire/caller.ts'
import { json, problem } from '../wire/playing-server.ts'
import { noChance, stillClock } from '../wire/still-world.ts'
import { FakeDepot, LINEAGE } from './fake-depot.ts'
import { clientOf, expectFailure } from './world.ts'

const OTHER = 'forkedforked' as LineageId

/** A depot at generation 3, and the generations before. */
async function depotAtThree(): Promise<FakeDepot> {
  const depot = await FakeDepot.start()
  for (let count = 0; count < 3; count += 1) depot.commit([])
  return depot
}

/** From now on a cache in front answers with `generation` whatever is asked, unless it is asked to get out of the way. */
function cached(depot: FakeDepot, generation: Generation, honest = true): void {
  depot.takeOver = ({ request, response, url }) => {
    if (url.pathname !== '/v1/head' || (honest && request.headers['cache-control'] === 'no-cache'))
      return false
    json(response, generation, { 'depot-generation': generation.gid })
    return true
  }
}

function at(depot: FakeDepot, number: number): Generation {
  return depot.generations[number] ?? depot.head
}

describe('the head', () => {
  it('is asked with the floor, and becomes the floor', async () => {
    await using depot = await depotAtThree()
    const floor = new MemoryFloor()
    const { client } = clientOf(depot, { floor })
    expect(await client.head()).toEqual(depot.head)
    expect(await floor.read()).toBe(depot.head.gid)
    await client.head()
    expect(depot.headers.map((headers) => headers['depot-min-generation'])).toEqual([
      undefined,
      depot.head.gid,
    ])
    expect(depot.headers[0]?.['prefer']).toBe('wait=10')
  })

  it('of a cache in front that is older than the floor is asked for once more, past the cache', async () => {
    await using depot = await depotAtThree()
    cached(depot, at(depot, 1))
    const { client } = clientOf(depot, { floor: at(depot, 2).gid })
    expect(await client.head()).toEqual(depot.head)
    expect(depot.asked[1]).toMatch(/^GET \/v1\/head\?_n=[0-9a-f]{16}$/)
  })

  it('that stays older is a failure that says why', async () => {
    await using depot = await depotAtThree()
    cached(depot, at(depot, 1), false)
    const floor = new MemoryFloor(at(depot, 2).gid)
    const { client } = clientOf(depot, { floor })
    const error = await expectFailure(client.head(), 'answer-invalid')
    expect(error.message).toContain('a cache or load balancer in front returned an older generation')
    expect(error.message).toContain(at(depot, 1).gid)
    expect(depot.asked.length).toBe(2)
    expect(await floor.read()).toBe(at(depot, 2).gid)
  })

  it('of which nobody knows whether it is older is let go', async () => {
    await using depot = await depotAtThree()
    const fork = depot.commit([], OTHER, 1_000)
    let isLetGo = false
    const { client } = clientOf(depot, {
      floor: `g3.${LINEAGE}.0123456789abcdef` as Gid,
      fetch: async (url, init) => {
        if (url.pathname !== '/v1/head') return await fetch(url, init)
        const body = new ReadableStream({ cancel: () => void (isLetGo = true) })
        return new Response(body, { headers: { 'depot-generation': fork.gid } })
      },
    })
    await expectFailure(client.head(), 'not-found')
    expect(isLetGo).toBe(true)
  })

  it('with the number of the floor and another digest is as bad as an older one', async () => {
    await using depot = await depotAtThree()
    const twin = `g3.${LINEAGE}.0000000000000000` as Gid
    await expectFailure(clientOf(depot, { floor: twin }).client.head(), 'answer-invalid')
  })

  it('is not believed when its id is not that of its record', async () => {
    await using depot = await depotAtThree()
    const { head } = depot
    cached(depot, { ...head, record: { ...head.record, message: 'changed' } }, false)
    await expectFailure(clientOf(depot).client.head(), 'answer-invalid')
  })

  it('is not believed when header and body tell of two', async () => {
    await using depot = await depotAtThree()
    depot.takeOver = ({ response }) => {
      json(response, depot.head, { 'depot-generation': at(depot, 2).gid })
      return true
    }
    await expectFailure(clientOf(depot).client.head(), 'answer-invalid')
  })

  it('of something that names no generation is no head of a depot', async () => {
    await using depot = await depotAtThree()
    depot.takeOver = ({ response }) => {
      json(response, depot.head)
      return true
    }
    await expectFailure(clientOf(depot).client.head(), 'answer-invalid')
  })

  it('is seen by nobody before the floor is kept', async () => {
    await using depot = await depotAtThree()
    const full = new Error('no room')
    const floor: FloorStore = {
      read: async () => await Promise.resolve(undefined),
      replace: async () => await Promise.reject(full),
    }
    await expect(clientOf(depot, { floor }).client.head()).rejects.toBe(full)
  })
})

describe('a depot that was restored', () => {
  /** Generation 1000 of a new lineage, which forked after generation `forkAt` of the old one. */
  async function forked(forkAt: number): Promise<FakeDepot> {
    const depot = await depotAtThree()
    const old = depot.generations.splice(forkAt + 1)
    depot.commit([], OTHER, 1000)
    const lost = new Set<string | undefined>(old.map(({ gid }) => gid))
    depot.takeOver = ({ request, response, url }) => {
      const floor = request.headers['depot-min-generation']
      const ref = url.pathname.split('/').at(-1)
      const wanted = lost.has(ref) ? ref : String(floor)
      if (!lost.has(wanted)) return false
      response.setHeader('depot-generation', depot.head.gid)
      problem(response, 412, 'generation-lost', {
        wanted,
        generation: depot.head.gid,
        floor: wanted === floor,
      })
      return true
    }
    return depot
  }

  it('goes on for those whose floor it still has', async () => {
    await using depot = await forked(2)
    const floor = new MemoryFloor(at(depot, 2).gid)
    expect(await clientOf(depot, { floor }).client.head()).toEqual(depot.head)
    expect(depot.asked.at(-1)).toBe(`GET /v1/generations/${at(depot, 2).gid}`)
    expect(await floor.read()).toBe(depot.head.gid)
  })

  it('stops those whose floor it lost, and shows the fork', async () => {
    await using depot = await forked(1)
    const lost = `g2.${LINEAGE}.0123456789abcdef` as Gid
    const honest = depot.takeOver
    depot.takeOver = async (fake) => {
      if (fake.request.headers['depot-min-generation'] !== lost) return await honest(fake)
      problem(fake.response, 412, 'generation-lost', {
        wanted: lost,
        generation: depot.head.gid,
        floor: true,
      })
      return true
    }
    const floor = new MemoryFloor(lost)
    const error = await expectFailure(clientOf(depot, { floor }).client.head(), 'generation-lost')
    expect(error.details).toEqual({ wanted: lost, generation: depot.head.gid, floor: true })
    expect(await floor.read()).toBe(lost)

    const other = clientOf(depot, { floor, acceptLineage: 'anotherother' })
    await expectFailure(other.client.head(), 'generation-lost')
    expect(await floor.read()).toBe(lost)

    const accepting = clientOf(depot, { floor, acceptLineage: OTHER })
    expect(await accepting.client.head()).toEqual(depot.head)
    expect(await floor.read()).toBe(depot.head.gid)
  })

  it('is not believed by a cache that knows another lineage, when the depot does not know the floor', async () => {
    await using depot = await depotAtThree()
    const floor = new MemoryFloor(`g2.${OTHER}.0123456789abcdef` as Gid)
    await expectFailure(clientOf(depot, { floor }).client.head(), 'not-found')
    const higher = new MemoryFloor(`g7.${OTHER}.0123456789abcdef` as Gid)
    await expectFailure(clientOf(depot, { floor: higher }).client.head(), 'answer-invalid')
  })
})

describe('the floor', () => {
  it('never goes back when two see different heads at once', async () => {
    await using depot = await depotAtThree()
    const written: Gid[] = []
    const memory = new MemoryFloor()
    const floor: FloorStore = {
      read: async () => await memory.read(),
      replace: async (before, gid) => {
        written.push(gid)
        return await memory.replace(before, gid)
      },
    }
    const { client } = clientOf(depot, { floor })
    let asked = 0
    depot.takeOver = async ({ response }) => {
      asked += 1
      const generation = at(depot, asked === 1 ? 2 : 3)
      await setTimeout(asked === 1 ? 30 : 0)
      json(response, generation, { 'depot-generation': generation.gid })
      return true
    }
    await Promise.all([client.head(), client.head()])
    expect(written).toEqual([at(depot, 3).gid])
  })

  it('never goes back when a slow disk is told of two', async () => {
    await using depot = await depotAtThree()
    const memory = new MemoryFloor()
    const floor: FloorStore = {
      read: async () => await setTimeout(5, await memory.read()),
      replace: async (before, gid) => await memory.replace(before, gid),
    }
    const caller = new Caller({ url: depot.url, clock: stillClock(), random: noChance })
    const heads = new Heads({
      caller,
      floor,
      trust: new KeyTrust({ caller, pins: new MemoryPins() }),
      random: noChance,
    })
    await Promise.all([heads.raise(at(depot, 3).gid), heads.raise(at(depot, 2).gid)])
    expect(await memory.read()).toBe(at(depot, 3).gid)
  })

  it('rises with what was committed and rolled back, so that it is read by the same client', async () => {
    await using depot = await depotAtThree()
    const floor = new MemoryFloor(at(depot, 1).gid)
    const { client } = clientOf(depot, { floor })
    depot.stage.staged.push(depot.release('left-pad', '1.0.0', { 'index.js': 'x' }))
    const { generation } = await client.stage('s1').commit()
    expect(await floor.read()).toBe(generation.gid)
    depot.takeOver = ({ response, method }) => {
      if (method !== 'POST') return false
      const made = depot.commit([])
      response.writeHead(201, { 'depot-generation': made.gid }).end(JSON.stringify(made))
      return true
    }
    const rolledBack = await client.rollback('2', 'oops')
    expect(rolledBack).toMatchObject({ generation: { gid: depot.head.gid }, changed: true })
    expect(await floor.read()).toBe(depot.head.gid)
  })

  it('stays where it is when what was committed cannot be compared with it', async () => {
    await using depot = await depotAtThree()
    const foreign = `g9.${OTHER}.0123456789abcdef` as Gid
    const floor = new MemoryFloor(foreign)
    await clientOf(depot, { floor }).client.stage('s1').commit()
    expect(await floor.read()).toBe(foreign)
  })
})

describe('watching', () => {
  it('asks for a head after one, as long as the depot waits at most, until there is one', async () => {
    await using depot = await depotAtThree()
    const before = depot.head
    depot.takeOver = ({ response, url }) => {
      if (url.searchParams.get('after') !== depot.head.gid) return false
      response.writeHead(304, { 'depot-generation': depot.head.gid }).end()
      if (depot.asked.length === 2) depot.commit([])
      return true
    }
    const { client } = clientOf(depot)
    expect(await client.watch(before.gid, 60)).toEqual(depot.head)
    expect(depot.headers.map(({ prefer }) => prefer)).toEqual(['wait=25', 'wait=25', 'wait=25'])
    expect(depot.headers[0]?.['depot-min-generation']).toBe(before.gid)
  })

  it('ends without one when its time is over', async () => {
    await using depot = await depotAtThree()
    const { client, clock } = clientOf(depot)
    depot.takeOver = async ({ response }) => {
      await clock.sleep(25_000)
      response.writeHead(304, { 'depot-generation': depot.head.gid }).end()
      return true
    }
    expect(await client.watch(depot.head.gid, 40)).toBeUndefined()
    expect(depot.headers.map(({ prefer }) => prefer)).toEqual(['wait=25', 'wait=15'])
  })

  it('does not take the old head for a new one', async () => {
    await using depot = await depotAtThree()
    await expectFailure(clientOf(depot).client.watch(depot.head.gid, 5), 'answer-invalid')
  })
})
