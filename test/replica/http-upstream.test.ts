/**
 * The upstream over HTTP: what a real depot sends arrives as it is, and what no depot would send is refused before it
 * is kept.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { digestOf } from '../../src/model/digest.ts'
import { isFailure } from '../../src/model/errors.ts'
import { encodeRecord, gidOf } from '../../src/model/generation.ts'
import { LIMITS } from '../../src/model/limits.ts'
import { encodeSegment, packSegment } from '../../src/pool/segment.ts'
import { HttpUpstream } from '../../src/replica/http-upstream.ts'
import { accessAfter, sendHeartbeat } from '../../src/replica/origin-calls.ts'
import { batchHeader, encodeBatch } from '../../src/wire/batch.ts'
import { Caller } from '../../src/wire/caller.ts'
import { type Engine, engine, published } from '../depot/an-engine.ts'
import { faceOver, type TestFace } from '../http/a-face.ts'
import { realClock, realRandom } from '../support/real-world.ts'
import { collect } from '../wire/collect.ts'
import { type Part, type Playing, playing, problem } from '../wire/playing-server.ts'

let at: Engine
let face: TestFace
let secret: string
let upstream: HttpUpstream
const LARGE = randomBytes(300_000)
const SMALL = Buffer.from('small')

beforeAll(async () => {
  at = await engine()
  face = await faceOver(at)
  secret = (await at.depot.access.create({ label: 'r1', scopes: ['replicate'] })).secret
  upstream = new HttpUpstream(callerTo(face.url))
  await published(at, { files: { a: 'one', b: 'two' } })
  await published(at, ...Array.from({ length: 200 }, (_, of) => ({ name: `package-${of}` })))
  await at.stores.pool.put(LARGE)
})
afterAll(async () => {
  await face[Symbol.asyncDispose]()
  await at[Symbol.asyncDispose]()
})

function callerTo(url: string, token: string = secret): Caller {
  return new Caller({
    url,
    token,
    random: realRandom,
    clock: {
      ...realClock,
      sleep: async (ms, signal) => await sleep(ms, undefined, signal === undefined ? {} : { signal }),
    },
    bounds: { patience: 300, firstPatience: 300, answerWithin: 30_000 },
  })
}

function never(): AbortSignal {
  return new AbortController().signal
}

async function codeOf(act: Promise<unknown>): Promise<string> {
  try {
    await act
    return 'accepted'
  } catch (error) {
    if (isFailure(error)) return error.code
    return error instanceof Error ? error.name : 'unknown'
  }
}

async function bytesOf(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await collect(pieces))
}

/** An upstream that plays this part. */
async function lying(part: Part): Promise<{ readonly upstream: HttpUpstream } & Playing> {
  const server = await playing(part)
  return Object.assign(server, { upstream: new HttpUpstream(callerTo(server.url)) })
}

describe('the head', () => {
  it('is the active generation, with the canonical bytes of its record', async () => {
    const { gid, record } = at.depot.head.now()
    const head = await upstream.head(undefined, 0, never())
    expect(head?.gid).toBe(gid)
    expect(Buffer.from(head?.bytes ?? []).equals(encodeRecord(record))).toBe(true)
  })

  it('is waited for, and told at once when it moves', async () => {
    const { gid } = at.depot.head.now()
    expect(await upstream.head(gid, 0, never())).toBeUndefined()
    const waiting = upstream.head(gid, 20_000, never())
    await expect.poll(() => at.depot.head.waiting()).toBe(1)
    const next = await published(at, { name: 'next' })
    expect((await waiting)?.gid).toBe(next.gid)
  })

  it('is waited for no longer than anybody wants it', async () => {
    const leaving = new AbortController()
    const waiting = upstream.head(at.depot.head.now().gid, 20_000, leaving.signal)
    await expect.poll(() => at.depot.head.waiting()).toBe(1)
    leaving.abort()
    expect(await codeOf(waiting)).not.toBe('accepted')
    await expect.poll(() => at.depot.head.waiting()).toBe(0)
  })

  it('is refused when its record is another one', async () => {
    const generation = at.depot.head.now()
    const lie = { ...generation, record: { ...generation.record, message: 'another' } }
    await using liar = await lying((_, response) => response.end(JSON.stringify(lie)))
    expect(await codeOf(liar.upstream.head(undefined, 0, never()))).toBe('answer-invalid')
  })
})

describe('the log', () => {
  it('comes oldest first, from a number up to a number', async () => {
    const head = at.depot.head.now().record.number
    const all = await collect(upstream.log(-1, head, never()))
    expect(all.map(({ gid }) => Number(gid.slice(1).split('.')[0]))).toEqual(
      Array.from({ length: head + 1 }, (_, of) => of),
    )
    for (const { gid, bytes } of all)
      expect(gidOf(JSON.parse(Buffer.from(bytes).toString()) as never, bytes)).toBe(gid)
    expect(await collect(upstream.log(0, 1, never()))).toEqual(all.slice(1, 2))
  })

  it.each<[string, (lines: readonly string[]) => string]>([
    ['that goes back', ([one, two]) => `${two}\n${one}\n`],
    ['that says it twice', ([one]) => `${one}\n${one}\n`],
    ['beyond what was asked', ([one, , three]) => `${one}\n${three}\n`],
    ['that is cut', ([one, two = '']) => `${one}\n${two.slice(0, 50)}`],
    ['with another record', ([one = '']) => `${one.replace('"message":"', '"message":"x')}\n`],
    ['that is no log', () => '{}\n'],
    ['of one endless line', () => 'x'.repeat(LIMITS.replicationLineBytes + 1)],
  ])('%s is refused', async (_, lie) => {
    const lines = at.depot.generations
      .list({ kind: 'above', number: -1 }, 3)
      .map((generation) => JSON.stringify(generation))
    expect(lines).toHaveLength(3)
    await using liar = await lying((_asked, response) => response.end(lie(lines)))
    expect(await codeOf(collect(liar.upstream.log(-1, 1, never())))).toBe('answer-invalid')
  })

  it('goes with the lineages', async () => {
    expect(await upstream.lineages(never())).toEqual([...at.depot.generations.lineages().values()])
    await using liar = await lying((_, response) => response.end('{"lineages":[{"id":"x"}]}'))
    expect(await codeOf(liar.upstream.lineages(never()))).toBe('answer-invalid')
  })
})

describe('nodes and small blobs', () => {
  it('come in the order asked, without those that are not there', async () => {
    const digests = (await collect(at.stores.nodes.list())).map(({ digest }) => digest)
    const asked = [...digests].reverse()
    const nodes = await collect(upstream.nodes([digestOf('never'), ...asked], never()))
    expect(nodes.map(({ digest }) => digest)).toEqual(asked)
    for (const { digest, segment } of nodes)
      expect(packSegment(segment).equals(packSegment(at.stores.nodes.segment(digest) ?? segment))).toBe(true)
    const blobs = await collect(upstream.blobs([digestOf('two'), digestOf(LARGE), digestOf('one')], never()))
    expect(blobs.map(({ bytes }) => Buffer.from(bytes).toString())).toEqual(['two', 'one'])
    expect(await collect(upstream.blobs([], never()))).toEqual([])
  })

  const ONE = digestOf('one')
  const TWO = digestOf('two')
  const blob = (text: string): Buffer => encodeBatch([{ digest: digestOf(text), bytes: Buffer.from(text) }])
  const TYPE = 'application/vnd.depot.blobs'

  it.each<[string, string, Buffer]>([
    ['in another order', TYPE, Buffer.concat([blob('two'), blob('one')])],
    ['twice', TYPE, Buffer.concat([blob('one'), blob('one')])],
    ['that nobody asked for', TYPE, blob('three')],
    ['more than were asked for', TYPE, Buffer.concat([blob('one'), blob('two'), blob('two')])],
    ['cut short', TYPE, blob('one').subarray(0, 38)],
    ['too large', TYPE, batchHeader(ONE, LIMITS.smallBlobBytes + 1)],
    ['as something else', 'application/json', blob('one')],
    ['in the other form', 'application/vnd.depot.segments', blob('one')],
  ])('%s are refused', async (_, type, body) => {
    await using liar = await lying((_asked, response) =>
      response.writeHead(200, { 'content-type': type }).end(body),
    )
    expect(await codeOf(collect(liar.upstream.blobs([ONE, TWO], never())))).toBe('answer-invalid')
  })

  it.each<[string, Buffer]>([
    [
      'that would be too large unpacked',
      packSegment({ ...encodeSegment(SMALL), length: LIMITS.nodeBytes + 1 }),
    ],
    ['that is no segment', Buffer.from('short')],
  ])('a node %s is refused', async (_, bytes) => {
    await using liar = await lying((_asked, response) =>
      response
        .writeHead(200, { 'content-type': 'application/vnd.depot.segments' })
        .end(encodeBatch([{ digest: ONE, bytes }])),
    )
    expect(await codeOf(collect(liar.upstream.nodes([ONE], never())))).toBe('answer-invalid')
  })

  it('are asked for again when it failed before it began, for asking changes nothing', async () => {
    await using liar = await lying((_, response, before) => {
      if (before === 0) response.destroy()
      else response.writeHead(200, { 'content-type': TYPE }).end(blob('one'))
    })
    const own = new HttpUpstream(
      new Caller({
        url: liar.url,
        random: realRandom,
        clock: { ...realClock, sleep: async () => undefined },
      }),
    )
    expect(await collect(own.blobs([ONE], never()))).toHaveLength(1)
  })

  it('that were wanted no more are not sent any more', async () => {
    const closed = Promise.withResolvers<void>()
    await using liar = await lying(
      async (_, response) => await endless(response, blob('one'), closed.resolve),
    )
    for await (const _ of liar.upstream.blobs([ONE, TWO], never())) break
    await closed.promise
    const leaving = new AbortController()
    const waiting = collect(liar.upstream.blobs([ONE, TWO], leaving.signal))
    setTimeout(() => leaving.abort(), 100)
    expect(await codeOf(waiting)).not.toBe('accepted')
  })
})

/** The first of a body, and then nothing until the client has gone. */
async function endless(response: ServerResponse, first: Buffer, onClose: () => void): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/vnd.depot.blobs' })
  response.write(first)
  await once(response, 'close')
  onClose()
}

describe('one blob', () => {
  const digest = digestOf(LARGE)

  it.each([0, 1, 299_999, 300_000])('comes from %i on', async (offset) => {
    expect((await bytesOf(upstream.blob(digest, offset, never()))).equals(LARGE.subarray(offset))).toBe(true)
  })

  it('may be small, a node, or not there', async () => {
    expect((await bytesOf(upstream.blob(digestOf('one'), 1, never()))).toString()).toBe('ne')
    const [node] = await collect(at.stores.nodes.list())
    const wanted = node?.digest ?? digest
    expect(digestOf(await bytesOf(upstream.blob(wanted, 0, never())))).toBe(wanted)
    expect(await codeOf(bytesOf(upstream.blob(digestOf('never'), 0, never())))).toBe('not-found')
    expect(await codeOf(bytesOf(upstream.blob(digest, 300_001, never())))).toBe('range-not-satisfiable')
  })

  it('comes from there also when the whole of it is sent', async () => {
    await using whole = await lying((_, response) => response.end(LARGE))
    expect(
      (await bytesOf(whole.upstream.blob(digest, 100_000, never()))).equals(LARGE.subarray(100_000)),
    ).toBe(true)
  })

  it.each<[string, (response: ServerResponse) => unknown, string]>([
    [
      'from elsewhere',
      (response) => response.writeHead(206, { 'content-range': 'bytes 5-9/10' }).end('56789'),
      'answer-invalid',
    ],
    ['from nowhere', (response) => response.writeHead(206).end('56789'), 'answer-invalid'],
    ['that has become shorter', (response) => response.end('012'), 'answer-invalid'],
    [
      'that breaks off',
      (response) =>
        response.writeHead(200, { 'content-length': 50 }).write('0123456789', () => response.destroy()),
      'origin-unreachable',
    ],
    [
      'of another size',
      (response) => problem(response, 416, 'range-not-satisfiable', { size: 3 }),
      'range-not-satisfiable',
    ],
    [
      'that is damaged',
      (response) => problem(response, 500, 'blob-corrupt', { digest: 'x', reason: 'y' }),
      'blob-corrupt',
    ],
  ])('%s is refused', async (_, act, code) => {
    await using liar = await lying((_asked, response) => act(response))
    expect(await codeOf(bytesOf(liar.upstream.blob(digest, 4, never())))).toBe(code)
  })
})

describe('an origin that cannot be reached', () => {
  it('is told as that, by whatever was asked', async () => {
    const gone = await playing(() => undefined)
    await gone[Symbol.asyncDispose]()
    const caller = callerTo(gone.url)
    const nobody = new HttpUpstream(caller)
    const asked: readonly Promise<unknown>[] = [
      nobody.head(undefined, 0, never()),
      collect(nobody.log(0, 1, never())),
      nobody.lineages(never()),
      collect(nobody.nodes([digestOf('')], never())),
      collect(nobody.blobs([digestOf('')], never())),
      collect(nobody.blob(digestOf(''), 0, never())),
      accessAfter(caller, undefined, 0, never()),
      sendHeartbeat(caller, 'r1', { role: 'replica', state: 'boot', head: null, known: null }, never()),
    ]
    const codes = await Promise.all(asked.map(codeOf))
    expect(codes).toEqual(asked.map(() => 'origin-unreachable'))
  })

  it('is another thing than a token that may not ask', async () => {
    const stranger = new HttpUpstream(callerTo(face.url, face.token))
    expect(await codeOf(stranger.lineages(never()))).toBe('forbidden')
    expect(await codeOf(collect(stranger.nodes([digestOf('')], never())))).toBe('forbidden')
    expect(await codeOf(new HttpUpstream(callerTo(face.url, 'nobody')).lineages(never()))).toBe(
      'unauthorised',
    )
  })
})

describe('access', () => {
  it('is all tokens at first, then what changes, as soon as it does', async () => {
    const caller = callerTo(face.url)
    const first = await accessAfter(caller, undefined, 20_000, never())
    expect([first?.isWhole, first?.tokens.length]).toEqual([true, at.depot.access.list().length])
    expect(await accessAfter(caller, first?.edition, 0, never())).toBeUndefined()
    const waiting = accessAfter(caller, first?.edition, 20_000, never())
    await sleep(200)
    const { token, secret: made } = await at.depot.access.create({ label: 'new', scopes: ['read'] })
    const second = await waiting
    expect(second?.isWhole).toBe(false)
    expect(second?.tokens).toEqual([
      {
        id: token.id,
        hash: digestOf(made),
        label: 'new',
        scopes: ['read'],
        created: new Date(token.createdMs).toISOString(),
      },
    ])
    await at.depot.access.revoke(token.id)
    const third = await accessAfter(caller, second?.edition, 20_000, never())
    expect(third?.tokens.map(({ id, revoked }) => [id, revoked !== undefined])).toEqual([[token.id, true]])
  })

  it.each([
    ['without an edition', '{"id":"t"}\n'],
    ['of nothing', ''],
    ['with two editions', '{"edition":"1.a","whole":true}\n{"edition":"1.a","whole":true}\n'],
    [
      'without the hash',
      '{"edition":"1.a","whole":true}\n{"id":"t","label":"x","scopes":[],"created":"x"}\n',
    ],
    ['cut short', '{"edition":"1.a","whole":true}\n{"id"'],
  ])('%s is refused', async (_, body) => {
    await using liar = await playing((_asked, response) => response.end(body))
    expect(await codeOf(accessAfter(callerTo(liar.url), undefined, 0, never()))).toBe('answer-invalid')
  })
})

describe('a heartbeat', () => {
  it('tells of this node, and is answered by the head and the nodes', async () => {
    const { gid } = at.depot.head.now()
    const caller = callerTo(face.url)
    const report = { role: 'replica', state: 'fresh', head: gid, known: gid, lagSeconds: 0 } as const
    const { head, nodes } = await sendHeartbeat(caller, 'r1', report, never())
    expect([head, nodes]).toEqual([gid, [{ ...report, id: 'r1', seenMsAgo: 0 }]])
    expect(await codeOf(sendHeartbeat(caller, 'R 1', report, never()))).toBe('bad-request')
  })
})
