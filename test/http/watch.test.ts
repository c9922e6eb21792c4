/**
 * The watch: `GET /v1/head?after=<gid>` with `Prefer: wait=N` is woken by the commit, ends with 304 when none came, and
 * leaves nothing behind when the client goes away.
 */
import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { publish } from '../support/publish.ts'
import { rawConnection } from '../support/raw-socket.ts'
import { runningDepot, type TestDepot } from '../support/running-depot.ts'
import { type Asking, asking } from './well-formed.ts'

let depot: TestDepot
let ask: Asking
let next = 0

beforeAll(async () => {
  depot = await runningDepot()
  ask = asking(depot)
})
afterAll(async () => {
  await depot[Symbol.asyncDispose]()
})

async function commit(): Promise<string> {
  next += 1
  return (await publish(depot.client, { name: 'news', version: `1.0.${next}` })).gid
}

async function headGid(): Promise<string> {
  return (await ask('/v1/head')).json<{ gid: string }>().gid
}

async function untilWaiting(count: number): Promise<void> {
  await expect
    .poll(async () => (await ask('/metrics')).text, { timeout: 20_000 })
    .toMatch(new RegExp(`^depot_watchers ${count}$`, 'm'))
}

describe('the watch', () => {
  it('is woken by the commit', async () => {
    const after = await headGid()
    const watched = ask(`/v1/head?after=${after}`, { headers: { prefer: 'wait=20' } })
    await untilWaiting(1)
    const committed = await commit()
    const answer = await watched
    expect([answer.status, answer.json()['gid']]).toEqual([200, committed])
    expect(answer.header('depot-generation')).toBe(committed)
    expect(answer.header('preference-applied')).toBe('wait=20')
    expect(answer.header('etag')).toContain(committed)
    await untilWaiting(0)
  })

  it('answers at once when the head is another one already', async () => {
    const after = await headGid()
    const committed = await commit()
    const answer = await ask(`/v1/head?after=${after}`, { headers: { prefer: 'wait=20' } })
    expect(answer.json()['gid']).toBe(committed)
  })

  it('ends with 304 when no commit came', async () => {
    const after = await headGid()
    const begun = performance.now()
    const answer = await ask(`/v1/head?after=${after}`, { headers: { prefer: 'wait=1' } })
    expect([answer.status, answer.header('depot-generation')]).toEqual([304, after])
    expect(answer.header('preference-applied')).toBe('wait=1')
    expect(performance.now() - begun).toBeGreaterThan(900)
    await untilWaiting(0)
  })

  it.each([undefined, 'wait=0', 'respond-async', 'wait=soon'])(
    'does not wait when it prefers %s',
    async (prefer) => {
      const after = await headGid()
      const begun = performance.now()
      const answer = await ask(`/v1/head?after=${after}`, { headers: prefer === undefined ? {} : { prefer } })
      expect(answer.status).toBe(304)
      expect(performance.now() - begun).toBeLessThan(1_000)
    },
  )

  it('waits with HEAD as with GET', async () => {
    const after = await headGid()
    const watched = ask(`/v1/head?after=${after}`, { method: 'HEAD', headers: { prefer: 'wait=20' } })
    await untilWaiting(1)
    const committed = await commit()
    expect([(await watched).status, (await watched).header('depot-generation')]).toEqual([200, committed])
  })

  it('refuses what is no gid, and does not wait for a floor that nobody announced', async () => {
    expect((await ask('/v1/head?after=1')).status).toBe(400)
    const after = await headGid()
    const headers = { prefer: 'wait=20', 'depot-min-generation': after.replace(/^g\d+/, 'g999') }
    expect((await ask(`/v1/head?after=${after}`, { headers })).status).toBe(412)
  })

  it('forgets a client that has gone away', async () => {
    const after = await headGid()
    const connection = await rawConnection(depot.url)
    connection.send(`GET /v1/head?after=${after} HTTP/1.1\r\nHost: x\r\nPrefer: wait=20\r\n\r\n`)
    await untilWaiting(1)
    await connection[Symbol.asyncDispose]()
    await untilWaiting(0)
  })

  it('is answered before what was sent behind it on the same connection is refused', async () => {
    const after = await headGid()
    await using connection = await rawConnection(depot.url)
    connection.send(
      `GET /v1/head?after=${after} HTTP/1.1\r\nHost: x\r\nPrefer: wait=20\r\n\r\nNO HTTP\r\n\r\n`,
    )
    await untilWaiting(1)
    const committed = await commit()
    const answer = await connection.answer()
    expect([answer.status, answer.json()['gid']]).toEqual([200, committed])
    expect((await connection.answer()).status).toBe(400)
    await connection.closed()
  })

  it('wakes two thousand at once, each with the new head, and the depot answers others meanwhile', async () => {
    const after = await headGid()
    const agent = new Agent({ keepAlive: false, maxSockets: 3_000 })
    const options = { agent, headers: { prefer: 'wait=25' } }
    const watchers = Array.from({ length: 2_000 }, async () => {
      const request = get(`${depot.url}/v1/head?after=${after}`, options)
      const [answer] = (await once(request, 'response')) as [NodeJS.ReadableStream & { headers: object }]
      let text = ''
      for await (const piece of answer) text += String(piece)
      return (JSON.parse(text) as { gid: string }).gid
    })
    await untilWaiting(2_000)
    const committed = await commit()
    expect((await ask('/livez')).status).toBe(200)
    expect(new Set(await Promise.all(watchers))).toEqual(new Set([committed]))
    await untilWaiting(0)
  })
})
