/**
 * Answers to what never becomes a request: they come as others do, behind those that are still under way on their
 * connection, and nobody who breaks off takes the depot with him.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { answerBare, answerUnread } from '../../src/http/bare-answer.ts'
import { failure } from '../../src/model/errors.ts'
import { type RawConnection, rawConnection } from '../support/raw-socket.ts'
import { expectWellFormed } from './well-formed.ts'

const GID = 'g0.k3x7m2q5wz4a.9f3ab2c41d07e655'
const STAMP = { generation: GID, node: 'origin;role=origin;state=fresh;age=0' }
const GET = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
const NONSENSE = 'THIS IS NO HTTP\r\n\r\n'

interface Bare extends AsyncDisposable {
  readonly server: Server
  readonly connection: RawConnection
  /** The responses that nobody has ended yet, in the order of their requests. */
  readonly underWay: readonly ServerResponse[]
}

/** A server that answers nothing by itself, and one connection to it. */
async function bareServer(
  listener: (request: IncomingMessage) => void = () => undefined,
  patienceMs = 20_000,
): Promise<Bare> {
  const underWay: ServerResponse[] = []
  const server = createServer(
    { requireHostHeader: false, headersTimeout: 100, requestTimeout: 100, connectionsCheckingInterval: 20 },
    (request, response) => {
      underWay.push(response)
      listener(request)
    },
  )
  answerUnread(server, () => STAMP, patienceMs)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const connection = await rawConnection(`http://127.0.0.1:${port}`)
  return {
    server,
    connection,
    underWay,
    [Symbol.asyncDispose]: async () => {
      await connection[Symbol.asyncDispose]()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** As the depot refuses a request without Host: from the listener, before its own body is read. */
function refuseNameless({ headers, socket }: IncomingMessage): void {
  if (headers.host === undefined)
    answerBare(
      failure('bad-request', { reason: 'a request of HTTP/1.1 needs the header Host' }),
      socket,
      STAMP,
    )
}

it('408 is an answer like others', async () => {
  await using bare = await bareServer()
  const { connection } = bare
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
})

describe('a refusal on a connection with answers under way', () => {
  it('comes behind them, and is the last', async () => {
    await using bare = await bareServer()
    const { server, connection, underWay } = bare
    const refused = once(server, 'clientError')
    connection.send(GET + GET + NONSENSE)
    await refused
    underWay[1]?.end('second')
    underWay[0]?.end('first')
    expect((await connection.answer()).text).toBe('first')
    expect((await connection.answer()).text).toBe('second')
    const last = await connection.answer()
    expectWellFormed(last, 'nonsense')
    expect([last.status, last.header('connection')]).toEqual([400, 'close'])
    await connection.closed()
    expect(connection.rest().length).toBe(0)
  })

  it('is told once, however much more nonsense comes', async () => {
    await using bare = await bareServer()
    const { server, connection, underWay } = bare
    for (const nonsense of [GET + NONSENSE, NONSENSE, NONSENSE]) {
      const refused = once(server, 'clientError')
      connection.send(nonsense)
      await refused
    }
    expect(underWay[0]?.listenerCount('close')).toBeLessThan(3)
    underWay[0]?.end('first')
    expect((await connection.answer()).text).toBe('first')
    expect((await connection.answer()).status).toBe(400)
    await connection.closed()
    expect(connection.rest().length).toBe(0)
  })

  it('comes behind them when the request itself is refused, whose own answer never comes', async () => {
    await using bare = await bareServer(refuseNameless)
    const { server, connection, underWay } = bare
    const asked = new Promise<void>((resolve) => {
      server.on('request', () => {
        if (underWay.length === 3) resolve()
      })
    })
    connection.send(`${GET}GET / HTTP/1.1\r\n\r\n${GET}`)
    await asked
    underWay[0]?.end('first')
    expect((await connection.answer()).text).toBe('first')
    expect((await connection.answer()).status).toBe(400)
    await connection.closed()
    expect(connection.rest().length).toBe(0)
  })

  it('comes at once when it is of the request that is being read', async () => {
    await using bare = await bareServer()
    bare.connection.send(
      'PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nthis is the size of no chunk\r\n',
    )
    expect((await bare.connection.answer()).status).toBe(400)
    await bare.connection.closed()
  })

  it('is left out when those do not end in time', async () => {
    await using bare = await bareServer(undefined, 20)
    bare.connection.send(GET + NONSENSE)
    await bare.connection.closed()
    expect(bare.connection.rest().length).toBe(0)
  })

  it('is left out when an answer before it ends the connection', async () => {
    await using bare = await bareServer()
    const { server, connection, underWay } = bare
    const refused = once(server, 'clientError')
    connection.send(GET + NONSENSE)
    await refused
    underWay[0]?.setHeader('connection', 'close').end('first')
    expect((await connection.answer()).text).toBe('first')
    await connection.closed()
    expect(connection.rest().length).toBe(0)
  })
})

describe('a client that asks for a tunnel', () => {
  const CONNECT = 'CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n'

  it('is refused behind the answers that are under way', async () => {
    await using bare = await bareServer()
    const { server, connection, underWay } = bare
    const asked = once(server, 'connect')
    connection.send(GET + CONNECT)
    await asked
    underWay[0]?.end('first')
    expect((await connection.answer()).text).toBe('first')
    expect((await connection.answer()).status).toBe(400)
    await connection.closed()
  })

  it('and breaks off does no harm', async () => {
    await using bare = await bareServer()
    const { server, connection } = bare
    const asked = once(server, 'connect') as Promise<[IncomingMessage, Socket]>
    connection.send(CONNECT)
    const [, socket] = await asked
    // What a connection says that was reset. Without a listener it would end the process.
    socket.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }))
    await connection.closed()
  })
})
