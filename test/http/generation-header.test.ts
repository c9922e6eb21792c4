/**
 * I1: every answer of every status carries exactly one well-formed `Depot-Generation`, also those that never become a
 * request, and those that are given while the depot closes.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Answer } from '../support/exchange.ts'
import { publish } from '../support/publish.ts'
import { rawConnection, rawExchange } from '../support/raw-socket.ts'
import { runningDepot, type TestDepot } from '../support/running-depot.ts'
import { type Asking, asking, expectWellFormed } from './well-formed.ts'

let depot: TestDepot
let ask: Asking
let gid: string

beforeAll(async () => {
  depot = await runningDepot()
  ask = asking(depot)
  gid = (await publish(depot.client, { name: 'hello', version: '1.0.0' })).gid
})
afterAll(async () => {
  await depot[Symbol.asyncDispose]()
})

async function raw(bytes: string | Uint8Array): Promise<Answer> {
  const answer = await rawExchange(depot.url, bytes)
  expectWellFormed(answer, `the bytes ${JSON.stringify(bytes.toString().slice(0, 80))}`)
  return answer
}

describe('what hardly is a request', () => {
  it.each([
    ['is no HTTP', 'hello\r\n\r\n', 400],
    ['has a malformed header', 'GET /v1/head HTTP/1.1\r\nHost: x\r\nno colon here\r\n\r\n', 400],
    ['has no Host', 'GET /v1/head HTTP/1.1\r\n\r\n', 400],
    [
      'has two lengths',
      'POST /v1/stages HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na',
      400,
    ],
    [
      'has a length and chunks',
      'POST /v1/stages HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    ['has an unknown method', 'FROB /v1/head HTTP/1.1\r\nHost: x\r\n\r\n', 400],
    ['is HTTP/2 with prior knowledge', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
    ['has a request line that is too long', `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 431],
    [
      'has headers that are too large',
      `GET /v1/head HTTP/1.1\r\nHost: x\r\nA: ${'b'.repeat(20_000)}\r\n\r\n`,
      431,
    ],
    [
      'has a malformed chunk',
      'POST /v1/stages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer TOKEN\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
      400,
    ],
    ['is a CONNECT', 'CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n', 400],
    ['expects what nobody knows', 'GET /v1/head HTTP/1.1\r\nHost: x\r\nExpect: the-unexpected\r\n\r\n', 200],
  ])('%s', async (_, bytes, status) => {
    expect((await raw(bytes.replace('TOKEN', depot.token))).status).toBe(status)
  })

  it('is TLS on the plain port', async () => {
    const hello = Buffer.from('16030100a5010000a10303', 'hex')
    expect((await raw(hello)).status).toBe(400)
  })

  it('asks to become a WebSocket, and gets an ordinary answer', async () => {
    const answer = await raw(
      'GET /v1/head HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eA==\r\n\r\n',
    )
    expect(answer.status).toBe(200)
  })
})

describe('an unreadable request behind another one', () => {
  it('is refused behind the answer before it, and never breaks into its body', async () => {
    const bytes = Buffer.alloc(8_000_000, 'depot ')
    await publish(depot.client, { name: 'large', version: '1.0.0', files: { 'a.bin': bytes } })
    const hex = createHash('sha256').update(bytes).digest('hex')
    await using connection = await rawConnection(depot.url)
    connection.send(`GET /o/sha256/${hex} HTTP/1.1\r\nHost: x\r\n\r\n`)
    await once(connection.socket, 'data')
    connection.send('this is no HTTP\r\n\r\n')
    expect((await connection.answer()).body.equals(bytes)).toBe(true)
    expect((await connection.answer()).status).toBe(400)
    await connection.closed()
    expect(connection.rest().length).toBe(0)
  })
})

describe('what is refused', () => {
  it.each<[string, string, string, number]>([
    ['an unknown URL', 'GET', '/nowhere', 404],
    ['an unknown URL', 'POST', '/v1/nowhere', 404],
    ['an unknown URL under a pin', 'GET', '/g/GID/nowhere', 404],
    ['a URL that is not UTF-8', 'GET', '/v1/channels/%ff', 400],
    ['a URL with half an escape', 'GET', '/v1/channels/%2', 400],
    ['a malformed pin', 'GET', '/g/g1/v1/channels', 400],
    ['a method that the URL does not have', 'DELETE', '/v1/head', 405],
    ['a method that the URL does not have', 'TRACE', '/v1/head', 405],
    ['a method that the URL does not have', 'OPTIONS', '/v1/head', 405],
    ['a path with NUL', 'GET', '/v1/channels/stable/files/hello/1.0.0/a%00b', 404],
    ['a digest that is none', 'GET', '/o/sha256/abc', 400],
    ['an unknown digest', 'GET', `/o/sha256/${'0'.repeat(64)}`, 404],
    ['a malformed query', 'GET', '/v1/generations?limit=many', 400],
  ])('%s: %s %s', async (_, method, path, status) => {
    const answer = await ask(path.replace('GID', gid), { method })
    expect(answer.status).toBe(status)
    expect(answer.header('allow') !== undefined).toBe(status === 405)
  })

  it('tells the methods that a URL has', async () => {
    const answer = await ask('/v1/stages/s0', { method: 'PUT' })
    expect([answer.status, answer.header('allow')]).toEqual([405, 'DELETE, GET, HEAD'])
    expect(answer.json()).toMatchObject({ method: 'PUT', allowed: 'DELETE, GET, HEAD' })
  })

  it.each<[string, string | undefined, string, string]>([
    ['JSON that is none', 'application/json', '{"message":', 'bad-request'],
    ['JSON of another shape', 'application/json', '{"messages":1}', 'bad-request'],
    ['JSON that is a list', 'application/json', '[]', 'bad-request'],
    ['a poisoned prototype', 'application/json', '{"__proto__":{"x":1}}', 'bad-request'],
    ['another media type', 'text/csv', 'a,b', 'unsupported-media-type'],
    ['no media type', undefined, '{}', 'unsupported-media-type'],
  ])('a body that is %s', async (_, type, body, problem) => {
    const headers = type === undefined ? {} : { 'content-type': type }
    const answer = await ask('/v1/stages', { method: 'POST', headers, body })
    expect([answer.status, answer.problem]).toEqual([problem === 'bad-request' ? 400 : 415, problem])
  })

  it('a body that is too large, and says how large it may be', async () => {
    const body = JSON.stringify({ message: 'a'.repeat(9_000_000) })
    const headers = { 'content-type': 'application/json', 'content-length': String(body.length) }
    const answer = await ask('/v1/stages', { method: 'POST', headers, body })
    expect(answer.status).toBe(413)
    expect(answer.json()).toMatchObject({ type: '/problems/limit-exceeded', limit: 65_536 })
  })
})

describe('what is answered', () => {
  it.each([
    ['GET', '/v1/head', 200],
    ['HEAD', '/v1/head', 200],
    ['GET', '/livez', 200],
    ['HEAD', '/livez', 200],
    ['HEAD', '/readyz', 200],
    ['GET', '/metrics', 200],
    ['GET', '/problems', 200],
    ['GET', '/problems/conflict', 200],
    ['GET', '/problems/none-such', 404],
    ['GET', '/v1/openapi.json', 200],
    ['GET', '/v1/stages', 200],
    ['GET', '/v1/tokens', 200],
    ['GET', '/g/GID/v1/head', 200],
    ['GET', '/v1/channels/stable/catalog', 200],
    ['HEAD', '/g/GID/v1/channels/stable/manifests/hello/1.0.0', 200],
  ])('%s %s -> %i', async (method, path, status) => {
    expect((await ask(path.replace('GID', gid), { method })).status).toBe(status)
  })

  it('with an absolute request target, as a proxy sends it', async () => {
    const answer = await raw(`GET ${depot.url}/v1/head HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
    expect(answer.status).toBe(200)
  })

  it('after 100-continue', async () => {
    await using connection = await rawConnection(depot.url)
    const body = '{}'
    connection.send(
      `POST /v1/stages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${depot.token}\r\nContent-Type: application/json\r\n` +
        `Content-Length: ${body.length}\r\nExpect: 100-continue\r\n\r\n`,
    )
    await expect.poll(() => connection.rest().toString()).toBe('HTTP/1.1 100 Continue\r\n\r\n')
    connection.send(body)
    const answer = await connection.answer()
    expectWellFormed(answer, 'POST after 100-continue')
    expect(answer.status).toBe(201)
  })

  it('to a stage that is opened without any body', async () => {
    expect((await ask('/v1/stages', { method: 'POST' })).status).toBe(201)
  })

  it('on connections that are still open while the depot closes', async () => {
    const closing = await runningDepot()
    const connections = await Promise.all([rawConnection(closing.url), rawConnection(closing.url)])
    // A watcher keeps its connection busy until the depot lets it go.
    const [watcher, idle] = connections as [(typeof connections)[0], (typeof connections)[0]]
    const { gid: head } = await closing.client.head()
    watcher.send(`GET /v1/head?after=${head} HTTP/1.1\r\nHost: x\r\nPrefer: wait=20\r\n\r\n`)
    await expect.poll(async () => (await asking(closing)('/metrics')).text).toContain('depot_watchers 1')
    idle.send('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n')
    expectWellFormed(await idle.answer(), 'before closing')
    const begun = performance.now()
    const closed = closing[Symbol.asyncDispose]()
    const answer = await watcher.answer()
    expectWellFormed(answer, 'the watcher while closing')
    expect([answer.status, answer.header('connection')]).toEqual([304, 'close'])
    await closed
    expect(performance.now() - begun).toBeLessThan(5_000)
  })
})
