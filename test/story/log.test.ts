/**
 * What a depot logs: lines of JSON, nothing secret, and an error only where something is wrong with the depot itself.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connect } from '../../src/client/index.ts'
import { digestOf } from '../../src/model/digest.ts'
import { asking } from '../http/well-formed.ts'
import { publish } from '../support/publish.ts'
import { rawConnection, rawExchange } from '../support/raw-socket.ts'
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts'
import { type Served, served } from './served.ts'

const METRICS_TOKEN = 'metrics-secret-metrics-secret'

let folder: TemporaryFolder
let depot: Served

beforeAll(async () => {
  folder = await temporaryFolder()
  depot = await served({
    data: join(folder.path, 'data'),
    flags: ['--access-log', '--log-level', 'trace'],
    environment: { DEPOT_METRICS_TOKEN: METRICS_TOKEN },
  })
})
afterAll(async () => {
  await depot[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

interface Line {
  readonly level: number
  readonly msg: string
  readonly url?: string
  readonly status?: number
}

function lines(): readonly Line[] {
  return depot
    .log()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line)
}

describe('the log', () => {
  it('has no token in any line, whatever is done with it', async () => {
    const ask = asking(depot)
    const made = await depot.client.createToken({ label: 'ci', scopes: ['publish:stable'] })
    await publish(connect({ url: depot.url, token: made.token }), { name: 'hello', version: '1.0.0' })
    const secrets = [depot.token, made.token, METRICS_TOKEN, 'wrong-secret-wrong-secret']
    for (const secret of secrets) {
      const headers = { authorization: `Bearer ${secret}` }
      for (const path of ['/v1/tokens', '/v1/stages', '/metrics', '/nowhere', '/v1/channels/%ff', '/v1/head'])
        await ask(path, { headers })
      await ask('/v1/stages', { method: 'POST', headers, body: '{' })
      await ask('/v1/stages', {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: '{',
      })
    }
    await rawExchange(
      depot.url,
      `GET /v1/head HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${made.token}\r\nbroken\r\n\r\n`,
    )
    await depot.client.revokeToken(made.id)
    await ask('/v1/stages', { headers: { authorization: `Bearer ${made.token}` } })
    await expect
      .poll(() => lines().some(({ url, status }) => url === '/v1/stages' && status === 401))
      .toBe(true)
    for (const secret of secrets) expect(depot.log()).not.toContain(secret.slice(-12))
  })

  it('has a line for each request when it is asked to', () => {
    const requests = lines().filter(({ msg }) => msg === 'answered')
    expect(requests.length).toBeGreaterThan(20)
    for (const { url, status } of requests) expect([typeof url, typeof status]).toEqual(['string', 'number'])
  })

  it('calls nothing an error that a client has done', async () => {
    const stage = (await depot.client.openStage()).id
    const bytes = randomBytes(500_000)
    // Uploads, bodies and downloads that are cut off in the middle.
    for (const request of [
      `PUT /v1/stages/${stage}/blobs/sha256/${digestOf(bytes).slice(7)} HTTP/1.1\r\nContent-Length: 500000`,
      'POST /v1/stages HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 500000',
      `POST /v1/stages/${stage}/blobs HTTP/1.1\r\nContent-Type: application/vnd.depot.blobs\r\nContent-Length: 500000`,
      `PUT /v1/stages/${stage}/channels/stable/manifests/a/1.0.0 HTTP/1.1\r\nContent-Length: 500000`,
    ]) {
      await using connection = await rawConnection(depot.url)
      connection.send(`${request}\r\nHost: x\r\nAuthorization: Bearer ${depot.token}\r\n\r\n`)
      await new Promise((resolve) => connection.socket.write(bytes.subarray(0, 200_000), resolve))
    }
    const ask = asking(depot)
    const url = `/v1/stages/${stage}/blobs/sha256/${digestOf(bytes).slice(7)}`
    await expect
      .poll(async () => Number((await ask(url, { method: 'HEAD' })).header('upload-offset')))
      .toBeGreaterThan(0)
    for (const [path, status] of [
      ['/v1/channels/none', 404],
      ['/v1/generations?limit=x', 400],
    ] as const)
      expect((await ask(path)).status).toBe(status)
    await rawExchange(depot.url, 'no HTTP\r\n\r\n')
    expect(lines().filter(({ level }) => level >= 50)).toEqual([])
  })
})
