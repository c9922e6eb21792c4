/**
 * The short way of hot answers is invisible: the second answer is the first in every header and byte, and whatever
 * asks for more than the bytes goes the long way.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { HotAnswers } from '../../src/http/hot-answers.ts'
import type { Answer, Ask } from '../support/exchange.ts'
import { hexOf, LARGE, type ReadFixture, readFixture, SMALL } from './read-fixture.ts'
import { type Asking, asking } from './well-formed.ts'

let fixture: ReadFixture
/** Without any token: what carries one goes the long way. */
let anybody: Asking
let pin = ''

beforeAll(async () => {
  fixture = await readFixture()
  anybody = withoutToken(fixture)
  pin = fixture.generations[0].gid
})
afterAll(async () => {
  await fixture[Symbol.asyncDispose]()
})

function withoutToken({ depot }: Pick<ReadFixture, 'depot'>): Asking {
  const ask = asking(depot)
  return async (path, more: Ask = {}) =>
    await ask(path, { ...more, headers: { authorization: '', ...more.headers } })
}

const FILES = '/v1/channels/stable/files/hello/1.0.0'
const HOT = [
  `/o/sha256/${hexOf(SMALL)}`,
  `/g/PIN${FILES}/small.txt`,
  `/g/PIN${FILES}/empty`,
  '/g/PIN/v1/channels/stable/manifests/hello/1.0.0',
]

/** How often the short way was taken. */
async function shortWays(): Promise<number> {
  const count = /^depot_http_ready_answers_total (\d+)$/m.exec((await anybody('/metrics')).text)?.[1]
  expect(count).toBeDefined()
  return Number(count)
}

function headersOf(answer: Answer): readonly string[] {
  const pairs: string[] = []
  for (let at = 0; at < answer.rawHeaders.length; at += 2)
    pairs.push(`${answer.rawHeaders[at]?.toLowerCase()}: ${answer.rawHeaders[at + 1]}`)
  return pairs.filter((pair) => !pair.startsWith('date: ')).sort()
}

describe.each(HOT)('%s', (path) => {
  it('is answered the second time as the first, byte for byte and header for header', async () => {
    const url = path.replace('PIN', pin)
    const long = await anybody(url, { headers: { 'if-match': '*' } })
    await anybody(url)
    const before = await shortWays()
    const short = await anybody(url)
    expect(await shortWays()).toBe(before + 1)
    expect(headersOf(short)).toEqual(headersOf(long))
    expect(short.body.equals(long.body)).toBe(true)
  })
})

describe('the long way is taken', () => {
  const url = (): string => `/g/${pin}${FILES}/small.txt`

  it.each<[string, () => Readonly<Record<string, string>>, number]>([
    ['by a range', () => ({ range: 'bytes=1-2' }), 206],
    ['by a condition that holds', () => ({ 'if-none-match': `"sha256-${hexOf(SMALL)}"` }), 304],
    ['by a condition that does not', () => ({ 'if-none-match': '"x"' }), 200],
    ['with a token', () => ({ authorization: `Bearer ${fixture.depot.token}` }), 200],
    ['with a floor that is met', () => ({ 'depot-min-generation': pin }), 200],
    ['with a floor above the pin', () => ({ 'depot-min-generation': fixture.generations[2].gid }), 412],
    ['with a malformed floor', () => ({ 'depot-min-generation': 'g1' }), 400],
    ['with another pin', () => ({ 'depot-exact-generation': fixture.generations[2].gid }), 400],
    ['with the same pin again', () => ({ 'depot-exact-generation': pin }), 200],
  ])('%s', async (_, headers, status) => {
    await anybody(url())
    await anybody(url())
    const before = await shortWays()
    expect((await anybody(url(), { headers: headers() })).status).toBe(status)
    expect(await shortWays()).toBe(before)
  })

  it('by HEAD, and by other methods', async () => {
    await anybody(url())
    await anybody(url())
    const before = await shortWays()
    expect((await anybody(url(), { method: 'HEAD' })).status).toBe(200)
    expect((await anybody(url(), { method: 'DELETE' })).status).toBe(405)
    expect(await shortWays()).toBe(before)
  })

  it.each([
    ['large files', () => `/o/sha256/${hexOf(LARGE)}`],
    ['what is not there', () => `/g/${pin}${FILES}/none`],
    ['what changes with the head', () => '/v1/channels/stable'],
    ['versioned names of the head', () => `${FILES}/small.txt`],
  ])('by %s', async (_, path) => {
    const before = await shortWays()
    for (let round = 0; round < 3; round += 1) await anybody(path())
    expect(await shortWays()).toBe(before)
  })

  it('when an answer was first given to somebody with a token or a pin of his own', async () => {
    await using own = await readFixture()
    const url = `/o/sha256/${hexOf(SMALL)}`
    await own.ask(url)
    await withoutToken(own)(url, { headers: { 'depot-exact-generation': own.generations[0].gid } })
    const first = await withoutToken(own)(url)
    const second = await withoutToken(own)(url)
    expect(headersOf(second)).toEqual(headersOf(first))
  })

  it('when reads are closed: nothing at hand is given to who has no token', async () => {
    await using closed = await readFixture({ reads: 'token' })
    const url = `/o/sha256/${hexOf(SMALL)}`
    for (let round = 0; round < 3; round += 1) expect((await closed.ask(url)).status).toBe(200)
    expect((await withoutToken(closed)(url)).status).toBe(401)
  })

  it('when the memory for ready answers is set to nothing', async () => {
    await using none = await readFixture({ answerCacheMb: 0 })
    for (let round = 0; round < 3; round += 1) {
      const answer = await withoutToken(none)(`/o/sha256/${hexOf(SMALL)}`)
      expect([answer.status, answer.body.equals(SMALL)]).toEqual([200, true])
    }
  })
})

describe('while the depot drains', () => {
  it('hot answers too say that the connection will close', async () => {
    await using draining = await readFixture({ drainSeconds: 1 })
    const ask = withoutToken(draining)
    const url = `/o/sha256/${hexOf(SMALL)}`
    await ask(url)
    await ask(url)
    const closed = draining.depot.running.close('SIGTERM')
    expect((await ask('/readyz')).status).toBe(503)
    const answer = await ask(url, { headers: { connection: 'keep-alive' } })
    expect([answer.status, answer.header('connection')]).toEqual([200, 'close'])
    await closed
  })
})

describe('what is kept', () => {
  it('has no query, for there is no end of those', async () => {
    const url = `/o/sha256/${hexOf(SMALL)}?whatever=1`
    await anybody(url)
    const before = await shortWays()
    expect((await anybody(url)).status).toBe(200)
    expect(await shortWays()).toBe(before)
  })

  it('is counted with its URL and its headers', () => {
    const request = (url: string): IncomingMessage => ({ method: 'GET', url, headers: {} }) as IncomingMessage
    const response = { writeHead: () => undefined, end: () => undefined } as unknown as ServerResponse
    const hot = new HotAnswers(100_000)
    const urls = Array.from({ length: 100 }, (_, at) => `/${at}/${'x'.repeat(4_000)}`)
    for (const url of urls) hot.keep(request(url), ['etag', 'y'.repeat(1_000)], new Uint8Array(1))
    const kept = urls.filter((url) => hot.answer(request(url), response))
    expect(kept.length).toBe(Math.floor(100_000 / (256 + 1 + 2 * (kept[0]!.length + 1_004))))
  })
})
