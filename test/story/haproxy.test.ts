/**
 * HAProxy as `depot lb-config haproxy` sets it up, in front of real depots and of such that only play one: whom it asks,
 * and what it asks twice.
 */
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { connect } from '../../src/client/index.ts'
import { exchange } from '../support/exchange.ts'
import { type FakeReplica, fakeReplica, hangUp, refuse } from '../support/fake-replica.ts'
import { publish } from '../support/publish.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { type Balancer, balancer, needs } from './balancer.ts'
import { logOfDraining } from './draining.ts'
import { expectSentOnce, troubles } from './sent-once.ts'
import { served } from './served.ts'

const TRIES = 20
/** Checks come every half second or second, and two or three of them decide. */
const DECIDED = { timeout: 20_000, interval: 100 }

beforeEach(needs('haproxy'))

/** Who answers a row of requests. */
async function answering(front: Balancer): Promise<string> {
  const names = new Set<string>()
  for (let count = 0; count < 8; count += 1) {
    const answer = await exchange(front.url, '/v1/head')
    names.add(answer.status === 200 ? answer.text : String(answer.status))
  }
  return [...names].sort().join(' ')
}

describe('HAProxy in front of two', () => {
  it('finds real depots well, and takes reads and uploads to them', async () => {
    await using folder = await temporaryFolder()
    await using depot = await served({ data: join(folder.path, 'data') })
    await using other = await fakeReplica('other')
    other.ready = false
    other.serving = false
    await using front = await balancer('haproxy', [depot.url, other.url])
    await expect.poll(() => front.log(), DECIDED).toContain('Server lax/r2 is DOWN')
    const client = connect({ url: front.url, token: depot.token })
    const large = new Uint8Array(3_000_000).fill(7)
    const { gid } = await publish(client, { name: 'hello', version: '1.0.0', files: { large } })
    const answer = await exchange(front.url, `/g/${gid}/v1/channels/stable/files/hello/1.0.0/large`)
    expect([answer.status, answer.body.equals(large)]).toEqual([200, true])
    expect(front.log()).not.toMatch(/Server (?:depot|lax)\/r1 is DOWN/)
    expect(other.asked).toEqual([])
  })

  it('lets no GET fail while one depot drains, and when it is gone', async () => {
    expect(await logOfDraining('haproxy', 2)).toContain('Server depot/r1 is DOWN')
  })

  it('lets no GET fail when one depot is killed', async () => {
    await using folder = await temporaryFolder()
    await using one = await served({ data: join(folder.path, 'one') })
    await using two = await served({ data: join(folder.path, 'two') })
    await using front = await balancer('haproxy', [one.url, two.url])
    expect((await exchange(front.url, '/v1/head')).status).toBe(200)
    await one.end('SIGKILL')
    for (let count = 0; count < TRIES; count += 1)
      expect((await exchange(front.url, '/v1/head')).status).toBe(200)
  })

  it('finds the one that is left when the others were killed at one moment', async () => {
    await using left = await fakeReplica('left')
    for (let round = 0; round < 5; round += 1) {
      const others = await Promise.all([fakeReplica('one'), fakeReplica('two')])
      await using front = await balancer(
        'haproxy',
        [left, ...others].map(({ url }) => url),
      )
      for (const other of others) await other[Symbol.asyncDispose]()
      // At once and many: the balancer chooses for each of them while it has not looked yet.
      const answers = await Promise.all(
        Array.from({ length: TRIES }, async () => await exchange(front.url, '/v1/head')),
      )
      expect(new Set(answers.map(({ status, text }) => `${status} ${text}`))).toEqual(new Set(['200 left']))
    }
  })

  it('asks those that can serve only when none is ready, and comes back', async () => {
    await using one = await fakeReplica('one')
    await using two = await fakeReplica('two')
    await using front = await balancer('haproxy', [one.url, two.url])
    const settles = async (who: string): Promise<void> =>
      await expect.poll(async () => await answering(front), DECIDED).toBe(who)
    await settles('one two')
    one.ready = false
    await settles('two')
    two.ready = false
    await settles('one two')
    two.serving = false
    await settles('one')
    two.serving = true
    two.ready = true
    await settles('two')
    one.ready = true
    await settles('one two')
    for (const replica of [one, two]) {
      replica.ready = false
      replica.serving = false
    }
    await settles('503')
  })
})

describe('what HAProxy sends twice', () => {
  it.each([
    ['refuses', refuse, 'GET'],
    ['breaks off', hangUp, 'GET'],
    ['refuses', refuse, 'HEAD'],
  ])('when a replica %s, a GET goes to the other one', async (_what, respond, method) => {
    await using bad = await fakeReplica('bad')
    await using good = await fakeReplica('good')
    bad.respond = respond
    await using front = await balancer('haproxy', [bad.url, good.url])
    for (let count = 0; count < TRIES; count += 1)
      expect((await exchange(front.url, '/v1/head', { method })).status).toBe(200)
    expect(bad.asked.length).toBeGreaterThan(0)
    // A 503 is about one request: it puts nobody out.
    expect(front.log()).not.toContain('DOWN')
  })

  it.each(troubles(['POST', 'PUT', 'PATCH', 'DELETE']))(
    'when a replica %s, a %s is not sent again',
    async (_what, method, respond, statuses) => {
      await expectSentOnce('haproxy', { method, respond, statuses })
    },
  )

  it('sends a POST to the other one when nothing was sent, for nobody listened', async () => {
    await using good = await fakeReplica('good')
    const gone: FakeReplica = await fakeReplica('gone')
    await gone[Symbol.asyncDispose]()
    await using front = await balancer('haproxy', [gone.url, good.url])
    for (let count = 0; count < TRIES; count += 1)
      expect((await exchange(front.url, '/v1/x', { method: 'POST', body: 'once' })).status).toBe(200)
    expect(good.asked).toHaveLength(TRIES)
  })
})
