/**
 * What a node does with requests in each of its states, over sockets (PROTOCOL §5, §6). Time stands still: a hold takes
 * as long as the node that is asked to wait says.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { failure } from '../../src/model/errors.ts'
import { published } from '../depot/an-engine.ts'
import { metric, nextOf, OF_ORIGIN, type Replicating, replicating } from './a-node.ts'

let here: Replicating

beforeEach(async () => {
  here = await replicating()
})
afterEach(async () => {
  await here[Symbol.asyncDispose]()
})

const ENTRIES = [
  '/v1/head',
  '/v1/channels',
  '/v1/channels/stable/catalog',
  '/v1/channels/stable/manifests/hello',
]
const VERSIONED = '/v1/channels/stable/manifests/hello/1.0.0'
const ABSENT = '/v1/channels/stable/manifests/hello/9.9.9'

function headGid(): string {
  return here.at.depot.head.now().gid
}

/** The node has copied what it had heard of. */
async function catchUp(): Promise<void> {
  await published(here.at, { version: '2.0.0' })
  here.node.mode = 'fresh'
}

describe('a node that is fresh', () => {
  it('says that a version is nowhere only after the origin has told it what is newest', async () => {
    expect((await here.ask(VERSIONED)).status).toBe(200)
    expect(here.node.confirms).toBe(0)
    const absent = await here.ask(ABSENT)
    expect([absent.status, absent.header('depot-generation'), here.node.confirms]).toEqual([
      404,
      headGid(),
      1,
    ])
    // It was cut off, and does not know it yet.
    here.node.onConfirm = async () => {
      here.node.mode = 'lag'
      return await Promise.resolve()
    }
    here.origin = 'answers'
    expect((await here.ask(ABSENT)).text).toBe(OF_ORIGIN)
    expect(here.relayed).toEqual(['origin'])
  })

  it('says nothing of it while the origin is silent', async () => {
    here.node.onConfirm = async () =>
      await Promise.reject(failure('origin-unreachable', { reason: 'it does not answer' }))
    const absent = await here.ask(ABSENT)
    expect([absent.status, absent.problem]).toEqual([503, 'origin-unreachable'])
    expect((await here.ask(VERSIONED)).status).toBe(200)
  })
})

describe('a node that lags', () => {
  beforeEach(() => {
    here.node.mode = 'lag'
  })

  it.each(ENTRIES)('has the origin answer %s, and never answers from its old head', async (path) => {
    here.origin = 'answers'
    const answer = await here.ask(path)
    expect([answer.status, answer.text]).toEqual([200, OF_ORIGIN])
    expect(answer.header('depot-generation')).toBe(nextOf(here.at))
    expect([here.relayed, here.node.waits]).toEqual([['origin'], []])
  })

  it('waits for its own head when the origin does not answer, and serves that', async () => {
    const old = headGid()
    here.node.onHold = catchUp
    const answer = await here.ask('/v1/head')
    expect([answer.status, answer.json()['gid']]).toEqual([200, headGid()])
    expect(answer.header('depot-generation')).toBe(headGid())
    expect(headGid()).not.toBe(old)
    expect([here.relayed, here.node.waits]).toEqual([['origin'], [2_000]])
  })

  it('waits again when it was woken for something else, for what is left of its time', async () => {
    here.node.onHold = async (waitMs) => {
      here.at.clock.advance(Math.min(waitMs, 800))
      await Promise.resolve()
    }
    const answer = await here.ask('/v1/head')
    expect([answer.status, answer.problem]).toEqual([503, 'generation-behind'])
    expect(here.node.waits).toEqual([2_000, 1_200, 400])
    expect([await metric(here, 'depot_requests_held_total'), here.relayed]).toEqual([1, ['origin']])
  })

  it.each([
    [{}, [2_000], undefined],
    [{ prefer: 'wait=1' }, [1_000], 'wait=1'],
    [{ prefer: 'wait=60' }, [10_000], 'wait=10'],
    [{ prefer: 'wait=0' }, [], undefined],
  ])('refuses with %j after waits of %j', async (headers, waits, applied) => {
    here.node.heard = nextOf(here.at)
    for (const method of ['GET', 'HEAD']) {
      here.node.waits.length = 0
      const answer = await here.ask('/v1/channels', { method, headers })
      expect([answer.status, here.node.waits]).toEqual([503, waits])
      expect(answer.header('retry-after')).toBe('1')
      expect(answer.header('cache-control')).toBe('no-store')
      expect(answer.header('depot-generation')).toBe(headGid())
      expect(answer.header('preference-applied')).toBe(applied)
      if (method === 'GET')
        expect(answer.json()).toMatchObject({
          type: '/problems/generation-behind',
          wanted: nextOf(here.at),
          generation: headGid(),
        })
    }
  })

  it('holds HEAD as it holds GET', async () => {
    here.node.onHold = catchUp
    const answer = await here.ask('/v1/head', { method: 'HEAD' })
    expect([answer.status, answer.header('depot-generation')]).toEqual([200, headGid()])
    expect(here.node.waits).toEqual([2_000])
  })

  it('serves a version that it has, and asks the origin for one that it has not', async () => {
    expect((await here.ask(VERSIONED)).status).toBe(200)
    expect(here.relayed).toEqual([])
    const behind = await here.ask(ABSENT)
    expect([behind.status, behind.problem]).toEqual([503, 'generation-behind'])
    here.origin = 'answers'
    expect((await here.ask(ABSENT)).text).toBe(OF_ORIGIN)
    expect(here.relayed).toEqual(['origin', 'origin'])
  })

  it('serves pins and objects that are here', async () => {
    expect((await here.ask(`/g/${headGid()}/v1/channels`)).status).toBe(200)
    expect([here.relayed, here.node.waits]).toEqual([[], []])
  })
})

describe('a node that is fenced', () => {
  beforeEach(() => {
    here.node.mode = 'fenced'
    here.origin = 'answers'
  })

  it('waits, and has nobody else answer', async () => {
    here.node.onHold = catchUp
    const answer = await here.ask('/v1/head')
    expect([answer.status, answer.json()['gid']]).toEqual([200, headGid()])
    expect([here.relayed, here.node.waits]).toEqual([[], [2_000]])
  })

  it.each(['', 'met', 'head'])('refuses when the fence stays up, with the floor "%s"', async (floor) => {
    const value = floor === 'met' ? headGid() : floor
    const headers: Record<string, string> = value === '' ? {} : { 'depot-min-generation': value }
    const answer = await here.ask('/v1/head', { headers })
    expect([answer.status, answer.problem]).toEqual([503, 'generation-behind'])
    expect(here.relayed).toEqual([])
  })
})

describe('a node that boots', () => {
  it('refuses what changes with the head, and serves what is fixed for ever', async () => {
    const [file] = await objects()
    here.node.mode = 'boot'
    here.origin = 'answers'
    for (const path of [...ENTRIES, VERSIONED, ABSENT]) {
      const answer = await here.ask(path)
      expect([path, answer.status, answer.problem]).toEqual([path, 503, 'booting'])
      expect(answer.header('retry-after')).toBe('1')
    }
    expect((await here.ask('/v1/stages', { method: 'POST' })).problem).toBe('booting')
    expect((await here.ask(`/g/${headGid()}/v1/channels`)).status).toBe(200)
    expect((await here.ask(file ?? '')).status).toBe(200)
    expect(here.relayed).toEqual([])
  })
})

async function objects(): Promise<readonly string[]> {
  const manifest = await here.ask(VERSIONED)
  const { files } = manifest.json<{ files: { digest: string }[] }>()
  return files.map(({ digest }) => `/o/sha256/${digest.replace('sha256:', '')}`)
}

describe('a node that is cut off', () => {
  beforeEach(() => {
    here.node.mode = 'cut'
    here.origin = 'answers'
  })

  it('refuses what may have changed', async () => {
    for (const path of ENTRIES) {
      const answer = await here.ask(path)
      expect([path, answer.status, answer.problem]).toEqual([path, 503, 'head-unconfirmed'])
      expect(answer.json()['generation']).toBe(headGid())
    }
    expect(here.relayed).toEqual([])
  })

  it('serves what it has where it is told to', async () => {
    here.node.whenCut = 'serve'
    for (const path of ENTRIES) expect([path, (await here.ask(path)).status]).toEqual([path, 200])
    const ahead = { 'depot-min-generation': nextOf(here.at) }
    expect((await here.ask('/v1/head', { headers: ahead })).problem).toBe('origin-unreachable')
    const confirmed = { 'depot-min-generation': 'head' }
    expect((await here.ask('/v1/head', { headers: confirmed })).problem).toBe('origin-unreachable')
  })

  it('serves a version that it has, and says of none that it is not there', async () => {
    expect((await here.ask(VERSIONED)).status).toBe(200)
    expect((await here.ask(ABSENT)).problem).toBe('head-unconfirmed')
    expect((await here.ask(`/o/sha256/${'0'.repeat(64)}`)).problem).toBe('blob-unavailable')
    expect((await here.ask('/v1/stages', { method: 'POST' })).problem).toBe('origin-unreachable')
  })
})
