/**
 * SIGTERM under load: the depot says that it is going, answers everything that was asked, and is gone.
 */
import { randomBytes } from 'node:crypto'
import { Agent } from 'node:http'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { NodesBody } from '../../src/wire/replication.ts'
import { asking, expectWellFormed } from '../http/well-formed.ts'
import { doorTo, onlyHeartbeats } from '../support/door.ts'
import { exchange } from '../support/exchange.ts'
import { publish } from '../support/publish.ts'
import { rawConnection, rawExchange } from '../support/raw-socket.ts'
import { SLOW_BYTES, slowDownload } from '../support/slow-download.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { type Served, served } from './served.ts'

const CLIENTS = 16
const SOON = { timeout: 20_000 }
/** Said in the log when balancers had their time. */
const LAST_ANSWERS = 'waiting for the answers that are under way'

describe('SIGTERM under load', () => {
  it('loses no GET: clients are told to go elsewhere before their connections are closed', async () => {
    await using folder = await temporaryFolder()
    await using depot = await served({ data: join(folder.path, 'data'), flags: ['--drain-seconds', '1'] })
    const large = randomBytes(SLOW_BYTES)
    const { gid } = await publish(depot.client, {
      name: 'hello',
      version: '1.0.0',
      files: { small: 'small', large },
    })
    const release = 'v1/channels/stable'
    const paths = [
      `/g/${gid}/${release}/files/hello/1.0.0/small`,
      `/${release}/manifests/hello/1.0.0`,
      `/${release}/catalog`,
      '/v1/head',
      '/livez',
    ]

    // A download that is under way the whole time, for nobody reads it.
    const slow = await slowDownload(`${depot.url}/g/${gid}/${release}/files/hello/1.0.0/large`)
    // And somebody who waits for the next head.
    await using watcher = await rawConnection(depot.url)
    watcher.send(`GET /v1/head?after=${gid} HTTP/1.1\r\nHost: x\r\nPrefer: wait=25\r\n\r\n`)

    let answered = 0
    const client = async (number: number): Promise<number> => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      for (let round = number; ; round += 1) {
        const path = paths[round % paths.length] ?? ''
        const answer = await exchange(depot.url, path, { agent })
        expectWellFormed(answer, `GET ${path}`)
        expect(answer.status).toBe(200)
        answered += 1
        // As a load balancer would: this one is going, so the next request goes elsewhere.
        if (answer.header('connection') === 'close') {
          agent.destroy()
          return round
        }
      }
    }
    const clients = Array.from({ length: CLIENTS }, async (_, number) => await client(number))
    await expect.poll(() => answered, SOON).toBeGreaterThan(200)
    const ended = depot.end('SIGTERM')
    await expect.poll(async () => (await exchange(depot.url, '/readyz')).status).toBe(503)
    expect((await exchange(depot.url, '/livez')).status).toBe(200)
    // Not one of them failed.
    await Promise.all(clients)
    const let_go = await watcher.answer()
    expect([let_go.status, let_go.header('connection')]).toEqual([304, 'close'])
    // Nobody is let in to wait any more.
    const late = await exchange(depot.url, `/v1/head?after=${gid}`, { headers: { prefer: 'wait=25' } })
    expect([late.status, late.problem]).toEqual([503, 'draining'])
    expect((await slow.body()).equals(large)).toBe(true)
    expect(await ended).toMatchObject({ code: 0, signal: null })
  })

  it('ends at once when it is sent twice', async () => {
    await using folder = await temporaryFolder()
    await using depot = await served({ data: join(folder.path, 'data'), flags: ['--drain-seconds', '600'] })
    const begun = performance.now()
    depot.process.kill('SIGTERM')
    await expect.poll(async () => (await exchange(depot.url, '/readyz')).status).toBe(503)
    await depot.end('SIGTERM')
    expect(performance.now() - begun).toBeLessThan(10_000)
  })

  it('does not wait for connections on which nothing was ever asked', async () => {
    await using folder = await temporaryFolder()
    await using depot = await served({ data: join(folder.path, 'data') })
    await using silent = await rawConnection(depot.url)
    expect((await exchange(depot.url, '/livez')).status).toBe(200)
    const begun = performance.now()
    await depot.end('SIGTERM')
    expect(performance.now() - begun).toBeLessThan(15_000)
    await silent.closed()
  })

  it('does not wait for balancers when it is SIGINT', async () => {
    await using folder = await temporaryFolder()
    await using depot = await served({ data: join(folder.path, 'data'), flags: ['--drain-seconds', '600'] })
    const begun = performance.now()
    await depot.end('SIGINT')
    expect(performance.now() - begun).toBeLessThan(10_000)
  })
})

describe('SIGTERM to a replica', () => {
  it('ends those who wait, answers all others, and leaves when the last answer is out', async () => {
    await using folder = await temporaryFolder()
    await using origin = await served({ data: join(folder.path, 'origin') })
    await using door = await doorTo(origin.url)
    const { token } = await origin.client.createToken({ label: 'r1', scopes: ['replicate'] })
    await using replica = await served({
      data: join(folder.path, 'r1'),
      flags: ['--role', 'replica', '--upstream', door.url, '--node-id', 'r1', '--drain-seconds', '4'],
      environment: { DEPOT_UPSTREAM_TOKEN: token },
      token: origin.token,
    })
    const ask = asking(replica)
    const large = randomBytes(SLOW_BYTES)
    const files = { small: 'small', large }
    const { gid } = await publish(origin.client, { name: 'hello', version: '1.0.0', files })
    await expect.poll(async () => (await ask('/metrics')).header('depot-head'), SOON).toBe(gid)
    await expect.poll(async () => (await ask('/readyz')).status, SOON).toBe(200)
    const hello = `/g/${gid}/v1/channels/stable/files/hello/1.0.0`
    const slow = await slowDownload(`${replica.url}${hello}/large`)
    // From now on it knows of a head that it cannot get: whoever asks for the head waits.
    door.passes = onlyHeartbeats
    await publish(origin.client, { name: 'news', version: '1.0.0' })
    await expect.poll(async () => (await ask('/readyz')).header('depot-node'), SOON).toContain('state=lag')
    // A client would go on on the same connection, if nobody told it otherwise.
    const keeping = { agent: new Agent({ keepAlive: true }) }
    const waits = { ...keeping, headers: { prefer: 'wait=10' } }
    const held = ask('/v1/head', waits)
    await expect.poll(async () => (await ask('/metrics')).text).toMatch(/^depot_holds 1$/m)

    // It does not go by its heartbeats.
    const { promise: heard, resolve: hear } = Promise.withResolvers<void>()
    door.passes = async (request) => {
      await heard
      return onlyHeartbeats(request)
    }
    const ended = replica.end('SIGTERM')
    await expect.poll(async () => (await ask('/readyz')).status).toBe(503)
    const answers = [await held, await ask('/servez', keeping)]
    for (const answer of answers)
      expect([answer.status, answer.problem, answer.header('connection')]).toEqual([503, 'draining', 'close'])
    // So long before others are let go that nobody has waited for that.
    expect(replica.log()).not.toContain(LAST_ANSWERS)
    hear()
    await expect.poll(async () => await stateOfReplica(origin), SOON).toBe('drain')
    const late = await ask('/v1/head', waits)
    expect([late.status, late.problem]).toEqual([503, 'draining'])
    await expect.poll(() => replica.log(), SOON).toContain(LAST_ANSWERS)
    // It waits for one alone, and answers the others meanwhile, whatever they are.
    const small = await ask(`${hello}/small`, keeping)
    expect([small.status, small.text, small.header('connection')]).toEqual([200, 'small', 'close'])
    const unread = await rawExchange(replica.url, 'no HTTP\r\n\r\n')
    expectWellFormed(unread, 'no HTTP')
    expect([unread.status, unread.header('depot-generation')]).toEqual([400, gid])
    expect(await stateOfReplica(origin)).toBe('drain')
    expect((await slow.body()).equals(large)).toBe(true)
    expect(await ended).toMatchObject({ code: 0, signal: null })
    expect(await stateOfReplica(origin)).toBe(undefined)
  })
})

/** As the origin has heard it; undefined when it knows of none. */
async function stateOfReplica(origin: Served): Promise<string | undefined> {
  const { nodes } = (await asking(origin)('/v1/nodes')).json<NodesBody & Record<string, unknown>>()
  return nodes[0]?.state
}
