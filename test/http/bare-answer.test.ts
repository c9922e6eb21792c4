/**
 * A client that never ends its headers is told so and let go, by a server whose patience is short.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it } from 'vitest'
import { answerUnread } from '../../src/http/bare-answer.ts'
import { rawConnection } from '../support/raw-socket.ts'
import { expectWellFormed } from './well-formed.ts'

const GID = 'g0.k3x7m2q5wz4a.9f3ab2c41d07e655'

it('408 is an answer like others', async () => {
  const server = createServer({ headersTimeout: 100, requestTimeout: 100, connectionsCheckingInterval: 20 })
  answerUnread(server, () => GID)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  await using connection = await rawConnection(`http://127.0.0.1:${port}`)
  connection.send('GET /v1/head HTTP/1.1\r\nHost: x\r\nA-Header-That-Never')
  const answer = await connection.answer()
  expectWellFormed(answer, 'GET /v1/head, half of it')
  expect([answer.status, answer.problem, answer.header('connection')]).toEqual([
    408,
    'request-timeout',
    'close',
  ])
  expect(answer.header('depot-generation')).toBe(GID)
  await connection.closed()
  await new Promise((resolve) => server.close(resolve))
})
