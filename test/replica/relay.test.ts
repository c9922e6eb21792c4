/**
 * Having a request answered by the origin (PROTOCOL §6), between two servers over sockets.
 */
import { createHash } from 'node:crypto'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { describe, expect, it } from 'vitest'
import { exchange } from '../support/exchange.ts'
import { rawConnection, rawExchange } from '../support/raw-socket.ts'
import { closed, relaying } from './a-relay.ts'

interface Seen {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = ''
  for await (const piece of request) body += String(piece)
  return body
}

/** An origin that says what it has seen. */
function telling(seen: Seen[], headers: Readonly<Record<string, string>> = {}, status = 200) {
  return (request: IncomingMessage, response: ServerResponse): void => {
    void bodyOf(request).then((body) => {
      const { method, url } = request
      seen.push({ method, url, headers: request.headers, body })
      response.writeHead(status, headers).end('told')
    })
  }
}

function digestHeader(text: string): string {
  return `sha-256=:${createHash('sha256').update(text).digest('base64')}:`
}

describe('a request that is relayed', () => {
  it.each(['POST', 'PUT', 'PATCH', 'DELETE'])('passes as it is: %s', async (method) => {
    const seen: Seen[] = []
    await using at = await relaying(telling(seen))
    const said = { authorization: 'Bearer x', 'depot-min-generation': 'head' }
    const headers = { ...said, 'x-two': ['a', 'b'], 'content-length': '8' }
    const answer = await exchange(at.url, '/v1/a%2Fb?c=d&e', { method, headers, body: 'the body' })
    expect([answer.status, answer.text]).toEqual([200, 'told'])
    expect(seen).toMatchObject([{ method, url: '/v1/a%2Fb?c=d&e', body: 'the body' }])
    expect(seen[0]?.headers).toMatchObject({
      ...said,
      'x-two': 'a, b',
      'depot-via': 'r1',
      host: at.originUrl.replace('http://', ''),
    })
    await expect.poll(() => at.relay.underWay).toBe(0)
  })

  it('names who asked, behind whom others have named', async () => {
    const seen: Seen[] = []
    await using at = await relaying(telling(seen))
    await exchange(at.url, '/', { headers: { 'x-forwarded-for': '192.0.2.7' } })
    await exchange(at.url, '/', { method: 'POST' })
    const named = seen.map(({ headers }) => String(headers['x-forwarded-for']))
    expect(named[0]).toMatch(/^192\.0\.2\.7, .*127\.0\.0\.1$/)
    expect(named[1]).toMatch(/^[^,]*127\.0\.0\.1$/)
  })

  it('passes without what belongs to its connection', async () => {
    const seen: Seen[] = []
    await using at = await relaying(telling(seen))
    const lines = ['Host: x', 'Connection: close, X-Mine', 'X-Mine: 1', 'X-Other: 2', 'TE: trailers']
    await rawExchange(at.url, `GET / HTTP/1.1\r\n${[...lines, 'Keep-Alive: 1'].join('\r\n')}\r\n\r\n`)
    const headers = seen[0]?.headers ?? {}
    expect(headers['x-other']).toBe('2')
    for (const name of ['x-mine', 'te', 'keep-alive'])
      expect([name, headers[name]]).toEqual([name, undefined])
    expect(headers.connection).not.toContain('X-Mine')
  })

  it('loses nothing that it says of generations, whatever its connection says of that', async () => {
    const seen: Seen[] = []
    await using at = await relaying(telling(seen))
    const lines = ['Host: x', 'Connection: close, Depot-Exact-Generation', 'Depot-Exact-Generation: g1']
    await rawExchange(at.url, `GET / HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
    expect(seen[0]?.headers['depot-exact-generation']).toBe('g1')
  })

  it('goes below the path at which the other node is', async () => {
    const seen: Seen[] = []
    await using behind = await relaying(telling(seen))
    for (const end of ['/depot', '/depot/', '/']) {
      await using at = await relaying(() => undefined, { origin: () => behind.originUrl + end })
      await exchange(at.url, '/v1/a?b')
    }
    expect(seen.map(({ url }) => url)).toEqual(['/depot/v1/a?b', '/depot/v1/a?b', '/v1/a?b'])
  })

  it('is refused for its head, however long its body is in coming', async () => {
    await using at = await relaying((_request, response) => void response.writeHead(401).end('who?'))
    for (const says of ['Content-Length: 5', 'Transfer-Encoding: chunked']) {
      await using connection = await rawConnection(at.url)
      connection.send(`POST / HTTP/1.1\r\nHost: x\r\n${says}\r\n\r\n`)
      expect((await connection.answer()).status).toBe(401)
      await expect.poll(() => at.relay.underWay).toBe(0)
    }
  })

  it('says who has asked, behind whom others have named', async () => {
    const seen: Seen[] = []
    await using at = await relaying(telling(seen))
    await exchange(at.url, '/x', { headers: { 'x-forwarded-for': '203.0.113.7, 10.0.0.1' } })
    await exchange(at.url, '/x', { method: 'POST' })
    const named = seen.map(({ headers }) => headers['x-forwarded-for'])
    expect(named).toEqual([
      expect.stringMatching(/^203\.0\.113\.7, 10\.0\.0\.1, (?:::ffff:)?127\.0\.0\.1$/),
      expect.stringMatching(/^(?:::ffff:)?127\.0\.0\.1$/),
    ])
  })

  it.each(['DELETE', 'POST'])('passes with a body that comes in chunks: %s', async (method) => {
    const seen: Seen[] = []
    await using at = await relaying(telling(seen))
    const head = `${method} /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`
    const answer = await rawExchange(at.url, `${head}4\r\nbody\r\n0\r\n\r\n`)
    expect([answer.status, seen[0]?.body]).toEqual([200, 'body'])
  })

  it('does not announce the body of a read, which it leaves out', async () => {
    const seen: Seen[] = []
    await using at = await relaying(telling(seen))
    const answer = await rawExchange(at.url, 'GET /x HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody')
    expect([answer.status, seen[0]?.body]).toEqual([200, ''])
  })
})

describe('an answer that is relayed', () => {
  it('passes as it is, without what belongs to its connection', async () => {
    const headers = {
      etag: '"e"',
      'depot-generation': 'any',
      'depot-node': 'origin',
      connection: 'keep-alive, x-mine',
      'x-mine': '1',
      'keep-alive': 'timeout=7',
    }
    await using at = await relaying(telling([], headers, 404))
    const answer = await exchange(at.url, '/')
    expect([answer.status, answer.text]).toEqual([404, 'told'])
    expect([answer.header('etag'), answer.header('depot-generation')]).toEqual(['"e"', 'any'])
    for (const name of ['depot-node', 'x-mine']) expect(answer.header(name)).toBeUndefined()
    expect(answer.header('keep-alive') ?? '').not.toContain('7')
  })

  it('passes to HEAD without a body, and as 304, 204 and 206', async () => {
    const repr = { 'repr-digest': digestHeader('something else'), 'content-length': '5' }
    await using at = await relaying((request, response) => {
      if (request.method === 'HEAD') response.writeHead(200, repr).end()
      else if (request.url === '/304') response.writeHead(304, { etag: '"e"' }).end()
      else if (request.url === '/204') response.writeHead(204).end()
      else response.writeHead(206, { ...repr, 'content-range': 'bytes 0-4/9' }).end('piece')
    })
    const head = await exchange(at.url, '/', { method: 'HEAD' })
    expect([head.status, head.header('content-length')]).toEqual([200, '5'])
    expect((await exchange(at.url, '/304')).header('etag')).toBe('"e"')
    expect((await exchange(at.url, '/204')).status).toBe(204)
    const piece = await exchange(at.url, '/206')
    expect([piece.status, piece.text]).toEqual([206, 'piece'])
  })

  it('begins in time, however long its bytes are in coming or are held back', async () => {
    const origin: ServerResponse[] = []
    await using at = await relaying(
      (_request, response) => {
        origin.push(response)
        response.writeHead(200, { 'repr-digest': digestHeader('ab'), 'content-length': '2' })
        response.write('a')
      },
      { withinMs: 1_000 },
    )
    const answer = await fetch(at.url)
    expect([answer.status, origin[0]?.writableEnded]).toEqual([200, false])
    origin[0]?.end('b')
    expect(await answer.text()).toBe('ab')
  })

  it('passes when its bytes are what their digest says', async () => {
    await using at = await relaying((_request, response) => {
      response.writeHead(200, { 'repr-digest': digestHeader('ab') })
      response.write('a', () => response.end('b'))
    })
    expect((await exchange(at.url, '/')).text).toBe('ab')
  })

  it.each<Record<string, string>>([{}, { 'content-length': '7' }])(
    'is cut, and never ends well, when they are not: %j',
    async (length) => {
      await using at = await relaying((_request, response) => {
        response.writeHead(200, { ...length, 'repr-digest': digestHeader('another') })
        response.write('mostly', () => response.end('!'))
      })
      await using connection = await rawConnection(at.url)
      connection.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
      await connection.closed()
      const rest = connection.rest().toString()
      expect(rest).not.toContain('!')
      expect(rest).not.toContain('0\r\n\r\n')
      await expect(exchange(at.url, '/')).rejects.toThrow()
    },
  )

  it('is cut when the origin breaks off', async () => {
    await using at = await relaying((_request, response) => {
      response.writeHead(200, { 'content-length': '100' })
      response.write('some', () => response.destroy())
    })
    await expect(exchange(at.url, '/')).rejects.toThrow()
    await expect.poll(() => at.relay.underWay).toBe(0)
  })

  it('to a write waits until that is here, and goes out whatever comes of the waiting', async () => {
    await using at = await relaying(telling([], { 'depot-generation': 'g2' }, 201))
    expect((await exchange(at.url, '/', { method: 'POST' })).status).toBe(201)
    expect((await exchange(at.url, '/')).status).toBe(201)
    expect(at.written).toEqual(['g2'])
    const onWritten = async (): Promise<void> => {
      await Promise.reject(new Error('too many wait here already'))
    }
    await using failing = await relaying(telling([], { 'depot-generation': 'g2' }, 201), { onWritten })
    expect((await exchange(failing.url, '/', { method: 'POST' })).status).toBe(201)
  })
})

describe('what is not relayed', () => {
  it('is what passed this node before, or another one', async () => {
    const seen: Seen[] = []
    await using at = await relaying(telling(seen))
    const via = async (value: string): Promise<string> =>
      (await exchange(at.url, '/', { headers: { 'depot-via': value } })).text
    expect(await via('r1')).toBe('relay-loop')
    expect(await via('r7, r1')).toBe('relay-loop')
    expect(await via('r2')).toBe('nobody')
    expect(seen).toEqual([])
  })

  it('is a read to which the origin says 503; a write is told', async () => {
    await using at = await relaying(telling([], {}, 503))
    expect((await exchange(at.url, '/')).text).toBe('nobody')
    expect((await exchange(at.url, '/', { method: 'HEAD' })).status).toBe(503)
    expect((await exchange(at.url, '/', { method: 'POST' })).text).toBe('told')
  })

  it('is anything while the origin is away, and a write is told so on its own connection', async () => {
    await using at = await relaying(telling([]))
    await closed(at.origin)
    expect((await exchange(at.url, '/')).text).toBe('nobody')
    const answer = await exchange(at.url, '/', { method: 'POST', body: 'x' })
    expect([answer.status, answer.text]).toEqual([500, 'origin-unreachable'])
  })

  it('is a write whose origin goes away in the middle of its body', async () => {
    await using at = await relaying((request) => {
      request.once('data', () => request.socket.destroy())
    })
    await using connection = await rawConnection(at.url)
    connection.send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nsome')
    expect((await connection.answer()).text).toBe('origin-unreachable')
  })

  it('is what a silent origin leaves without an answer', async () => {
    const bounds = { readIdleMs: 20, writeIdleMs: 20 }
    await using at = await relaying(() => undefined, { bounds })
    expect((await exchange(at.url, '/')).text).toBe('nobody')
    expect((await exchange(at.url, '/', { method: 'POST' })).text).toBe('origin-unreachable')
  })

  it('is what comes beyond the bound', async () => {
    const { promise: arrived, resolve: onArrived } = Promise.withResolvers<ServerResponse>()
    await using at = await relaying(
      (_request, response) => {
        onArrived(response)
      },
      { bounds: { relays: 1 } },
    )
    const first = exchange(at.url, '/')
    const response = await arrived
    expect([at.relay.underWay, (await exchange(at.url, '/')).text]).toEqual([1, 'nobody'])
    response.end('late')
    expect((await first).text).toBe('late')
    await expect.poll(() => at.relay.underWay).toBe(0)
  })

  it.each([
    ['POST', 'GET'],
    ['GET', 'POST'],
  ])('is no read because of writes, and no write because of reads: %s', async (many, other) => {
    const held: ServerResponse[] = []
    await using at = await relaying(
      (request, response) => {
        if (request.method === many) held.push(response)
        else response.end('told')
      },
      { bounds: { relays: 2, writes: 2 } },
    )
    const all = [0, 1].map(async () => await exchange(at.url, '/', { method: many }))
    await expect.poll(() => held.length).toBe(2)
    expect((await exchange(at.url, '/', { method: other })).text).toBe('told')
    expect((await exchange(at.url, '/', { method: many })).text).toBe('nobody')
    for (const response of held) response.end()
    await Promise.all(all)
  })
})

describe('a client', () => {
  it.each([
    'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
    'PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nsome',
  ])('that goes away ends what was asked of the origin: %j', async (bytes) => {
    const { promise: arrived, resolve: onArrived } = Promise.withResolvers<IncomingMessage>()
    await using at = await relaying((request) => {
      onArrived(request)
    })
    const connection = await rawConnection(at.url)
    connection.send(bytes)
    const request = await arrived
    const { promise: ended, resolve: onEnded } = Promise.withResolvers<void>()
    request.socket.once('close', () => {
      onEnded()
    })
    await connection[Symbol.asyncDispose]()
    await ended
    await expect.poll(() => at.relay.underWay).toBe(0)
  })

  it.each([401, 413])('that sends much is told early that it is refused with %i', async (status) => {
    await using at = await relaying((request, response) => {
      response.writeHead(status, { 'content-length': '2' }).end('no')
      request.resume()
    })
    await using connection = await rawConnection(at.url)
    const piece = Buffer.alloc(1_000_000)
    connection.send(`PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: ${4 * piece.length}\r\n\r\n`)
    connection.send(piece)
    const answer = await connection.answer()
    expect([answer.status, answer.text]).toEqual([status, 'no'])
    // The rest is read and forgotten, and the connection is good for the next request.
    for (let sent = 1; sent < 4; sent += 1) connection.send(piece)
    connection.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    expect((await connection.answer()).status).toBe(status)
    await expect.poll(() => at.relay.underWay).toBe(0)
  })
})
