/**
 * How long a request waits at the gate, for this node and for others (PROTOCOL §6, I16). Time stands still: a hold takes
 * as long as the node that is asked to wait says, and a relay as long as a test says.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/model/limits.ts'
import { published } from '../depot/an-engine.ts'
import { nextOf, OF_ORIGIN, type Replicating, replicating } from './a-node.ts'

let here: Replicating

beforeEach(async () => {
  here = await replicating()
})
afterEach(async () => {
  await here[Symbol.asyncDispose]()
})

const { holdGraceMs: GRACE, holdElsewhereMs: BRIEF } = LIMITS
const HEX = '0'.repeat(64)

describe('a hold while another node has what is wanted', () => {
  beforeEach(() => {
    here.node.isElsewhere = true
    here.node.heard = nextOf(here.at)
  })

  it.each([{}, { prefer: 'wait=5' }])(
    'is brief, so that the balancer finds that one: %j',
    async (headers) => {
      here.node.mode = 'lag'
      for (const path of ['/v1/head', `/g/${nextOf(here.at)}/v1/channels`]) {
        here.node.waits.length = 0
        const answer = await here.ask(path, { headers })
        expect([path, answer.status, here.node.waits]).toEqual([path, 503, [BRIEF]])
        expect(answer.header('preference-applied')).toBeUndefined()
      }
    },
  )

  it('is brief also in parts, and before the origin is asked', async () => {
    here.node.onHold = async (waitMs) => {
      here.at.clock.advance(Math.min(waitMs, 100))
      await Promise.resolve()
    }
    here.origin = 'answers'
    const answer = await here.ask('/v1/head', { headers: { 'depot-min-generation': nextOf(here.at) } })
    expect([answer.status, answer.text]).toEqual([200, OF_ORIGIN])
    expect(here.node.waits).toEqual([BRIEF, BRIEF - 100, BRIEF - 200])
    expect(here.within).toEqual([2_000 - BRIEF + GRACE])
  })

  it('is never longer than it may be', async () => {
    here.node.mode = 'lag'
    await here.ask('/v1/head', { headers: { prefer: 'wait=0' } })
    expect(here.node.waits).toEqual([])
  })

  it.each(['fenced', 'cut'] as const)(
    'lasts its time at a node that is %s: others are no better',
    async (mode) => {
      here.node.mode = mode
      await here.ask('/v1/head', { headers: { 'depot-min-generation': nextOf(here.at) } })
      expect(here.node.waits).toEqual([2_000])
    },
  )
})

describe('a read that another node is to answer', () => {
  it.each([
    [{}, 2_000 + GRACE],
    [{ prefer: 'wait=0' }, GRACE],
    [{ prefer: 'wait=3' }, 3_000 + GRACE],
    [{ prefer: 'wait=60' }, 10_000 + GRACE],
  ])('has its first byte within what it may wait and a little, with %j', async (headers, within) => {
    expect(GRACE).toBeLessThanOrEqual(250)
    here.node.mode = 'lag'
    here.node.heard = nextOf(here.at)
    const paths = ['/v1/head', `/g/${nextOf(here.at)}/v1/channels`, `/o/sha256/${HEX}`]
    for (const path of [...paths, '/v1/channels/stable/manifests/hello/9.9.9']) {
      here.within.length = 0
      await here.ask(path, { headers })
      expect([path, here.within]).toEqual([path, [within]])
    }
  })

  it('waits for nothing any more when it had none of that', async () => {
    await using slow = await replicating({
      relay: async (_request, _reply, { withinMs = 0 }) => {
        slow.at.clock.advance(withinMs)
        return await Promise.resolve(false)
      },
    })
    slow.node.mode = 'lag'
    const answer = await slow.ask('/v1/head')
    expect([answer.status, answer.problem, slow.node.waits]).toEqual([503, 'generation-behind', []])
    expect(answer.header('retry-after')).toMatch(/^[123]$/)
  })

  it('takes its time when it is of a stage, or changes something', async () => {
    await here.ask('/v1/stages/s1')
    await here.ask('/v1/stages', { method: 'POST' })
    expect(here.within).toEqual([undefined, undefined])
  })
})

describe('a watch', () => {
  it('for what is newer than all that is known waits here, and is not taken to the origin', async () => {
    here.node.mode = 'lag'
    here.node.heard = nextOf(here.at)
    here.origin = 'answers'
    const answer = await here.ask(`/v1/head?after=${nextOf(here.at)}`)
    expect([answer.status, answer.problem]).toEqual([503, 'generation-behind'])
    expect([here.relayed, here.node.waits]).toEqual([[], [2_000]])
    here.node.onHold = async () => {
      here.node.mode = 'fresh'
      here.node.heard = (await published(here.at, { version: '2.0.0' })).gid
    }
    const woken = await here.ask(`/v1/head?after=${nextOf(here.at)}`)
    expect([woken.status, woken.header('depot-generation')]).toEqual([200, here.at.depot.head.now().gid])
  })

  it('for what the origin has and this node has not is answered by the origin at once', async () => {
    here.node.mode = 'lag'
    here.node.heard = nextOf(here.at)
    here.origin = 'answers'
    expect((await here.ask(`/v1/head?after=${here.at.depot.head.now().gid}`)).text).toBe(OF_ORIGIN)
    expect(here.node.waits).toEqual([])
  })
})

it('Preference-Applied answers a preference to wait, and no other', async () => {
  here.node.mode = 'lag'
  const answer = await here.ask('/v1/head', { headers: { prefer: 'return=minimal' } })
  expect([answer.header('preference-applied'), here.node.waits]).toEqual([undefined, [2_000]])
})
