/**
 * Floors and pins that this node has not, at a node that follows another one, and clients that do not wait for them to
 * come (PROTOCOL §5, §6).
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { failure } from '../../src/model/errors.ts'
import { published } from '../depot/an-engine.ts'
import { rawConnection } from '../support/raw-socket.ts'
import { metric, nextOf, OF_ORIGIN, type Replicating, replicating } from './a-node.ts'

let here: Replicating

beforeEach(async () => {
  here = await replicating()
})
afterEach(async () => {
  await here[Symbol.asyncDispose]()
})

function headGid(): string {
  return here.at.depot.head.now().gid
}

describe('a floor', () => {
  it('that was announced is waited for', async () => {
    here.node.heard = nextOf(here.at, 2)
    const headers = { 'depot-min-generation': nextOf(here.at, 1) }
    here.node.onHold = async () => {
      await published(here.at, { version: '2.0.0' })
      await published(here.at, { version: '3.0.0' })
      here.node.heard = undefined
    }
    const answer = await here.ask('/v1/head', { headers })
    expect([answer.status, answer.json()['gid'], here.node.confirms]).toEqual([200, headGid(), 0])
    expect(here.node.waits).toEqual([2_000])
  })

  it('that was announced and does not come is asked of the origin, and then refused', async () => {
    here.node.heard = nextOf(here.at)
    const headers = { 'depot-min-generation': nextOf(here.at) }
    const answer = await here.ask('/v1/head', { headers })
    expect([answer.status, answer.problem]).toEqual([503, 'generation-behind'])
    expect(answer.json()).toMatchObject({ wanted: nextOf(here.at), generation: headGid() })
    expect([here.node.waits, here.relayed]).toEqual([[2_000], ['origin']])
  })

  it('that nobody announced is refused after one question, without waiting', async () => {
    const headers = { 'depot-min-generation': nextOf(here.at), prefer: 'wait=10' }
    const answer = await here.ask('/v1/head', { headers })
    expect([answer.status, answer.problem]).toEqual([412, 'generation-unknown'])
    expect([here.node.confirms, here.node.waits, here.relayed]).toEqual([1, [], []])
  })

  it('that the origin knows after all is waited for', async () => {
    here.node.onConfirm = async () => {
      here.node.heard = nextOf(here.at)
      await Promise.resolve()
    }
    const answer = await here.ask('/v1/head', { headers: { 'depot-min-generation': nextOf(here.at) } })
    expect([answer.problem, here.node.confirms, here.node.waits]).toEqual(['generation-behind', 1, [2_000]])
  })

  it('of `head` is confirmed, and then served', async () => {
    const headers = { 'depot-min-generation': 'head' }
    expect((await here.ask('/v1/head', { headers })).status).toBe(200)
    expect([here.node.confirms, await metric(here, 'depot_requests_confirmed_total')]).toEqual([1, 1])
    here.node.onConfirm = async () => {
      here.node.mode = 'lag'
      await Promise.resolve()
    }
    here.origin = 'answers'
    expect((await here.ask('/v1/head', { headers })).text).toBe(OF_ORIGIN)
  })

  it('cannot be met where the origin does not answer', async () => {
    here.node.onConfirm = async () => {
      await Promise.reject(failure('origin-unreachable', { reason: 'it is away' }))
    }
    for (const floor of ['head', nextOf(here.at), 'g1.aaaaaaaaaaaa.0123456789abcdef']) {
      const answer = await here.ask('/v1/head', { headers: { 'depot-min-generation': floor } })
      expect([floor, answer.status, answer.problem]).toEqual([floor, 503, 'origin-unreachable'])
      expect(answer.header('retry-after')).toBe('5')
    }
  })

  it('of another depot is refused after one question', async () => {
    const headers = { 'depot-min-generation': 'g1.aaaaaaaaaaaa.0123456789abcdef' }
    const answer = await here.ask('/v1/head', { headers })
    expect([answer.status, answer.problem, here.node.confirms]).toEqual([412, 'lineage-foreign', 1])
  })
})

describe('a pin', () => {
  it('that was announced is answered by another node, or waited for', async () => {
    here.node.heard = nextOf(here.at)
    const path = `/g/${nextOf(here.at)}/v1/channels`
    const behind = await here.ask(path)
    expect([behind.status, behind.problem, here.node.waits]).toEqual([503, 'generation-behind', [2_000]])
    expect(here.relayed).toEqual(['any'])
    here.origin = 'answers'
    expect((await here.ask(path)).text).toBe(OF_ORIGIN)
  })

  it('that a catalog is to be compared with is asked as a pin is, and never called lost by a node that lags', async () => {
    here.node.heard = nextOf(here.at)
    const path = `/v1/channels/stable/catalog?since=${nextOf(here.at)}`
    const behind = await here.ask(path)
    expect([behind.status, behind.problem]).toEqual([503, 'generation-behind'])
    here.origin = 'answers'
    const own = here.at.depot.head.now().gid
    for (const each of [path, `/g/${own}${path}`]) expect((await here.ask(each)).text).toBe(OF_ORIGIN)
    here.node.heard = own
    here.node.mode = 'cut'
    expect((await here.ask(path)).problem).toBe('origin-unreachable')
    here.node.mode = 'fresh'
    const unknown = await here.ask(path)
    expect([unknown.status, unknown.problem, here.node.confirms]).toEqual([410, 'generation-lost', 1])
    expect((await here.ask(`/v1/channels/stable/catalog?since=${own}`)).status).toBe(200)
  })

  it('that nobody announced is not there, after one question', async () => {
    const answer = await here.ask(`/g/${nextOf(here.at)}/v1/channels`)
    expect([answer.status, answer.problem]).toEqual([404, 'generation-unknown'])
    expect([here.node.confirms, here.node.waits]).toEqual([1, []])
  })
})

describe('a client that goes away', () => {
  it('is waited for no more, and nothing else is done for it', async () => {
    const { promise: held, resolve: onHeld } = Promise.withResolvers<void>()
    const { promise: left, resolve: onLeft } = Promise.withResolvers<void>()
    here.node.heard = nextOf(here.at)
    here.node.onHold = async (_, signal) => {
      signal.addEventListener('abort', () => {
        onLeft()
      })
      onHeld()
      await left
    }
    const connection = await rawConnection(here.face.url)
    connection.send(`GET /v1/head HTTP/1.1\r\nHost: x\r\nDepot-Min-Generation: ${nextOf(here.at)}\r\n\r\n`)
    await held
    expect(await metric(here, 'depot_holds')).toBe(1)
    await connection[Symbol.asyncDispose]()
    await left
    expect(await metric(here, 'depot_holds')).toBe(0)
    expect([here.node.waits, here.relayed]).toEqual([[2_000], []])
  })
})
