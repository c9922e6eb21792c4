/**
 * SIGTERM under load: the depot says that it is going, answers everything that was asked, and is gone.
 */
import { randomBytes } from 'node:crypto'
import { Agent } from 'node:http'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { expectWellFormed } from '../http/well-formed.ts'
import { exchange } from '../support/exchange.ts'
import { publish } from '../support/publish.ts'
import { rawConnection } from '../support/raw-socket.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { served } from './served.ts'

const CLIENTS = 16

describe('SIGTERM under load', () => {
  it('loses no GET: clients are told to go elsewhere before their connections are closed', async () => {
    await using folder = await temporaryFolder()
    await using depot = await served({ data: join(folder.path, 'data'), flags: ['--drain-seconds', '1'] })
    const large = randomBytes(30_000_000)
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
    await using slow = await rawConnection(depot.url)
    slow.send(`GET /g/${gid}/${release}/files/hello/1.0.0/large HTTP/1.1\r\nHost: x\r\n\r\n`)
    await expect.poll(() => slow.rest().length).toBeGreaterThan(0)
    slow.socket.pause()
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
    await expect.poll(() => answered).toBeGreaterThan(200)
    const ended = depot.end('SIGTERM')
    await expect.poll(async () => (await exchange(depot.url, '/readyz')).status).toBe(503)
    expect((await exchange(depot.url, '/livez')).status).toBe(200)
    // Not one of them failed.
    await Promise.all(clients)
    const let_go = await watcher.answer()
    expect([let_go.status, let_go.header('connection')]).toEqual([304, 'close'])
    slow.socket.resume()
    expect((await slow.answer()).body.equals(large)).toBe(true)
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

  it('does not wait for balancers when it is SIGINT', async () => {
    await using folder = await temporaryFolder()
    await using depot = await served({ data: join(folder.path, 'data'), flags: ['--drain-seconds', '600'] })
    const begun = performance.now()
    await depot.end('SIGINT')
    expect(performance.now() - begun).toBeLessThan(10_000)
  })
})
