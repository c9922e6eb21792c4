/**
 * Bodies of requests that are refused: the refusal arrives, what still comes of the body is forgotten within bounds, and
 * nobody pays for reading or parsing what nobody may send.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { digestOf } from '../../src/model/digest.ts'
import { LIMITS } from '../../src/model/limits.ts'
import { exchange } from '../support/exchange.ts'
import { type RawConnection, rawConnection } from '../support/raw-socket.ts'
import { runningDepot, type TestDepot } from '../support/running-depot.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const MIB = 1_048_576

let depot: TestDepot
let stage: string

beforeAll(async () => {
  depot = await runningDepot()
  stage = await openStage(depot.url, depot.token)
})
afterAll(async () => {
  await depot[Symbol.asyncDispose]()
})

async function openStage(url: string, token: string): Promise<string> {
  const headers = { authorization: `Bearer ${token}` }
  return String((await exchange(url, '/v1/stages', { method: 'POST', headers })).json()['id'])
}

function headOf(method: string, path: string, ...headers: readonly string[]): string {
  return [`${method} ${path} HTTP/1.1`, 'Host: x', ...headers, '', ''].join('\r\n')
}

/** The head of an upload that has more bytes than it says. */
function tooLong(): string {
  const [, hex = ''] = digestOf(randomBytes(20)).split(':')
  return headOf(
    'PUT',
    `/v1/stages/${stage}/blobs/sha256/${hex}`,
    `Authorization: Bearer ${depot.token}`,
    'Upload-Length: 1000',
    'Transfer-Encoding: chunked',
  )
}

function chunk(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')])
}

/** Sends for as long as anybody takes it; how many bytes that were. */
async function sendWithoutEnd({ socket }: RawConnection, atMost: number): Promise<number> {
  const piece = chunk(Buffer.alloc(MIB))
  let sent = 0
  while (!socket.destroyed && sent < atMost) {
    sent += MIB
    if (!socket.write(piece))
      await Promise.race([once(socket, 'drain'), once(socket, 'close')]).catch(() => undefined)
  }
  return sent
}

describe('an upload that is refused while it is sent', () => {
  it('is told so before its end, and the connection goes on', async () => {
    await using connection = await rawConnection(depot.url)
    connection.send(tooLong())
    connection.send(chunk(Buffer.alloc(MIB)))
    const answer = await connection.answer()
    expect([answer.status, answer.problem]).toEqual([413, 'limit-exceeded'])
    connection.send(chunk(Buffer.alloc(MIB)))
    connection.send('0\r\n\r\n')
    connection.send(headOf('GET', '/v1/head'))
    expect((await connection.answer()).status).toBe(200)
  })

  it('is cut off when it never ends', async () => {
    await using connection = await rawConnection(depot.url)
    connection.send(tooLong())
    const sent = await sendWithoutEnd(connection, 200 * MIB)
    await connection.closed()
    expect(sent).toBeLessThan(100 * MIB)
    expect(String(connection.rest())).toMatch(/^HTTP\/1\.1 413 /)
  })
})

describe('who has no token', () => {
  it('is refused before the body is parsed, however much of it there is', async () => {
    const began = performance.now()
    const answer = await exchange(depot.url, '/v1/stages', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '['.repeat(8 * MIB),
    })
    expect([answer.status, answer.problem]).toEqual([401, 'unauthorised'])
    expect(performance.now() - began).toBeLessThan(1000)
  })

  it('is refused before the body is there', async () => {
    await using connection = await rawConnection(depot.url)
    connection.send(headOf('PUT', '/v1/stages/s0/channels/a/manifests/b/1.0.0', 'Content-Length: 1000000'))
    expect((await connection.answer()).status).toBe(401)
  })
})

it('a body of JSON that says what to do is bounded', async () => {
  const headers = { authorization: `Bearer ${depot.token}`, 'content-type': 'application/json' }
  const body = '['.repeat(8 * MIB)
  for (const path of ['/v1/stages', '/v1/tokens', '/v1/rollback', `/v1/stages/${stage}/commit`]) {
    const answer = await exchange(depot.url, path, { method: 'POST', headers, body })
    expect([path, answer.status, answer.problem]).toEqual([path, 413, 'limit-exceeded'])
    expect(answer.json()['limit']).toBe(LIMITS.jsonBodyBytes)
  }
})

it('a request that writes counts once against the rate', async () => {
  await using strict = await runningDepot({ tokenWritesPerSecond: 1, tokenWriteBurst: 5 })
  const statuses: number[] = []
  for (let count = 0; count < 6; count += 1)
    statuses.push((await strict.ask('/v1/stages', { method: 'POST' })).status)
  expect(statuses).toEqual([201, 201, 201, 201, 201, 429])
})

it('a client that breaks off an upload is no bug', async () => {
  await using folder = await temporaryFolder()
  const bin = resolve(import.meta.dirname, '../../src/cli/depot.mjs')
  const flags = ['--data', folder.path, '--listen', '127.0.0.1:0', '--log-level', 'debug']
  const child = spawn(process.execPath, [bin, 'serve', ...flags], { stdio: ['ignore', 'ignore', 'pipe'] })
  let log = ''
  child.stderr.on('data', (piece: Buffer) => {
    log += String(piece)
  })
  try {
    await expect.poll(() => /"url":"(http[^"]+)"/.exec(log)?.[1], { timeout: 20_000 }).toBeDefined()
    const url = /"url":"(http[^"]+)"/.exec(log)?.[1] ?? ''
    const token = (await readFile(join(folder.path, 'admin.token'), 'utf8')).trim()
    const id = await openStage(url, token)
    const upload = `/v1/stages/${id}/blobs/sha256/${'0'.repeat(64)}`
    for (const [method, path] of [
      ['PUT', upload],
      ['POST', `/v1/stages/${id}/blobs`],
      ['POST', `/v1/stages/${id}/channels/a/manifests`],
    ] as const)
      for (const how of ['destroy', 'resetAndDestroy'] as const) {
        await using connection = await rawConnection(url)
        const headers = [`Authorization: Bearer ${token}`, 'Content-Type: application/vnd.depot.blobs']
        connection.send(headOf(method, path, ...headers, 'Content-Length: 1000000'))
        connection.send(Buffer.alloc(100_000))
        await sleep(100)
        connection.socket[how]()
      }
    await expect.poll(() => log).toMatch(/the client broke off/)
    await sleep(300)
    expect(log).not.toMatch(/"level":(?:50|60)/)
  } finally {
    child.kill('SIGINT')
    await once(child, 'close')
  }
})
