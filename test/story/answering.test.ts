/**
 * Nodes that answer for each other, as processes of their own: many who ask for what is not here, an upstream that falls
 * silent, and what was passed over when the origin is gone (PROTOCOL §5, §6).
 */
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { sourceOfBytes } from '../../src/client/index.ts'
import { hexOf } from '../../src/model/digest.ts'
import { exchange } from '../support/exchange.ts'
import { publish } from '../support/publish.ts'
import { TcpRelay } from '../support/tcp-relay.ts'
import { Chain, fileOf, headAt, publishNumber, stateIn } from './chain.ts'
import type { Served } from './served.ts'

let chain: Chain
let origin: Served

beforeEach(async () => {
  chain = await Chain.open()
  origin = chain.origin
})

afterEach(async () => {
  await chain[Symbol.asyncDispose]()
})

describe('a heartbeat to a replica', () => {
  it('is answered by the origin: the word of a replica is none', async () => {
    const first = await chain.replica('r1', origin.url)
    const gid = await publishNumber(origin, 1)
    const report = { role: 'replica', state: 'boot', head: null, known: null }
    const answer = await fetch(`${first.url}/v1/nodes/r7/heartbeat`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${chain.token}` },
      body: JSON.stringify(report),
    })
    const body = (await answer.json()) as { head: string; nodes: { id: string }[] }
    expect([answer.status, body.head]).toEqual([200, gid])
    expect(body.nodes.map(({ id }) => id)).toEqual(['r1', 'r7'])
  })
})

describe('many who ask a replica for an object that it has not', () => {
  it('have the origin asked once, and it is here then', async () => {
    const node = await chain.replica('r1', origin.url)
    const bytes = randomBytes(4_000_000)
    const stage = await origin.client.openStage({ message: 'not committed, so no replica copies it' })
    const source = sourceOfBytes(bytes)
    await stage.upload([source])
    const path = `/o/sha256/${hexOf(source.digest)}`
    const all = await Promise.all(
      Array.from({ length: 40 }, async () => (await exchange(node.url, path)).body.equals(bytes)),
    )
    expect(new Set(all)).toEqual(new Set([true]))
    expect(await objectsGiven()).toBe(1)
    const none = await exchange(node.url, `/o/sha256/${'0'.repeat(64)}`)
    expect([none.status, none.problem, none.header('cache-control')]).toEqual([404, 'not-found', 'no-store'])
    await origin.end('SIGKILL')
    expect((await exchange(node.url, path)).body.equals(bytes)).toBe(true)
    const unknown = await exchange(node.url, `/o/sha256/${'0'.repeat(64)}`)
    expect([unknown.status, unknown.problem]).toEqual([503, 'blob-unavailable'])
  })
})

/** How many objects the origin has sent. */
async function objectsGiven(): Promise<number> {
  const text = await (await fetch(`${origin.url}/metrics`)).text()
  const lines = text.split('\n').filter((line) => /_count\{.*"\/o\/sha256\/:hex".*"200"/.test(line))
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

describe('a replica whose upstream falls silent', () => {
  it('answers each read within what it may wait, and a little', async () => {
    await using link = await TcpRelay.to(origin.url)
    const node = await chain.replica('r1', link.url)
    const gid = await publishNumber(origin, 1)
    await expect.poll(async () => await headAt(node), { timeout: 10_000 }).toBe(`200 ${gid} r1 fresh`)
    // It hears of the next one, and its bytes take much longer than this test.
    link.set({ bytesPerSecond: 50_000 }, 'down')
    const files = { f: randomBytes(8_000_000) }
    const next = await publish(origin.client, { name: 'large', version: '1.0.0', files })
    await expect
      .poll(async () => stateIn((await fetch(`${node.url}/livez`)).headers), { timeout: 10_000 })
      .toBe('lag')
    link.silence()
    const asked = ['/v1/head', `/g/${next.gid}/v1/channels`, `/o/sha256/${'0'.repeat(64)}`]
    for (const path of asked) {
      const began = performance.now()
      const answer = await exchange(node.url, path, { headers: { prefer: 'wait=1' } })
      const tookMs = performance.now() - began
      expect([path, answer.status, answer.header('cache-control')]).toEqual([path, 503, 'no-store'])
      expect(Number(answer.header('retry-after'))).toBeGreaterThan(0)
      // 1.25 s, and time for a machine that is busy; an upstream that is silent is given up after 30 s.
      expect(tookMs).toBeLessThan(5_000)
    }
    expect(await fileOf(node, gid, 1)).toBe(`200 ${gid} 1\n`)
  })
})

describe('a replica that has jumped to the head', () => {
  it('can be asked for all that it has passed over, also when the origin is gone', async () => {
    const gids: string[] = []
    for (let number = 1; number <= 5; number += 1) gids.push(await publishNumber(origin, number))
    const node = await chain.replica('r1', origin.url)
    const filled = (): number => node.log().split('a generation that was passed over is here').length - 1
    // g0 to g4.
    await expect.poll(filled, { timeout: 10_000 }).toBe(5)
    await origin.end('SIGKILL')
    for (const [at, gid] of gids.entries())
      expect(await fileOf(node, gid, at + 1)).toBe(`200 ${gid} ${at + 1}\n`)
  })
})
