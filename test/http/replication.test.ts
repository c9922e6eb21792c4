/**
 * What a node asks of the one it follows: nodes of trees as they are stored, many blobs at once, the log from where it
 * has it, and the lineages. Only what is whole is sent, in the order asked, and no faster than it is taken.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Digest, digestOf, hexOf } from '../../src/model/digest.ts'
import { failure } from '../../src/model/errors.ts'
import { encodeRecord, type Generation, gidOf } from '../../src/model/generation.ts'
import { LIMITS } from '../../src/model/limits.ts'
import { decodeSegment, encodeSegment, unpackSegment } from '../../src/pool/segment.ts'
import { decodeBatch, decodeBatchStream } from '../../src/wire/batch.ts'
import { type Engine, engine, published } from '../depot/an-engine.ts'
import type { Answer, Ask } from '../support/exchange.ts'
import { collect } from '../wire/collect.ts'
import { faceOver, type TestFace } from './a-face.ts'
import { type Asking, asking } from './well-formed.ts'

const OBJECTS = '/v1/replication/objects'
const SEGMENT = { 'depot-form': 'segment' }
/** More than one leaf takes, whatever the salt. */
const RELEASES = 520
const JSON_BODY = { 'content-type': 'application/json' }

let at: Engine
let face: TestFace
/** With a token that may replicate, and nothing else. */
let ask: Asking
let secret: string
let nodes: readonly Digest[]

beforeAll(async () => {
  at = await engine()
  face = await faceOver(at)
  secret = await secretWith('replicate')
  ask = asking({ url: face.url, token: secret })
  const wishes = Array.from({ length: RELEASES }, (_, of) => ({
    name: `package-${of}`,
    files: { a: `file ${of}` },
  }))
  await published(at, ...wishes)
  nodes = (await collect(at.stores.nodes.list())).map(({ digest }) => digest)
  expect(nodes.length).toBeGreaterThan(3)
})
afterAll(async () => {
  await face[Symbol.asyncDispose]()
  await at[Symbol.asyncDispose]()
})

async function secretWith(...scopes: readonly string[]): Promise<string> {
  return (await at.depot.access.create({ label: 'test', scopes })).secret
}

async function objects(digests: readonly unknown[], more: Ask = {}, asked: Asking = ask): Promise<Answer> {
  const headers = { ...JSON_BODY, ...more.headers }
  return await asked(OBJECTS, { method: 'POST', body: JSON.stringify({ digests }), ...more, headers })
}

function digestsIn({ body }: Answer): readonly Digest[] {
  return decodeBatch(body).map(({ digest }) => digest)
}

function plainOf(packed: Uint8Array): Buffer {
  const plain = decodeSegment(unpackSegment(packed))
  if (typeof plain === 'string') throw new Error(plain)
  return plain
}

/** Keeps a node of these bytes, which need not be lines. */
async function keepNode(bytes: Uint8Array, digest: Digest = digestOf(bytes)): Promise<Digest> {
  await at.stores.nodes.keep([{ digest, segment: encodeSegment(bytes) }], 'commit')
  return digest
}

describe('a node as it is stored', () => {
  it('is sent verbatim, under an ETag of its own', async () => {
    for (const digest of nodes) {
      const answer = await ask(`/o/sha256/${hexOf(digest)}`, { headers: SEGMENT })
      expect(answer.status).toBe(200)
      expect(answer.header('content-type')).toBe('application/vnd.depot.segment')
      expect(answer.header('etag')).toBe(`"sha256-${hexOf(digest)};segment"`)
      expect([answer.header('vary'), answer.header('accept-ranges')]).toEqual(['depot-form', 'none'])
      expect([answer.header('depot-generation'), answer.header('repr-digest')]).toEqual(['any', undefined])
      expect(answer.header('cache-control')).toContain('immutable')
      const stored = at.stores.nodes.segment(digest)
      expect(
        Buffer.from(unpackSegment(answer.body).deflated).equals(stored?.deflated ?? Buffer.alloc(0)),
      ).toBe(true)
      expect(digestOf(plainOf(answer.body))).toBe(digest)
    }
  })

  it('is told from the node as it reads, in caches too', async () => {
    const [digest = digestOf('')] = nodes
    const path = `/o/sha256/${hexOf(digest)}`
    const anybody = async (headers: Ask['headers'] = {}): Promise<Answer> =>
      await ask(path, { headers: { authorization: '', ...headers } })
    // The first plain one is kept at hand.
    for (const headers of [{}, {}, SEGMENT, {}, SEGMENT]) {
      const answer = await anybody(headers)
      const isSegment = headers === SEGMENT
      expect(answer.header('vary')).toBe('depot-form')
      expect(digestOf(isSegment ? plainOf(answer.body) : answer.body)).toBe(digest)
      expect(answer.header('etag')).toBe(`"sha256-${hexOf(digest)}${isSegment ? ';segment' : ''}"`)
    }
  })

  it('answers HEAD and conditions in its own form, and always whole', async () => {
    const [digest = digestOf('')] = nodes
    const path = `/o/sha256/${hexOf(digest)}`
    const whole = await ask(path, { headers: SEGMENT })
    const head = await ask(path, { method: 'HEAD', headers: SEGMENT })
    expect([head.status, head.header('content-length'), head.body.length]).toEqual([
      200,
      `${whole.body.length}`,
      0,
    ])
    const known = await ask(path, { headers: { ...SEGMENT, 'if-none-match': whole.header('etag') ?? '' } })
    expect([known.status, known.header('etag')]).toEqual([304, whole.header('etag')])
    const other = await ask(path, { headers: { ...SEGMENT, 'if-none-match': `"sha256-${hexOf(digest)}"` } })
    expect(other.status).toBe(200)
    const part = await ask(path, { headers: { ...SEGMENT, range: 'bytes=1-2' } })
    expect([part.status, part.body.equals(whole.body)]).toEqual([200, true])
  })

  it('is not there for a blob that is none, whose own form is the only one', async () => {
    const file = digestOf('file 7')
    const answer = await ask(`/o/sha256/${hexOf(file)}`, { headers: SEGMENT })
    expect([answer.status, answer.problem, answer.header('cache-control')]).toEqual([
      404,
      'not-found',
      'no-store',
    ])
    const plain = await ask(`/o/sha256/${hexOf(file)}`)
    expect([plain.text, plain.header('vary')]).toEqual(['file 7', undefined])
    expect((await ask(`/o/sha256/${'0'.repeat(64)}`, { headers: SEGMENT })).status).toBe(404)
  })

  it.each(['plain', 'segments', '', 'segment, segment'])('has no form %j', async (form) => {
    const [digest = digestOf('')] = nodes
    for (const path of [`/o/sha256/${hexOf(digest)}`, `/o/sha256/${hexOf(digest)}?x`]) {
      const answer = await ask(path, { headers: { 'depot-form': form } })
      expect([answer.status, answer.problem]).toEqual([400, 'bad-request'])
    }
  })

  it.each([
    ['of other bytes', encodeSegment(Buffer.from('another node\n'))],
    ['with a wrong checksum', { ...encodeSegment(Buffer.from('a node\n')), crc32: 7 }],
    ['with a wrong length', { ...encodeSegment(Buffer.from('a node\n')), length: 6 }],
    ['cut short', { ...encodeSegment(Buffer.from('a node\n')), deflated: Buffer.from([1]) }],
  ])('is not sent when it is damaged: %s', async (_, segment) => {
    const digest = digestOf('a node\n')
    await at.stores.nodes.keep([{ digest, segment }], 'commit')
    for (const method of ['GET', 'HEAD']) {
      const answer = await ask(`/o/sha256/${hexOf(digest)}`, { method, headers: SEGMENT })
      expect([answer.status, answer.header('cache-control')]).toEqual([500, 'no-store'])
    }
    const [good = digest] = nodes
    expect(digestsIn(await objects([digest, good], { headers: SEGMENT }))).toEqual([good])
    await keepNode(Buffer.from('a node\n'))
    expect(digestsIn(await objects([digest, good], { headers: SEGMENT }))).toEqual([digest, good])
  })
})

describe('many blobs at once', () => {
  it('come in the order asked, without those that are not here', async () => {
    const asked = [3, 1, 299, 2].map((of) => digestOf(`file ${of}`))
    const [one = asked[0], two, ...others] = asked
    const answer = await objects([one, digestOf('never'), two, ...others, digestOf('never again'), one])
    expect([answer.status, answer.header('content-type')]).toEqual([200, 'application/vnd.depot.blobs'])
    expect([answer.header('cache-control'), answer.header('vary')]).toEqual([
      'private, no-store',
      'depot-form',
    ])
    expect(digestsIn(answer)).toEqual([...asked, one])
    expect(decodeBatch(answer.body).map(({ bytes }) => Buffer.from(bytes).toString())[0]).toBe('file 3')
    expect((await objects([])).body.length).toBe(0)
    expect((await objects([digestOf('never')])).body.length).toBe(0)
  })

  it('are small ones: a large one is left out, and one of the most bytes comes', async () => {
    const most = randomBytes(LIMITS.smallBlobBytes)
    const more = randomBytes(LIMITS.smallBlobBytes + 1)
    await at.stores.pool.put(most)
    await at.stores.pool.put(more)
    expect(digestsIn(await objects([digestOf(more), digestOf(most)]))).toEqual([digestOf(most)])
    expect((await ask(`/o/sha256/${hexOf(digestOf(more))}`)).body.equals(more)).toBe(true)
  })

  it('or nodes as they are stored, and of the two kinds one at a time', async () => {
    const file = digestOf('file 1')
    const answer = await objects([file, ...nodes], { headers: SEGMENT })
    expect(answer.header('content-type')).toBe('application/vnd.depot.segments')
    const sent = await collect(
      decodeBatchStream([answer.body] as never, { url: '', blobs: 1_000, blobBytes: LIMITS.nodeBytes }),
    )
    expect(sent.map(({ digest }) => digest)).toEqual(nodes)
    for (const { digest, bytes } of sent) expect(digestOf(plainOf(bytes))).toBe(digest)
    expect(digestsIn(await objects([file, ...nodes]))).toEqual([file])
  })

  it('come although one of them is damaged, which is said by who asks for it alone', async () => {
    const damaged = digestOf('file 5')
    const pool = Object.assign(Object.create(at.stores.pool) as typeof at.stores.pool, {
      open: (digest: Digest) =>
        digest === damaged
          ? Promise.reject(failure('blob-corrupt', { digest, reason: 'test' }))
          : at.stores.pool.open(digest),
    })
    await using other = await faceOver(at, { pool })
    const asked = asking({ url: other.url, token: secret })
    expect(digestsIn(await objects([damaged, digestOf('file 6')], {}, asked))).toEqual([digestOf('file 6')])
    const alone = await asked(`/o/sha256/${hexOf(damaged)}`)
    expect([alone.status, alone.problem]).toEqual([500, 'blob-corrupt'])
  })

  it('fail before anything is sent when something else than damage comes in between', async () => {
    const pool = Object.assign(Object.create(at.stores.pool) as typeof at.stores.pool, {
      open: () => Promise.reject(failure('draining', {})),
    })
    await using other = await faceOver(at, { pool })
    const answer = await objects([digestOf('x')], {}, asking({ url: other.url, token: secret }))
    expect([answer.status, answer.problem]).toEqual([503, 'draining'])
  })

  it.each<[string, () => Promise<Answer>, number]>([
    ['too many', async () => await objects(Array.from({ length: 1_001 }, (_, of) => digestOf(`${of}`))), 400],
    ['what is no digest', async () => await objects(['sha256:abc']), 400],
    ['a body that is too large', async () => await objects(['x'.repeat(LIMITS.jsonListBytes)]), 413],
    ['no list', async () => await ask(OBJECTS, { method: 'POST', headers: JSON_BODY, body: '{}' }), 400],
    ['another type', async () => await objects([], { headers: { 'content-type': 'text/csv' } }), 415],
    ['a form that nobody knows', async () => await objects([], { headers: { 'depot-form': 'x' } }), 400],
  ])('are refused for %s', async (_, act, status) => {
    expect((await act()).status).toBe(status)
  })

  it('may be as many as the limit says', async () => {
    const digests = Array.from({ length: LIMITS.replicationBatch }, (_, of) => digestOf(`file ${of}`))
    expect(digestsIn(await objects(digests))).toEqual(digests.slice(0, RELEASES))
  })
})

describe('a reader of many nodes', () => {
  const COUNT = 200
  const NODE_BYTES = 150_000
  let many: readonly Digest[]
  let read = 0
  let watched: TestFace

  beforeAll(async () => {
    many = await Promise.all(
      Array.from({ length: COUNT }, async () => await keepNode(randomBytes(NODE_BYTES))),
    )
    const counted = Object.assign(Object.create(at.stores.nodes) as typeof at.stores.nodes, {
      segment: (digest: Digest) => {
        read += 1
        return at.stores.nodes.segment(digest)
      },
    })
    watched = await faceOver(at, { nodes: counted })
  })
  afterAll(async () => {
    await watched[Symbol.asyncDispose]()
  })

  /** Its answer, of which nothing is read yet. */
  async function begun(): Promise<IncomingMessage> {
    const sent = request(`${watched.url}${OBJECTS}`, {
      method: 'POST',
      headers: { ...JSON_BODY, ...SEGMENT, authorization: `Bearer ${secret}` },
      agent: new Agent({ keepAlive: false }),
    })
    sent.end(JSON.stringify({ digests: many }))
    const [answer] = (await once(sent, 'response')) as [IncomingMessage]
    return answer
  }

  /** How many were read when no more are. */
  async function readInTheEnd(): Promise<number> {
    for (let before = -1; before !== read; ) {
      before = read
      await new Promise((resolve) => setTimeout(resolve, 300))
    }
    return read
  }

  it('who is slow holds no more than a few of them, and gets all', async () => {
    read = 0
    const answer = await begun()
    // What the sockets of both sides take is some megabytes.
    expect(await readInTheEnd()).toBeLessThan(COUNT / 2)
    // Nobody else waits for him.
    await published(at, { name: 'meanwhile' })
    const bounds = { url: '', blobs: COUNT, blobBytes: LIMITS.nodeBytes }
    const sent = await collect(decodeBatchStream(answer, bounds))
    expect(sent.map(({ digest }) => digest)).toEqual(many)
    for (const { digest, bytes } of sent) expect(digestOf(plainOf(bytes))).toBe(digest)
  })

  it('who goes away is sent no more', async () => {
    read = 0
    const answer = await begun()
    answer.destroy()
    expect(await readInTheEnd()).toBeLessThan(COUNT / 2)
    expect((await objects(nodes, { headers: SEGMENT })).status).toBe(200)
  })
})

describe('the log', () => {
  async function log(query: string): Promise<readonly Generation[]> {
    const answer = await ask(`/v1/replication/log${query}`)
    expect([answer.status, answer.header('content-type')]).toEqual([200, 'application/x-ndjson'])
    return answer.lines<Generation>()
  }

  it('comes oldest first, from where it is had up to where it is wanted', async () => {
    for (let of = 0; of < 5; of += 1) await published(at, { name: 'news', version: `1.0.${of}` })
    const head = at.depot.head.now().record.number
    const numbers = async (query: string): Promise<readonly number[]> =>
      (await log(query)).map(({ record }) => record.number)
    const all = Array.from({ length: head + 1 }, (_, number) => number)
    expect(await numbers('')).toEqual(all)
    expect(await numbers('?after=-1')).toEqual(all)
    expect(await numbers(`?after=${head - 3}`)).toEqual(all.slice(-3))
    expect(await numbers(`?after=0&upTo=2`)).toEqual([1, 2])
    expect(await numbers(`?after=2&upTo=2`)).toEqual([])
    expect(await numbers(`?after=${head}`)).toEqual([])
    expect(await numbers('?after=999999999999999&upTo=999999999999999')).toEqual([])
    expect(await numbers('?after=0&upTo=999999999999999')).toEqual(all.slice(1))
  })

  it('has records whose canonical bytes are those of their ids, each naming the one before', async () => {
    const generations = await log('')
    for (const [index, { gid, record }] of generations.entries()) {
      expect(gidOf(record, encodeRecord(record))).toBe(gid)
      const parent = generations[index - 1]
      expect(record.parentDigest).toBe(parent === undefined ? null : digestOf(encodeRecord(parent.record)))
    }
  })

  it('is read in pages that nobody sees', async () => {
    for (let of = 0; of < 230; of += 1) await published(at, { name: 'many', version: `1.0.${of}` })
    const head = at.depot.head.now().record.number
    expect((await log('')).map(({ record }) => record.number)).toEqual(
      Array.from({ length: head + 1 }, (_, of) => of),
    )
  })

  it.each(['?after=x', '?after=-2', '?upTo=-1', '?after=1000000000000000', '?upTo=1e99'])(
    'is refused for %s',
    async (query) => {
      expect((await ask(`/v1/replication/log${query}`)).status).toBe(400)
    },
  )

  it('goes with the lineages', async () => {
    const answer = await ask('/v1/replication/lineages')
    expect(answer.json()).toEqual({ lineages: [...at.depot.generations.lineages().values()] })
    expect(answer.header('cache-control')).toBe('private, no-store')
  })
})

describe('where the origin is', () => {
  it('is told to those who follow: that it is this one, and how it is called', async () => {
    const answer = await ask('/v1/replication/origin')
    expect([answer.status, answer.json()]).toEqual([200, { isOrigin: true, url: null }])
    expect(answer.header('cache-control')).toBe('private, no-store')
  })
})

describe('what is for nodes', () => {
  const PATHS: readonly (readonly [string, string])[] = [
    ['POST', OBJECTS],
    ['GET', '/v1/replication/log'],
    ['GET', '/v1/replication/lineages'],
    ['GET', '/v1/replication/origin'],
    ['GET', '/v1/replication/access'],
    ['POST', '/v1/nodes/r1/heartbeat'],
  ]

  it.each(PATHS)('%s %s needs the scope replicate, before a body is looked at', async (method, path) => {
    const more = { method, headers: JSON_BODY, ...(method === 'GET' ? {} : { body: '{' }) }
    const status = async (authorization: string): Promise<number> =>
      (await ask(path, { ...more, headers: { ...more.headers, authorization } })).status
    expect(await status('')).toBe(401)
    expect(await status('Bearer depot_nobody')).toBe(401)
    for (const scope of ['admin', 'read', 'publish:*', 'promote:stable'])
      expect([scope, await status(`Bearer ${await secretWith(scope)}`)]).toEqual([scope, 403])
    expect(await status(`Bearer ${secret}`)).toBe(method === 'GET' ? 200 : 400)
    expect(await status(`Bearer ${await secretWith('read', 'replicate')}`)).toBe(method === 'GET' ? 200 : 400)
  })

  it('is not there in other ways', async () => {
    for (const [method, path] of PATHS) {
      const other = method === 'GET' ? 'POST' : 'GET'
      expect([path, (await ask(path, { method: other })).status]).toEqual([path, 405])
    }
  })
})
