/**
 * Bodies that are taken whole are bounded in sum and in time, and a connection is given up only for what its client does
 * not do.
 */
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fastify } from 'fastify'
import { expect, it } from 'vitest'
import { BodyBounds } from '../../src/http/bounds/body-bounds.ts'
import { IdleSockets } from '../../src/http/bounds/idle-sockets.ts'
import { isFailure } from '../../src/model/errors.ts'
import { LIMITS } from '../../src/model/limits.ts'
import { rawConnection } from '../support/raw-socket.ts'
import { runningDepot } from '../support/running-depot.ts'

function headOf(path: string, ...headers: readonly string[]): string {
  return [`POST ${path} HTTP/1.1`, 'Host: x', ...headers, '', ''].join('\r\n')
}

it('bodies that do not come hold no more than the depot has, and give it back', async () => {
  await using depot = await runningDepot()
  const { id } = (await (await depot.ask('/v1/stages', { method: 'POST' })).json()) as { readonly id: string }
  const stalled = headOf(
    `/v1/stages/${id}/blobs`,
    `Authorization: Bearer ${depot.token}`,
    'Content-Type: application/vnd.depot.blobs',
    `Content-Length: ${LIMITS.batchBytes}`,
  )
  await using stack = new AsyncDisposableStack()
  const connections = []
  for (let at = 0; at < LIMITS.bufferedBodyBytes / LIMITS.batchBytes; at += 1) {
    const connection = stack.use(await rawConnection(depot.url))
    connection.send(stalled)
    connections.push(connection)
  }
  const little = async (): Promise<number> => {
    await using connection = await rawConnection(depot.url)
    connection.send(stalled.replace(String(LIMITS.batchBytes), '1'))
    connection.send('?')
    return (await connection.answer()).status
  }
  await expect.poll(little).toBe(503)
  await using late = await rawConnection(depot.url)
  late.send(stalled)
  const answer = await late.answer()
  expect([answer.status, answer.problem]).toEqual([503, 'hold-limit'])
  expect(answer.header('retry-after')).toBeDefined()
  expect(answer.json()['detail']).toMatch(
    /^of 268435456 bytes of memory for bodies too few are free; let what/,
  )
  // A stream takes no room.
  const upload = await depot.ask(`/v1/stages/${id}/blobs/sha256/${'0'.repeat(64)}`, {
    method: 'PUT',
    body: 'a',
  })
  expect(upload.status).toBe(400)
  connections[0]?.socket.destroy()
  await expect.poll(little).toBe(400)
})

it('an answer that the depot takes long for is not cut because a quick one waits behind it', async () => {
  await using server = await bounded(10_000, 100)
  await using connection = await rawConnection(server.url)
  const slow = 'POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n'
  connection.send(`${slow}GET /quick HTTP/1.1\r\nHost: x\r\n\r\n`)
  expect((await connection.answer()).status).toBe(200)
  expect((await connection.answer()).status).toBe(404)
})

/** A server with these bounds, where `/slow` takes half a second to answer. */
async function bounded(
  arriveMs: number,
  idleMs: number,
): Promise<AsyncDisposable & { readonly url: string }> {
  const idle = new IdleSockets()
  const server = fastify({
    forceCloseConnections: true,
    serverFactory: (listener) => {
      const inner = createServer((request, response) => {
        idle.note(request, response)
        ;(listener as RequestListener)(request, response)
      })
      idle.watch(inner, idleMs, () => ({ generation: 'g0', node: 'origin' }))
      return inner
    },
  })
  server.setErrorHandler((error, _request, reply) => {
    void reply.code(isFailure(error, 'request-timeout') ? 408 : 500).send()
  })
  new BodyBounds(1_000, arriveMs).bound(server)
  server.post('/slow', async () => {
    await sleep(500)
    return 'done'
  })
  await server.listen({ port: 0, host: '127.0.0.1' })
  return {
    url: `http://127.0.0.1:${(server.server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => await server.close(),
  }
}

const JSON_TYPE = 'Content-Type: application/json'

it('a body that comes by drops is refused in the end', async () => {
  await using server = await bounded(300, 10_000)
  await using connection = await rawConnection(server.url)
  connection.send(headOf('/slow', JSON_TYPE, 'Content-Length: 100'))
  const drops = setInterval(() => connection.send(' '), 20)
  try {
    expect((await connection.answer()).status).toBe(408)
  } finally {
    clearInterval(drops)
  }
})

it('a body that stops to come is refused', async () => {
  await using server = await bounded(10_000, 200)
  await using connection = await rawConnection(server.url)
  connection.send(headOf('/slow', JSON_TYPE, 'Content-Length: 100'))
  const answer = await connection.answer()
  expect([answer.status, answer.problem]).toEqual([408, 'request-timeout'])
  await connection.closed()
})

it('who waits for the depot is not cut off, and who waits for nothing is', async () => {
  await using server = await bounded(10_000, 200)
  await using connection = await rawConnection(server.url)
  connection.send(`${headOf('/slow', JSON_TYPE, 'Content-Length: 2')}{}`)
  expect((await connection.answer()).status).toBe(200)
  await using idle = await rawConnection(server.url)
  await idle.closed()
})
