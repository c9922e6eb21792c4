/**
 * Ranges of files, manifests and blobs, small and large: a download that was cut off goes on, on any node, and is
 * never put together of two things (PROTOCOL §7, I24, I25).
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { rawConnection } from '../support/raw-socket.ts'
import { hexOf, LARGE, type ReadFixture, readFixture, reprDigestOf, SMALL } from './read-fixture.ts'
import { expectWellFormed } from './well-formed.ts'

let fixture: ReadFixture
let pin = ''

beforeAll(async () => {
  fixture = await readFixture()
  pin = fixture.generations[0].gid
})
afterAll(async () => {
  await fixture[Symbol.asyncDispose]()
})

const FILES = '/v1/channels/stable/files/hello/1.0.0'
const PLACES: readonly (readonly [string, string, Buffer])[] = [
  ['a small blob by digest', `/o/sha256/${hexOf(SMALL)}`, SMALL],
  ['a large blob by digest', `/o/sha256/${hexOf(LARGE)}`, LARGE],
  ['a small file under a pin', `/g/PIN${FILES}/small.txt`, SMALL],
  ['a large file under a pin', `/g/PIN${FILES}/deep/large%20file%20%C3%A9.bin`, LARGE],
  ['a small file of the head', `${FILES}/small.txt`, SMALL],
]

describe.each(PLACES)('%s', (_, path, bytes) => {
  const end = bytes.length
  const ranges: readonly (readonly [string, number, number])[] = [
    ['bytes=0-0', 0, 1],
    ['bytes=5-', 5, end],
    ['bytes=2-7', 2, 8],
    ['bytes=-3', end - 3, end],
    [`bytes=-${end * 2}`, 0, end],
    [`bytes=${end - 1}-${end * 10}`, end - 1, end],
    [' bytes=1-2 ', 1, 3],
  ]

  it.each(ranges)('%j is answered with just these bytes', async (range, start, stop) => {
    const answer = await fixture.ask(path.replace('PIN', pin), { headers: { range } })
    expect(answer.status).toBe(206)
    expect(answer.header('content-range')).toBe(`bytes ${start}-${stop - 1}/${end}`)
    expect(answer.header('content-length')).toBe(String(stop - start))
    expect(answer.body.equals(bytes.subarray(start, stop))).toBe(true)
    // Of the whole, so that 200 and 206 agree.
    expect(answer.header('repr-digest')).toBe(reprDigestOf(bytes))
    expect(answer.header('etag')).toBe(`"sha256-${hexOf(bytes)}"`)
  })

  it.each(['bytes=7-2', 'bytes=0-1,3-4', 'items=0-1', 'bytes=', 'bytes=-', 'bytes=a-b', 'bytes 0-1'])(
    '%j is passed over, and the whole is answered',
    async (range) => {
      const answer = await fixture.ask(path.replace('PIN', pin), { headers: { range } })
      expect([answer.status, answer.header('content-range')]).toEqual([200, undefined])
      expect(answer.body.equals(bytes)).toBe(true)
    },
  )

  it.each([`bytes=${end}-`, `bytes=${end * 3}-${end * 4}`, 'bytes=-0'])(
    '%j cannot be satisfied, and the answer says how many bytes there are',
    async (range) => {
      const answer = await fixture.ask(path.replace('PIN', pin), { headers: { range } })
      expect([answer.status, answer.problem]).toEqual([416, 'range-not-satisfiable'])
      expect(answer.header('content-range')).toBe(`bytes */${end}`)
    },
  )

  it.each<[string, (etag: string) => string, number]>([
    ['the ETag', (etag) => etag, 206],
    ['another ETag', () => '"sha256-0"', 200],
    ['a weak ETag, which says nothing about bytes', (etag) => `W/${etag}`, 200],
    ['a date', () => 'Sun, 22 Nov 2026 04:22:08 GMT', 200],
  ])('If-Range with %s', async (__, ifRange, status) => {
    const headers = { range: 'bytes=1-2', 'if-range': ifRange(`"sha256-${hexOf(bytes)}"`) }
    const answer = await fixture.ask(path.replace('PIN', pin), { headers })
    expect(answer.status).toBe(status)
    expect(answer.body.length).toBe(status === 206 ? 2 : end)
  })

  it('If-None-Match comes before the range', async () => {
    const headers = { range: 'bytes=99999999-', 'if-none-match': `"sha256-${hexOf(bytes)}"` }
    expect((await fixture.ask(path.replace('PIN', pin), { headers })).status).toBe(304)
  })

  it('is the same whole when it is fetched in pieces', async () => {
    const pieces: Buffer[] = []
    const step = Math.ceil(end / 3)
    for (let start = 0; start < end; start += step) {
      const headers = { range: `bytes=${start}-${start + step - 1}`, 'if-range': `"sha256-${hexOf(bytes)}"` }
      pieces.push((await fixture.ask(path.replace('PIN', pin), { headers })).body)
    }
    expect(Buffer.concat(pieces).equals(bytes)).toBe(true)
  })
})

describe('an empty file', () => {
  it('has no range that could be satisfied', async () => {
    for (const range of ['bytes=0-', 'bytes=0-0', 'bytes=-1']) {
      const answer = await fixture.ask(`${FILES}/empty`, { headers: { range } })
      expect([range, answer.status, answer.header('content-range')]).toEqual([range, 416, 'bytes */0'])
    }
  })
})

describe('a connection on which requests are sent without waiting for answers', () => {
  it('gets all of them, in order, large ones too', async () => {
    await using connection = await rawConnection(fixture.depot.url)
    const paths = [hexOf(LARGE), hexOf(SMALL), hexOf(LARGE), hexOf(LARGE)].map((hex) => `/o/sha256/${hex}`)
    connection.send(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join(''))
    for (const path of paths) {
      const answer = await connection.answer()
      expectWellFormed(answer, `GET ${path}`)
      expect(`/o/sha256/${hexOf(answer.body)}`).toBe(path)
    }
  })

  it('lets go of what it had not sent yet when the client goes away', async () => {
    for (let round = 0; round < 3; round += 1) {
      await using connection = await rawConnection(fixture.depot.url)
      connection.send(`GET /o/sha256/${hexOf(LARGE)} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(20))
    }
    // Closing waits for every answer that is under way, so one that hangs would hold it up.
    const begun = performance.now()
    await fixture[Symbol.asyncDispose]()
    expect(performance.now() - begun).toBeLessThan(3_000)
    fixture = await readFixture()
  })
})
