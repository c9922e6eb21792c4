/**
 * What many ask for at the same time is asked of another node once (PROTOCOL §6, edge case 16), between servers over
 * sockets, with real pulls.
 */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { wholeOf } from '../../src/depot/read/whole.ts'
import { digestOf, digestOfHex } from '../../src/model/digest.ts'
import { failure } from '../../src/model/errors.ts'
import { LIMITS } from '../../src/model/limits.ts'
import { MemoryIncoming } from '../../src/pool/memory-incoming.ts'
import { MemoryPool } from '../../src/pool/memory-pool.ts'
import { HttpUpstream } from '../../src/replica/http-upstream.ts'
import { Pulls } from '../../src/replica/relay/pulls.ts'
import { sleep } from '../../src/replica/sleep.ts'
import { exchange } from '../support/exchange.ts'
import { realClock } from '../support/real-world.ts'
import { closed, type Relaying, relaying } from './a-relay.ts'

const GID = 'g2.k3x7m2q5wz4a.0123456789abcdef'
const X = Buffer.from('x')
const OBJECT = `/o/sha256/${hexOf(X)}`
const PATH = `/g/${GID}/v1/channels/stable/files/a/1.0.0/f`
const LARGE = randomBytes(3_000_000)
const MANY = 16

function hexOf(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** The headers of a blob, as a depot sends them. */
function blobHeaders(bytes: Uint8Array, generation: string): Record<string, string> {
  const digest = createHash('sha256').update(bytes).digest()
  return {
    'content-length': String(bytes.length),
    etag: `"sha256-${digest.toString('hex')}"`,
    'accept-ranges': 'bytes',
    'repr-digest': `sha-256=:${digest.toString('base64')}:`,
    'depot-generation': generation,
  }
}

/** An origin that keeps its requests until a test lets them go. */
class Origin {
  readonly asked: IncomingMessage[] = []
  readonly #waiting: ((response: ServerResponse) => void)[] = []
  readonly #held: ServerResponse[] = []

  readonly listener = (message: IncomingMessage, response: ServerResponse): void => {
    this.asked.push(message)
    const next = this.#waiting.shift()
    if (next === undefined) this.#held.push(response)
    else next(response)
  }

  async next(): Promise<ServerResponse> {
    const here = this.#held.shift()
    if (here !== undefined) return here
    return await new Promise((resolve) => {
      this.#waiting.push(resolve)
    })
  }
}

/** So many clients at once, each on a connection of its own; resolves when the node has all of their requests. */
async function crowd(at: Relaying, path: string, count = MANY): Promise<Promise<Answered>[]> {
  const before = at.asked
  const all = Array.from({ length: count }, async () => {
    const { status, body, text } = await exchange(at.url, path)
    return { status, body, text }
  })
  await expect.poll(() => at.asked - before).toBe(count)
  return all
}

interface Answered {
  readonly status: number
  readonly body: Buffer
  readonly text: string
}

describe('many who ask for the same', () => {
  it('small answer under a pin cause one request, and get the same bytes', async () => {
    const origin = new Origin()
    await using at = await relaying(origin.listener, { to: 'any' })
    const all = await crowd(at, PATH)
    const bytes = Buffer.from('the file')
    ;(await origin.next()).writeHead(200, blobHeaders(bytes, GID)).end(bytes)
    const answers = await Promise.all(all)
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`))).toEqual(new Set(['200 the file']))
    expect([origin.asked.length, origin.asked[0]?.headers['depot-via']]).toEqual([1, 'r1'])
    await expect.poll(() => at.relay.underWay).toBe(0)
  })

  it('large object cause one request, get the first bytes while the last have not come, and it stays', async () => {
    const origin = new Origin()
    await using at = await relaying(origin.listener, { to: 'any' })
    const path = `/o/sha256/${hexOf(LARGE)}`
    const early = Array.from({ length: MANY }, () => firstBytes(at, path, 1_000_000))
    await expect.poll(() => at.asked).toBe(MANY)
    const response = await origin.next()
    response.writeHead(200, blobHeaders(LARGE, 'any')).write(LARGE.subarray(0, 2_000_000))
    const readers = await Promise.all(early)
    const late = exchange(at.url, path)
    await expect.poll(() => at.asked).toBe(MANY + 1)
    response.end(LARGE.subarray(2_000_000))
    for (const reader of readers) expect((await reader.rest()).equals(LARGE)).toBe(true)
    expect((await late).body.equals(LARGE)).toBe(true)
    expect(origin.asked.length).toBe(1)
    await expect.poll(() => at.relay.underWay).toBe(0)
    const here = await at.pool.open(digestOf(LARGE))
    expect((await wholeOf(here!)).equals(LARGE)).toBe(true)
  })

  it('large file under a pin cause one request, whose bytes are pulled by their digest', async () => {
    const origin = new Origin()
    await using at = await relaying(origin.listener, { to: 'any' })
    const all = await crowd(at, PATH)
    ;(await origin.next()).writeHead(200, blobHeaders(LARGE, GID)).end(LARGE)
    for (const { body } of await Promise.all(all)) expect(body.equals(LARGE)).toBe(true)
    expect(origin.asked.length).toBe(1)
  })

  it('large object are not kept waiting by one who does not read', async () => {
    const origin = new Origin()
    await using at = await relaying(origin.listener, { to: 'any' })
    const large = randomBytes(30_000_000)
    const path = `/o/sha256/${hexOf(large)}`
    const slow = firstBytes(at, path, 1)
    const response = await origin.next()
    response.writeHead(200, blobHeaders(large, 'any')).end(large)
    const reader = await slow
    expect((await exchange(at.url, path)).body.equals(large)).toBe(true)
    expect((await reader.rest()).equals(large)).toBe(true)
    expect(origin.asked.length).toBe(1)
  })

  it('long answer that is no blob get one each, the first of them the one that is there', async () => {
    const origin = new Origin()
    await using at = await relaying(origin.listener, { to: 'any' })
    const all = await crowd(at, `/g/${GID}/v1/channels/stable/catalog`, 3)
    const catalog = 'a line\n'.repeat(100_000)
    for (let answered = 0; answered < 3; answered += 1)
      (await origin.next()).writeHead(200, { 'depot-generation': GID }).end(catalog)
    for (const { text } of await Promise.all(all)) expect(text === catalog).toBe(true)
    expect(origin.asked.length).toBe(3)
  })

  it.each([
    ['with other tokens', { authorization: 'Bearer other' }],
    ['for a part', { range: 'bytes=0-1' }],
    ['if it has changed', { 'if-none-match': '"x"' }],
    ['in another encoding', { 'accept-encoding': 'gzip' }],
    ['with a floor', { 'depot-min-generation': GID }],
  ])('but %s are asked for themselves', async (_, headers) => {
    const origin = new Origin()
    await using at = await relaying(origin.listener, { to: 'any' })
    const plain = exchange(at.url, PATH)
    const first = await origin.next()
    const other = exchange(at.url, PATH, { headers })
    const second = await origin.next()
    second.writeHead(200, { 'depot-generation': GID, 'content-length': '6' }).end('second')
    first.writeHead(200, { 'depot-generation': GID, 'content-length': '5' }).end('first')
    expect([(await plain).text, (await other).text]).toEqual(['first', 'second'])
    expect(origin.asked[1]?.headers).toMatchObject(headers)
  })

  it('are told that it is nowhere only by an answer that was asked for after them', async () => {
    const origin = new Origin()
    await using at = await relaying(origin.listener, { to: 'any' })
    const absent = { 'content-length': '4', 'depot-generation': 'none', 'cache-control': 'no-store' }
    const all = await crowd(at, `/o/sha256/${hexOf('x')}`, 3)
    ;(await origin.next()).writeHead(404, absent).end('none')
    // It was put there meanwhile.
    ;(await origin.next()).writeHead(200, blobHeaders(Buffer.from('x'), 'any')).end('x')
    const answers = (await Promise.all(all)).map(({ status }) => status)
    expect([answers, origin.asked.length]).toEqual([[404, 200, 200], 2])
  })
})

describe('an object that is pulled through', () => {
  it('is cut, and never ends well, when it is not the one of its URL, whatever the answer says of itself', async () => {
    const other = Buffer.from('other')
    await using at = await relaying(
      (_request, response) => {
        response.writeHead(200, blobHeaders(other, 'any')).end(other)
      },
      { to: 'any' },
    )
    const answer = await exchange(at.url, `/o/sha256/${hexOf('mine')}`)
    expect([answer.status, answer.text]).toEqual([503, 'nobody'])
    expect(await at.pool.open(digestOf(other))).toBeUndefined()
  })

  it('is cut before its last byte when it is large and wrong', async () => {
    const wrong = Buffer.from(LARGE)
    wrong[7] = (wrong[7] ?? 0) + 1
    await using at = await relaying(
      (message, response) => {
        const headers = blobHeaders(LARGE, 'any')
        response.writeHead(message.headers.range === undefined ? 200 : 206, headers).end(wrong)
      },
      { to: 'any' },
    )
    await expect(exchange(at.url, `/o/sha256/${hexOf(LARGE)}`)).rejects.toThrow()
    expect(await at.pool.open(digestOf(LARGE))).toBeUndefined()
    await expect.poll(() => [at.relay.underWay, at.pulls.underWay]).toEqual([0, 0])
  })

  it('goes on where it was when the connection breaks, and no client notices', async () => {
    let times = 0
    await using at = await relaying(
      (message, response) => {
        times += 1
        const from = Number(/^bytes=(\d+)-$/.exec(message.headers.range ?? '')?.[1] ?? 0)
        const headers = { ...blobHeaders(LARGE, 'any'), 'content-length': String(LARGE.length - from) }
        const range = { ...headers, 'content-range': `bytes ${from}-${LARGE.length - 1}/${LARGE.length}` }
        if (from === 0) {
          response.writeHead(200, headers)
          response.write(LARGE.subarray(0, 1_000_000), () => setImmediate(() => response.destroy()))
        } else response.writeHead(206, range).end(LARGE.subarray(from))
      },
      { to: 'any' },
    )
    expect((await exchange(at.url, `/o/sha256/${hexOf(LARGE)}`)).body.equals(LARGE)).toBe(true)
    expect(times).toBe(2)
  })

  it('goes past this node when there is no room for it here', async () => {
    const pool = new MemoryPool()
    const incoming = new MemoryIncoming(pool, realClock)
    incoming.append = async () =>
      await Promise.reject(failure('disk-full', { free: 0, needed: LARGE.length }))
    const never = new HttpUpstream({ call: async () => await Promise.reject(new Error('nobody is asked')) })
    await using at = await relaying(
      (_request, response) => void response.writeHead(200, blobHeaders(LARGE, 'any')).end(LARGE),
      { to: 'any', pulls: new Pulls({ incoming, pool, upstream: never, clock: realClock, sleep }) },
    )
    const answer = await exchange(at.url, `/o/sha256/${hexOf(LARGE)}`)
    expect([answer.status, answer.body.equals(LARGE)]).toEqual([200, true])
    await expect.poll(() => at.relay.underWay).toBe(0)
  })

  it('is stopped when the node closes, and what came of it stays for the next time', async () => {
    const origin = new Origin()
    await using at = await relaying(origin.listener, { to: 'any' })
    const path = `/o/sha256/${hexOf(LARGE)}`
    const reading = firstBytes(at, path, 1)
    const response = await origin.next()
    response.writeHead(200, blobHeaders(LARGE, 'any')).write(LARGE.subarray(0, 1_000_000))
    const reader = await reading
    await at.pulls.close()
    expect(at.pulls.underWay).toBe(0)
    await expect(reader.rest()).rejects.toThrow()
    const again = firstBytes(at, path, 1)
    const [first, rest] = [await origin.next(), origin.next()]
    first.writeHead(200, blobHeaders(LARGE, 'any')).end(LARGE)
    const second = await rest
    const from = Number(/^bytes=(\d+)-$/.exec(second.req.headers.range ?? '')?.[1])
    expect(from).toBeGreaterThan(0)
    const range = { ...blobHeaders(LARGE, 'any'), 'content-length': String(LARGE.length - from) }
    second.writeHead(206, { ...range, 'content-range': `bytes ${from}-${LARGE.length - 1}/${LARGE.length}` })
    second.end(LARGE.subarray(from))
    expect((await (await again).rest()).equals(LARGE)).toBe(true)
  })

  it('ends when nobody is left who wants it, and goes on for those who are', async () => {
    const origin = new Origin()
    await using at = await relaying(origin.listener, { to: 'any' })
    const path = `/o/sha256/${hexOf(LARGE)}`
    const [one, other] = [firstBytes(at, path, 1), firstBytes(at, path, 1)]
    const response = await origin.next()
    response.writeHead(200, blobHeaders(LARGE, 'any')).write(LARGE.subarray(0, 1_000_000))
    const [first, second] = [await one, await other]
    first.leave()
    response.write(LARGE.subarray(1_000_000, 2_000_000))
    await second.has(1_500_000)
    expect(at.pulls.underWay).toBe(1)
    second.leave()
    await once(response, 'close')
    await expect.poll(() => [at.relay.underWay, at.pulls.underWay]).toEqual([0, 0])
  })
})

describe('a read that may be answered by anybody', () => {
  it('is answered by a peer that has it, and asked to wait for nothing there', async () => {
    const seen: IncomingMessage[] = []
    await using peer = await node((message, response) => {
      seen.push(message)
      response.writeHead(200, blobHeaders(X, 'any')).end(X)
    })
    const origin = new Origin()
    await using at = await relaying(origin.listener, { to: 'any', peers: () => [peer.url] })
    expect((await exchange(at.url, OBJECT)).text).toBe('x')
    expect(seen.map(({ headers }) => [headers['depot-via'], headers['prefer']])).toEqual([['r1', 'wait=0']])
    expect(origin.asked).toEqual([])
  })

  it.each([
    ['a pinned path', PATH, {}],
    ['a part', OBJECT, { headers: { range: 'bytes=0-0' } }],
    ['no bytes', OBJECT, { method: 'HEAD' }],
  ])('is asked of the origin alone where a lie of a peer would not be seen: %s', async (_what, path, ask) => {
    const seen: IncomingMessage[] = []
    await using peer = await node((message, response) => {
      seen.push(message)
      response.writeHead(200, blobHeaders(X, GID)).end(X)
    })
    await using at = await relaying(
      (_request, response) =>
        void response.writeHead(200, blobHeaders(X, path === PATH ? GID : 'any')).end(X),
      { to: 'any', peers: () => [peer.url] },
    )
    expect((await exchange(at.url, path, ask)).status).toBe(200)
    expect(seen).toEqual([])
  })

  it('tells a peer no secret, and the origin what it needs', async () => {
    const atPeer: IncomingMessage[] = []
    const atOrigin: IncomingMessage[] = []
    await using peer = await node((message, response) => {
      atPeer.push(message)
      response.writeHead(401).end('who?')
    })
    await using at = await relaying(
      (message, response) => {
        atOrigin.push(message)
        response.writeHead(200, blobHeaders(X, 'any')).end(X)
      },
      { to: 'any', peers: () => [peer.url] },
    )
    const secrets = { authorization: 'Bearer s', cookie: 's' }
    expect((await exchange(at.url, OBJECT, { headers: secrets })).status).toBe(200)
    expect(atPeer).toHaveLength(1)
    for (const name of Object.keys(secrets))
      expect([name, atPeer[0]?.headers[name]]).toEqual([name, undefined])
    expect(atOrigin.map(({ headers }) => headers.authorization)).toEqual(['Bearer s'])
  })

  it('and changes with the head is asked of the origin alone', async () => {
    await using peer = await node((_, response) => void response.writeHead(200).end('peer'))
    await using at = await relaying((_, response) => void response.writeHead(200).end('origin'), {
      to: 'any',
      peers: () => [peer.url],
    })
    expect((await exchange(at.url, `/v1/channels/stable/catalog?since=${GID}`)).text).toBe('origin')
  })

  const POOR: Readonly<Record<string, (message: IncomingMessage, response: ServerResponse) => void>> = {
    'has it not': (_, response) => void response.writeHead(503).end('not here'),
    'says that it is nowhere': (_, response) =>
      void response.writeHead(404, { 'depot-generation': 'none' }).end('none'),
    'knows no such token': (_, response) => void response.writeHead(401).end('who?'),
    'breaks off': (message) => void message.socket.destroy(),
    'is silent': () => undefined,
    'answers from a generation': (_, response) => void response.writeHead(200, blobHeaders(X, GID)).end(X),
  }

  it.each(Object.keys(POOR))('is asked of the origin when a peer %s', async (ill) => {
    await using peer = await node(POOR[ill]!)
    await using at = await relaying(
      (_request, response) => void response.writeHead(200, blobHeaders(X, 'any')).end(X),
      { to: 'any', peers: () => [peer.url], bounds: { peerMs: 50 } },
    )
    expect((await exchange(at.url, OBJECT)).text).toBe('x')
  })

  it('is not answered from another generation, whoever says so', async () => {
    await using at = await relaying(
      (_request, response) => void response.writeHead(200, blobHeaders(Buffer.from('x'), 'any')).end('x'),
      { to: 'any' },
    )
    expect((await exchange(at.url, PATH)).text).toBe('nobody')
    expect((await exchange(at.url, PATH, { method: 'HEAD' })).status).toBe(503)
  })

  it('is not answered at all while nobody knows where the origin is', async () => {
    const origin = new Origin()
    await using at = await relaying(origin.listener, { to: 'any', origin: () => undefined })
    expect((await exchange(at.url, PATH)).text).toBe('nobody')
    expect((await exchange(at.url, '/v1/stages', { method: 'POST' })).text).toBe('origin-unreachable')
    expect(origin.asked).toEqual([])
  })
})

describe('flights', () => {
  it('are bounded, and what comes beyond is not relayed', async () => {
    const origin = new Origin()
    await using at = await relaying(origin.listener, { to: 'any', bounds: { relays: 2 } })
    const two = [exchange(at.url, PATH), exchange(at.url, `${PATH}2`)]
    const responses = [await origin.next(), await origin.next()]
    expect((await exchange(at.url, `${PATH}3`)).text).toBe('nobody')
    // One that joins them takes no place.
    const third = exchange(at.url, PATH)
    await expect.poll(() => at.asked).toBe(4)
    for (const response of responses) response.writeHead(200, blobHeaders(Buffer.from('x'), GID)).end('x')
    expect((await Promise.all([...two, third])).map(({ text }) => text)).toEqual(['x', 'x', 'x'])
    await expect.poll(() => at.relay.underWay).toBe(0)
  })

  it('hold at most so much of an answer in memory', async () => {
    const bytes = randomBytes(LIMITS.sharedAnswerBytes + 1)
    await using at = await relaying(
      (_request, response) => void response.writeHead(200, blobHeaders(bytes, GID)).end(bytes),
      { to: 'any' },
    )
    expect((await exchange(at.url, PATH)).body.equals(bytes)).toBe(true)
    // Beyond it is pulled, and so it is here.
    expect((await at.pool.open(digestOfHex(hexOf(bytes))))?.size).toBe(bytes.length)
  })
})

interface Node extends AsyncDisposable {
  readonly url: string
}

async function node(listener: (message: IncomingMessage, response: ServerResponse) => void): Promise<Node> {
  const server = createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      await closed(server)
    },
  }
}

interface Reading {
  /** All bytes from the first on. */
  rest(): Promise<Buffer>
  /** Resolves when so many have come. */
  has(bytes: number): Promise<void>
  leave(): void
}

/** Reads so many bytes of an answer, and no more until it is told to. */
async function firstBytes(at: Relaying, path: string, count: number): Promise<Reading> {
  const sent = request(at.url + path, { agent: false })
  sent.end()
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  const pieces: Buffer[] = []
  let size = 0
  const has = async (bytes: number): Promise<void> => {
    while (size < bytes) {
      const piece = answer.read() as Buffer | null
      if (piece === null) await once(answer, 'readable')
      else {
        pieces.push(piece)
        size += piece.length
      }
    }
  }
  await has(count)
  return {
    has,
    rest: async () => {
      for await (const piece of answer as AsyncIterable<Buffer>) pieces.push(piece)
      return Buffer.concat(pieces)
    },
    leave: () => {
      answer.on('error', () => undefined)
      sent.destroy()
    },
  }
}
