/** Bodies that come in a way which the depot does not understand are refused, and never taken for the bytes themselves. */
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { digestOf } from '../../src/model/digest.ts'
import { encodeBatch } from '../../src/wire/batch.ts'
import { rawConnection } from '../support/raw-socket.ts'
import { runningDepot, type TestDepot } from '../support/running-depot.ts'
import { type Asking, asking, expectWellFormed, openStage } from './well-formed.ts'

let depot: TestDepot
let ask: Asking
let stage = ''

beforeAll(async () => {
  depot = await runningDepot()
  ask = asking(depot)
  stage = await openStage(ask)
})
afterAll(async () => {
  await depot[Symbol.asyncDispose]()
})

const PACKED = gzipSync('some bytes')

describe('Transfer-Encoding', () => {
  it.each([
    ['POST', '/v1/stages', 'gzip, chunked'],
    ['PUT', 'BLOB', 'gzip, chunked'],
    ['GET', '/v1/head', 'deflate,chunked'],
    ['GET', 'FILE', 'gzip, chunked'],
    ['PUT', '/nowhere', 'br, chunked'],
  ])('of a %s %s as "%s" is not understood', async (method, path, coding) => {
    const hex = digestOf(PACKED).slice(7)
    const url = path.replace('BLOB', `/v1/stages/${stage}/blobs/sha256/${hex}`).replace('FILE', '/o/sha256/a')
    await using connection = await rawConnection(depot.url)
    const head = [`${method} ${url} HTTP/1.1`, 'Host: x', `Authorization: Bearer ${depot.token}`]
    connection.send(`${[...head, `Transfer-Encoding: ${coding}`].join('\r\n')}\r\n\r\n`)
    connection.send(Buffer.concat([Buffer.from(`${PACKED.length.toString(16)}\r\n`), PACKED]))
    connection.send('\r\n0\r\n\r\n')
    const answer = await connection.answer()
    expectWellFormed(answer, `${method} ${url}`)
    expect([answer.status, answer.problem]).toEqual([501, 'unsupported-transfer-encoding'])
    expect(answer.json()['encoding']).toBe(coding)
    // The end of the body was found, so the connection goes on.
    connection.send('GET /v1/head HTTP/1.1\r\nHost: x\r\n\r\n')
    expect((await connection.answer()).status).toBe(200)
  })

  it('in two lines is not understood either, and in other letters it is', async () => {
    const send = async (...lines: readonly string[]): Promise<number> => {
      await using connection = await rawConnection(depot.url)
      const head = ['POST /v1/stages HTTP/1.1', 'Host: x', `Authorization: Bearer ${depot.token}`]
      const type = 'Content-Type: application/json'
      connection.send(`${[...head, type, ...lines].join('\r\n')}\r\n\r\n2\r\n{}\r\n0\r\n\r\n`)
      return (await connection.answer()).status
    }
    expect(await send('Transfer-Encoding: gzip', 'Transfer-Encoding: chunked')).toBe(501)
    expect(await send('Transfer-Encoding: Chunked')).toBe(201)
  })
})

describe('Content-Encoding', () => {
  const routes: readonly (readonly [string, string, string, Uint8Array])[] = [
    ['POST', '/v1/stages', 'application/json', Buffer.from('{}')],
    ['POST', '/v1/stages/STAGE/missing', 'application/json', Buffer.from('{"blobs":[]}')],
    ['POST', '/v1/stages/STAGE/blobs', 'application/vnd.depot.blobs', encodeBatch([])],
    ['PUT', `/v1/stages/STAGE/blobs/sha256/${digestOf(PACKED).slice(7)}`, 'application/octet-stream', PACKED],
    [
      'PUT',
      '/v1/stages/STAGE/channels/stable/manifests/hello/1.0.0',
      'application/json',
      Buffer.from('{"name":"hello","version":"1.0.0","files":[]}'),
    ],
  ]

  it.each(routes)('of a %s %s is refused, and the answer names it', async (method, path, type, bytes) => {
    const body = bytes.length === 0 ? Buffer.from('x') : bytes
    for (const encoding of ['gzip', 'br, gzip', 'x-own']) {
      const headers = { 'content-type': type, 'content-encoding': encoding }
      const answer = await ask(path.replace('STAGE', stage), { method, headers, body })
      expect([answer.status, answer.problem]).toEqual([415, 'unsupported-content-encoding'])
      expect(answer.json()).toMatchObject({ encoding, detail: expect.stringContaining(encoding) as string })
      expect(answer.header('accept-encoding')).toBe('identity')
    }
  })

  it.each(routes)('of a %s %s may be identity', async (method, path, type, body) => {
    const headers = { 'content-type': type, 'content-encoding': 'Identity' }
    const answer = await ask(path.replace('STAGE', stage), { method, headers, body })
    expect(answer.status).toBeLessThan(300)
    expect(answer.header('accept-encoding')).toBeUndefined()
  })

  it('means nothing where no body comes', async () => {
    const headers = { 'content-encoding': 'gzip' }
    expect((await ask('/v1/head', { headers })).status).toBe(200)
    expect((await ask('/v1/stages', { method: 'POST', headers })).status).toBe(201)
  })
})
