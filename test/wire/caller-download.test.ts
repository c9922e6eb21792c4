import { createHash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../src/model/digest.ts'
import { isFailure } from '../../src/model/errors.ts'
import { Caller } from '../../src/wire/caller.ts'
import { download, type Wanted } from '../../src/wire/caller-download.ts'
import { type Asked, type Part, playing } from './playing-server.ts'
import { noChance, type StillClock, stillClock } from './still-world.ts'

const BYTES = Buffer.concat(
  Array.from({ length: 4_000 }, (_, at) => createHash('sha256').update(`${at}`).digest()),
)
const WANTED: Wanted = { path: '/o/x', digest: digestOf(BYTES), size: BYTES.length }
const ETAG = `"sha256-${createHash('sha256').update(BYTES).digest('hex')}"`

interface Got {
  readonly bytes: Buffer
  readonly error: unknown
  readonly asked: readonly Asked[]
  readonly clock: StillClock
}

async function get(part: Part, wanted: Wanted = WANTED): Promise<Got> {
  await using depot = await playing(part)
  const clock = stillClock()
  const caller = new Caller({ url: depot.url, clock, random: noChance })
  const chunks: Uint8Array[] = []
  let error: unknown
  try {
    for await (const chunk of download(caller, wanted)) chunks.push(chunk)
  } catch (thrown) {
    error = thrown
  }
  return { bytes: Buffer.concat(chunks), error, asked: depot.asked, clock }
}

/** Answers as a depot does, of `bytes`; sends at most `most` of them and then breaks the connection. */
function answer({ headers }: Asked, response: ServerResponse, bytes: Buffer, most = bytes.length): void {
  const [, first = '0'] = /^bytes=(\d+)-$/.exec(headers.range ?? '') ?? []
  const start = headers['if-range'] === ETAG ? Number(first) : 0
  const rest = bytes.subarray(start)
  response.writeHead(start === 0 ? 200 : 206, {
    etag: ETAG,
    'content-length': rest.length,
    ...(start === 0 ? {} : { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` }),
  })
  if (most >= rest.length) return void response.end(rest)
  response.write(rest.subarray(0, most), () => setTimeout(() => response.destroy(), 5))
}

describe('a download', () => {
  it('of bytes that arrive at once is one request, for bytes as they are', async () => {
    const { bytes, error, asked } = await get((request, response) => answer(request, response, BYTES))
    expect(error).toBeUndefined()
    expect(bytes.equals(BYTES)).toBe(true)
    expect(asked.map(({ headers }) => [headers.range, headers['accept-encoding']])).toEqual([
      [undefined, 'identity'],
    ])
  })

  it('of nothing asks nobody', async () => {
    const empty = { path: '/o/x', digest: digestOf(''), size: 0 }
    const { bytes, error, asked } = await get(() => undefined, empty)
    expect([bytes.length, error, asked.length]).toEqual([0, undefined, 0])
  })

  it('goes on where the connection broke, wherever that was, each time on a new one', async () => {
    const breaks = fc.array(fc.integer({ min: 1, max: 60_000 }), { minLength: 1, maxLength: 3 })
    await fc.assert(
      fc.asyncProperty(breaks, async (mosts) => {
        const { bytes, error, asked } = await get((request, response, before) =>
          answer(request, response, BYTES, mosts[before]),
        )
        expect(error).toBeUndefined()
        expect(bytes.equals(BYTES)).toBe(true)
        let offset = 0
        for (const [at, { headers, connection }] of asked.entries()) {
          expect(headers.range).toBe(offset === 0 ? undefined : `bytes=${offset}-`)
          expect(headers['if-range']).toBe(offset === 0 ? undefined : ETAG)
          expect(connection).toBe(at + 1)
          offset += mosts[at] ?? 0
        }
      }),
      { numRuns: 15 },
    )
  })

  it('takes the whole again from a node that knows no ranges, and hands on only the rest', async () => {
    const { bytes, error } = await get((request, response, before) => {
      const whole = { ...request, headers: {} }
      answer(whole, response, BYTES, before === 0 ? 50_001 : undefined)
    })
    expect(error).toBeUndefined()
    expect(bytes.equals(BYTES)).toBe(true)
  })

  it('never hands on the whole of lying bytes', async () => {
    const lie = Buffer.from(BYTES)
    lie[0] = (lie[0] ?? 0) ^ 1
    const { bytes, error } = await get((request, response) => answer(request, response, lie))
    expect(isFailure(error, 'digest-mismatch')).toBe(true)
    expect(error).toMatchObject({ details: { expected: WANTED.digest, found: digestOf(lie) } })
    expect(bytes.length).toBeLessThan(BYTES.length)
  })

  it('notices a lie in one half of it only', async () => {
    const lie = Buffer.from(BYTES).fill(7, 60_000, 60_001)
    const { error } = await get((request, response, before) =>
      answer(request, response, before === 0 ? BYTES : lie, before === 0 ? 50_000 : undefined),
    )
    expect(isFailure(error, 'digest-mismatch')).toBe(true)
  })

  it('of more bytes than there must be stops', async () => {
    const more = Buffer.concat([BYTES, BYTES])
    const { bytes, error } = await get((request, response) => answer(request, response, more))
    expect(error).toMatchObject({ code: 'answer-invalid' })
    expect(bytes.length).toBeLessThanOrEqual(BYTES.length)
  })

  it('of fewer bytes asks for the rest, but not for ever', async () => {
    const { error, asked, clock } = await get((_, response) => response.end(BYTES.subarray(0, 1_000)))
    expect(error).toMatchObject({ code: 'answer-invalid' })
    expect(asked.length).toBeLessThan(10)
    expect(clock.slept.length).toBe(asked.length - 1)
  })

  it('that breaks at once every time ends, with the connection as its reason', async () => {
    const { error } = await get((request, response) => answer(request, response, BYTES, 0))
    expect(error).toMatchObject({ code: 'depot-unreachable' })
  })

  it.each(['bytes 0-127999/128000', 'bytes 1000-127999/999999', 'chunks 1-2/3', undefined])(
    'refuses another range than it asked for: %s',
    async (range) => {
      const { error } = await get((request, response, before) => {
        if (before === 0) return answer(request, response, BYTES, 1_000)
        return response
          .writeHead(206, range === undefined ? {} : { 'content-range': range })
          .end(BYTES.subarray(1_000))
      })
      expect(error).toMatchObject({ code: 'answer-invalid' })
    },
  )

  it('lets the reader stop, and closes the connection', async () => {
    let closed: Promise<unknown> | undefined
    await using depot = await playing((_, response) => {
      closed = new Promise((resolve) => response.on('close', resolve))
      response.writeHead(200, { 'content-length': BYTES.length })
      response.write(BYTES.subarray(0, 100_000))
    })
    const caller = new Caller({ url: depot.url, clock: stillClock(), random: noChance })
    for await (const chunk of download(caller, WANTED)) if (chunk.length > 0) break
    await closed
  })
})
