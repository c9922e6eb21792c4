/**
 * A replica from outside, over an origin that is heard through a door: what it says before it has anything, when an
 * answer to a write goes out, and where it sends a client when it cannot answer itself.
 */
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type RunningDepot, startDepot } from '../../src/app/app.ts'
import type { Config } from '../../src/app/config.ts'
import { connect } from '../../src/client/index.ts'
import { expectWellFormed } from '../http/well-formed.ts'
import { type Door, doorTo, onlyHeartbeats } from '../support/door.ts'
import { type Answer, exchange } from '../support/exchange.ts'
import { publish } from '../support/publish.ts'
import { rawExchange } from '../support/raw-socket.ts'
import { runningDepot, type TestDepot, testConfig } from '../support/running-depot.ts'
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts'

/** Heartbeats come each second. */
const SOON = { timeout: 20_000 }

let folder: TemporaryFolder
let origin: TestDepot
let upstreamToken = ''
let door: Door
const running: RunningDepot[] = []

beforeEach(async () => {
  folder = await temporaryFolder()
  origin = await runningDepot()
  door = await doorTo(origin.url)
  const { token } = await origin.client.createToken({ label: 'replicas', scopes: ['replicate'] })
  upstreamToken = token
})
afterEach(async () => {
  door.passes = () => true
  for (const one of running.splice(0)) await one.close('SIGINT')
  await door[Symbol.asyncDispose]()
  await origin[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

async function replica(id: string, upstream: string, settings: Partial<Config> = {}): Promise<string> {
  const data = join(folder.path, id)
  const config = await testConfig({ role: 'replica', data, upstream, upstreamToken, nodeId: id, ...settings })
  const one = await startDepot(config)
  running.push(one)
  return one.url
}

async function isReady(url: string): Promise<void> {
  await expect.poll(async () => (await exchange(url, '/readyz')).status, SOON).toBe(200)
}

async function headOf(url: string): Promise<string> {
  return (await exchange(url, '/metrics')).header('depot-head') ?? ''
}

describe('a replica that has nothing yet', () => {
  it('says so on every answer, whatever was asked and however it is refused', async () => {
    door.passes = () => false
    const url = await replica('r1', door.url)
    const hex = '0'.repeat(64)
    const pin = `/g/g1.k3x7m2q5wz4a.${'0'.repeat(16)}`
    const expected: readonly (readonly [string, string, number])[] = [
      ['GET', '/livez', 200],
      ['GET', '/readyz', 503],
      ['GET', '/servez', 503],
      ['GET', '/v1/head', 503],
      ['HEAD', '/v1/head', 503],
      ['GET', '/v1/channels/stable/manifests/hello/1.0.0', 503],
      ['GET', `${pin}/v1/channels`, 503],
      ['GET', `/o/sha256/${hex}`, 503],
      ['POST', '/v1/stages', 503],
      ['GET', '/g/g1/v1/head', 400],
      ['GET', '/v1/channels/%2', 400],
      ['GET', '/nowhere', 404],
      ['DELETE', '/v1/head', 405],
    ]
    for (const [method, path, status] of expected) {
      const answer = await exchange(url, path, { method })
      expect([method, path, answer.status]).toEqual([method, path, status])
      expectNothing(answer, `${method} ${path}`)
    }
    for (const bytes of [
      'no HTTP\r\n\r\n',
      'GET /v1/head HTTP/1.1\r\n\r\n',
      `GET /${'a'.repeat(20_000)} HTTP/1.1\r\n\r\n`,
      'CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n',
    ])
      expectNothing(await rawExchange(url, bytes), bytes.slice(0, 40))
    // It was really because of that.
    door.passes = () => true
    await isReady(url)
    expect((await exchange(url, '/v1/head')).header('depot-generation')).toBe(
      (await origin.client.head()).gid,
    )
  })
})

function expectNothing(answer: Answer, asked: string): void {
  expectWellFormed(answer, asked)
  expect([asked, answer.header('depot-generation')]).toEqual([asked, 'none'])
  expect(answer.header('depot-node')).toMatch(/^r1;role=replica;state=boot;age=/)
}

describe('what is written through a replica', () => {
  it('is answered when it is here', async () => {
    const url = await replica('r1', door.url)
    await isReady(url)
    const events: string[] = []
    const { promise: copying, resolve: isCopying } = Promise.withResolvers<void>()
    const { promise: released, resolve: release } = Promise.withResolvers<void>()
    door.passes = async (request) => {
      if (request.url !== '/v1/replication/objects') return true
      isCopying()
      await released
      return true
    }
    const client = connect({ url, token: origin.token })
    const written = publish(client, { name: 'hello', version: '1.0.0' }).then(({ gid }) => {
      events.push('answered')
      return gid
    })
    await copying
    // The origin has answered by now: it shows the commit, and so does this to whoever asks through the replica.
    expect((await exchange(url, '/v1/channels/stable/manifests/hello/1.0.0')).status).toBe(200)
    events.push('released')
    release()
    const gid = await written
    expect(events).toEqual(['released', 'answered'])
    expect(await headOf(url)).toBe(gid)
  })

  it('is answered as the origin did when it does not come here in time', async () => {
    const url = await replica('r1', door.url)
    await isReady(url)
    const before = await headOf(url)
    door.passes = (request) => request.url !== '/v1/replication/objects'
    const client = connect({ url, token: origin.token })
    const { gid } = await publish(client, { name: 'hello', version: '1.0.0' })
    expect([await headOf(url), await headOf(origin.url)]).toEqual([before, gid])
  })
})

describe('a replica that can get an answer nowhere', () => {
  it('sends clients to one that has it, once', async () => {
    const lost = await replica('r1', door.url)
    const other = await replica('r2', origin.url, { publicUrl: 'http://r2.example/depot/' })
    await Promise.all([isReady(lost), isReady(other)])
    door.passes = onlyHeartbeats
    const { gid } = await publish(origin.client, { name: 'hello', version: '1.0.0' })
    await expect.poll(async () => await headOf(other), SOON).toBe(gid)
    const asked = async (
      path: string,
      more: Readonly<Record<string, string>> = {},
    ): Promise<readonly unknown[]> => {
      const answer = await exchange(lost, path, { headers: { prefer: 'wait=0', ...more } })
      expectWellFormed(answer, path)
      return [answer.status, answer.header('location') ?? answer.problem]
    }
    const there = 'http://r2.example/depot/v1/channels'
    // It hears of the other one with its own heartbeat.
    await expect.poll(async () => await asked('/v1/channels'), SOON).toEqual([307, `${there}?_h=1`])
    expect(await asked('/v1/channels?limit=3')).toEqual([307, `${there}?limit=3&_h=1`])
    // Who comes from another node is not sent on.
    expect(await asked('/v1/channels?_h=1')).toEqual([503, 'generation-behind'])
    expect(await asked('/v1/channels?limit=3&_h=1')).toEqual([503, 'generation-behind'])
    // A secret is for the address alone to which it was sent.
    for (const secret of [{ authorization: `Bearer ${origin.token}` }, { 'depot-preview': 'x' }]) {
      expect(await asked('/v1/channels', secret)).toEqual([503, 'generation-behind'])
      const sameHost = { ...secret, host: 'r2.example' }
      expect(await asked('/v1/channels', sameHost)).toEqual([307, `${there}?_h=1`])
      const otherPort = { ...secret, host: 'r2.example:8080' }
      expect(await asked('/v1/channels', otherPort)).toEqual([503, 'generation-behind'])
    }
  })

  it('refuses where no other node has it', async () => {
    const lost = await replica('r1', door.url, { publicUrl: 'http://r1.example' })
    const silent = await replica('r2', origin.url)
    await Promise.all([isReady(lost), isReady(silent)])
    door.passes = onlyHeartbeats
    const { gid } = await publish(origin.client, { name: 'hello', version: '1.0.0' })
    await expect.poll(async () => await headOf(silent), SOON).toBe(gid)
    // It has said so when the heartbeat after that was heard.
    const beats = (): number => door.asked.filter((asked) => asked.endsWith('/heartbeat')).length
    const before = beats()
    await expect.poll(beats, SOON).toBeGreaterThan(before + 2)
    const answer = await exchange(lost, '/v1/head', { headers: { prefer: 'wait=0' } })
    expect([answer.status, answer.problem]).toEqual([503, 'generation-behind'])
  })
})

describe('a replica that goes', () => {
  it('is forgotten by the origin when it is closed, and not before', async () => {
    const url = await replica('r1', door.url)
    await isReady(url)
    const known = async (): Promise<string> => {
      const { nodes } = (await (await origin.ask('/v1/nodes')).json()) as { nodes: { id: string }[] }
      return nodes.map(({ id }) => id).join(' ')
    }
    expect(await known()).toBe('r1')
    const stillListens: string[] = []
    door.passes = async ({ url: path }) => {
      if (path === '/v1/nodes/r1/leave')
        stillListens.push(
          await exchange(url, '/livez').then(
            () => 'listens',
            () => 'closed',
          ),
        )
      return true
    }
    await running.pop()?.close('SIGINT')
    expect([await known(), ...stillListens]).toEqual(['', 'closed'])
  })

  it('goes without an origin that hears of it', async () => {
    const url = await replica('r1', door.url)
    await isReady(url)
    door.passes = ({ url: path }) => path !== '/v1/nodes/r1/leave'
    await running.pop()?.close('SIGINT')
    expect(door.asked).toContain('POST /v1/nodes/r1/leave')
  })
})
