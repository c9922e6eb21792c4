/**
 * Uploads that are interrupted and go on (draft-ietf-httpbis-resumable-upload), and batches of small blobs: what is
 * kept, what is refused, and that nothing is kept of what is wrong.
 */
import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sourceOfBytes } from '../../src/client/stage/sources.ts'
import { digestOf } from '../../src/model/digest.ts'
import { encodeBatch } from '../../src/wire/batch.ts'
import type { Answer, Ask } from '../support/exchange.ts'
import { type RawConnection, rawConnection } from '../support/raw-socket.ts'
import { runningDepot, type TestDepot } from '../support/running-depot.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { hexOf } from './read-fixture.ts'
import { type Asking, asking, expectWellFormed, openStage } from './well-formed.ts'

let depot: TestDepot
let ask: Asking
let stage = ''

beforeAll(async () => {
  depot = await runningDepot()
  ask = asking(depot)
  stage = await openStage(ask)
})
afterAll(async () => {
  await depot[Symbol.asyncDispose]()
})

function urlOf(bytes: Uint8Array, id: string = stage): string {
  return `/v1/stages/${id}/blobs/sha256/${hexOf(bytes)}`
}

async function put(bytes: Uint8Array, more: Ask = {}): Promise<Answer> {
  return await ask(urlOf(bytes), { method: 'PUT', body: bytes, ...more })
}

async function patch(
  bytes: Uint8Array,
  offset: number,
  part: Uint8Array,
  more: Ask['headers'] = {},
): Promise<Answer> {
  return await ask(urlOf(bytes), {
    method: 'PATCH',
    headers: {
      'content-type': 'application/partial-upload',
      'upload-offset': String(offset),
      'upload-complete': '?1',
      ...more,
    },
    body: part,
  })
}

async function isThere(bytes: Uint8Array): Promise<boolean> {
  return (await ask(`/o/sha256/${hexOf(bytes)}`)).status === 200
}

/** Sends the head of a PUT and some of its bytes, and waits until the depot has these. */
async function beginPut(
  bytes: Buffer,
  sent: number,
  to: TestDepot = depot,
  id = stage,
): Promise<RawConnection> {
  const connection = await rawConnection(to.url)
  const head = [
    `PUT ${urlOf(bytes, id)} HTTP/1.1`,
    'Host: x',
    `Authorization: Bearer ${to.token}`,
    `Content-Length: ${bytes.length}`,
  ]
  connection.send(`${head.join('\r\n')}\r\n\r\n`)
  connection.send(bytes.subarray(0, sent))
  await expect
    .poll(async () => (await asking(to)(urlOf(bytes, id), { method: 'HEAD' })).header('upload-offset'))
    .toBe(String(sent))
  return connection
}

describe.each([
  ['small', 1_000],
  ['large', 500_000],
])('a %s blob', (_, size) => {
  it('is stored by one PUT, and putting it again is nothing', async () => {
    const bytes = randomBytes(size)
    const first = await put(bytes)
    expect([first.status, first.json()]).toEqual([201, { digest: digestOf(bytes), size }])
    expect(first.header('location')).toBe(urlOf(bytes))
    expect(first.header('depot-generation')).toMatch(/;st=staging$/)
    expect(first.header('cache-control')).toBe('private, no-store')
    const again = await put(bytes)
    expect([again.status, again.json()]).toEqual([200, { digest: digestOf(bytes), size }])
    expect(await isThere(bytes)).toBe(true)
  })

  it('that is there already is refused with other bytes, and an earlier part of it goes with the right ones', async () => {
    const bytes = randomBytes(size)
    const part = { 'upload-complete': '?0', 'upload-length': String(size) }
    expect((await put(bytes, { body: bytes.subarray(0, 10), headers: part })).status).toBe(204)
    const other = await openStage(ask)
    expect((await ask(urlOf(bytes, other), { method: 'PUT', body: bytes })).status).toBe(201)
    const wrong = await put(bytes, { body: randomBytes(size) })
    expect([wrong.status, wrong.problem]).toEqual([400, 'digest-mismatch'])
    expect((await readdir(join(depot.data, 'incoming'))).some((name) => name.includes(hexOf(bytes)))).toBe(
      true,
    )
    expect((await put(bytes)).status).toBe(200)
    expect((await readdir(join(depot.data, 'incoming'))).some((name) => name.includes(hexOf(bytes)))).toBe(
      false,
    )
    expect((await ask(`/o/sha256/${hexOf(bytes)}`)).body.equals(bytes)).toBe(true)
  })

  it('is stored when it comes in chunks of unknown length', async () => {
    const bytes = randomBytes(size)
    const answer = await put(bytes, { headers: { 'transfer-encoding': 'chunked' } })
    expect([answer.status, await isThere(bytes)]).toEqual([201, true])
  })

  it('is stored in parts, the first by PUT', async () => {
    const bytes = randomBytes(size)
    const half = size / 2
    const first = await put(bytes, {
      body: bytes.subarray(0, half),
      headers: { 'upload-complete': '?0', 'upload-length': String(size) },
    })
    expect([first.status, first.header('upload-offset'), first.header('upload-complete')]).toEqual([
      204,
      String(half),
      '?0',
    ])
    const more = await patch(bytes, half, bytes.subarray(half, half + 100), { 'upload-complete': '?0' })
    expect([more.status, more.header('upload-offset')]).toEqual([204, String(half + 100)])
    expect((await patch(bytes, half + 100, bytes.subarray(half + 100))).status).toBe(201)
    expect(await isThere(bytes)).toBe(true)
  })

  it('that has the wrong digest is refused, and nothing of it is kept', async () => {
    const [bytes, others] = [randomBytes(size), randomBytes(size)]
    const answer = await put(bytes, { body: others })
    expect([answer.status, answer.problem]).toEqual([400, 'digest-mismatch'])
    expect((await ask(urlOf(bytes), { method: 'HEAD' })).status).toBe(404)
    expect([await isThere(bytes), await isThere(others)]).toEqual([false, false])
    expect((await put(bytes)).status).toBe(201)
  })

  it('that is shorter than it said is not finished, and goes on', async () => {
    const bytes = randomBytes(size)
    const answer = await put(bytes, {
      body: bytes.subarray(0, 10),
      headers: { 'upload-length': String(size), 'transfer-encoding': 'chunked' },
    })
    expect([answer.status, answer.problem]).toEqual([400, 'bad-request'])
    expect((await ask(urlOf(bytes), { method: 'HEAD' })).header('upload-offset')).toBe('10')
    expect((await patch(bytes, 10, bytes.subarray(10))).status).toBe(201)
  })

  it('that is longer than it said is refused', async () => {
    const bytes = randomBytes(size)
    const answer = await put(bytes, {
      headers: { 'upload-length': String(size - 1), 'transfer-encoding': 'chunked' },
    })
    expect([answer.status, answer.problem]).toEqual([413, 'limit-exceeded'])
    expect(await isThere(bytes)).toBe(false)
  })
})

describe('an upload that was cut off', () => {
  it('tells how far it came and goes on from there, not from the start', async () => {
    const bytes = randomBytes(2_000_000)
    const connection = await beginPut(bytes, 700_000)
    await connection[Symbol.asyncDispose]()
    await untilNotBusy(bytes)
    const head = await ask(urlOf(bytes), { method: 'HEAD' })
    expect([head.status, head.header('upload-offset'), head.header('upload-complete')]).toEqual([
      204,
      '700000',
      '?0',
    ])
    expect((await patch(bytes, 700_000, bytes.subarray(700_000))).status).toBe(201)
    expect(await isThere(bytes)).toBe(true)
    const stored = await ask(urlOf(bytes), { method: 'HEAD' })
    expect([stored.status, stored.header('upload-offset'), stored.header('upload-complete')]).toEqual([
      204,
      '2000000',
      '?1',
    ])
  })

  it('with all its bytes there is finished by the client', async () => {
    const bytes = randomBytes(200_000)
    const unfinished = await put(bytes, {
      headers: { 'upload-complete': '?0', 'upload-length': String(bytes.length) },
    })
    expect([unfinished.status, unfinished.header('upload-offset')]).toEqual([204, '200000'])
    await depot.client.stage(stage).upload([sourceOfBytes(bytes)])
    expect(await isThere(bytes)).toBe(true)
  })

  it('is refused at any other offset, and says which is right', async () => {
    const bytes = randomBytes(300_000)
    await put(bytes, {
      body: bytes.subarray(0, 100_000),
      headers: { 'upload-complete': '?0', 'upload-length': '300000' },
    })
    for (const offset of [0, 99_999, 100_001, 300_000]) {
      const answer = await patch(bytes, offset, bytes.subarray(offset))
      expect([offset, answer.status, answer.problem]).toEqual([offset, 409, 'offset-mismatch'])
      expect(answer.json()).toMatchObject({ expected: 100_000, offered: offset })
    }
    expect((await patch(bytes, 100_000, bytes.subarray(100_000))).status).toBe(201)
  })

  it('is busy while somebody sends it, and free when he is gone', async () => {
    const bytes = randomBytes(2_000_000)
    const connection = await beginPut(bytes, 300_000)
    const busy = await patch(bytes, 300_000, bytes.subarray(300_000))
    expect([busy.status, busy.problem, busy.header('retry-after')]).toEqual([409, 'upload-busy', '1'])
    expect(busy.json()['digest']).toBe(digestOf(bytes))
    await connection[Symbol.asyncDispose]()
    await untilNotBusy(bytes)
    expect((await patch(bytes, 300_000, bytes.subarray(300_000))).status).toBe(201)
  })

  it('goes on after the depot was started again', async () => {
    await using folder = await temporaryFolder()
    const bytes = randomBytes(2_000_000)
    let id = ''
    {
      await using before = await runningDepot({ data: folder.path })
      id = await openStage(asking(before))
      const connection = await beginPut(bytes, 1_234_567, before, id)
      await connection[Symbol.asyncDispose]()
    }
    await using after = await runningDepot({ data: folder.path })
    const asked = asking(after)
    const head = await asked(urlOf(bytes, id), { method: 'HEAD' })
    expect(head.header('upload-offset')).toBe('1234567')
    const headers = { 'content-type': 'application/partial-upload', 'upload-offset': '1234567' }
    const answer = await asked(urlOf(bytes, id), {
      method: 'PATCH',
      headers,
      body: bytes.subarray(1_234_567),
    })
    expect(answer.status).toBe(201)
    expect((await asked(`/o/sha256/${hexOf(bytes)}`)).body.equals(bytes)).toBe(true)
  })

  it('ends with its stage', async () => {
    const id = await openStage(ask)
    const bytes = randomBytes(100_000)
    const headers = { 'upload-complete': '?0', 'upload-length': '200000' }
    expect((await ask(urlOf(bytes, id), { method: 'PUT', headers, body: bytes })).status).toBe(204)
    expect((await ask(`/v1/stages/${id}`, { method: 'DELETE' })).status).toBe(204)
    const answer = await ask(urlOf(bytes, id), { method: 'HEAD' })
    expect(answer.status).toBe(410)
  })
})

async function untilNotBusy(bytes: Buffer): Promise<void> {
  // A part of no bytes changes nothing, and is refused while another request is at it.
  await expect
    .poll(async () => {
      const offset = Number((await ask(urlOf(bytes), { method: 'HEAD' })).header('upload-offset'))
      return (await patch(bytes, offset, Buffer.alloc(0), { 'upload-complete': '?0' })).status
    })
    .toBe(204)
}

describe('an upload that says something wrong', () => {
  const bytes = Buffer.from('some bytes')

  it.each<[string, Readonly<Record<string, string>>, number, string]>([
    ['no offset', { 'upload-offset': '' }, 400, 'bad-request'],
    ['a negative offset', { 'upload-offset': '-1' }, 400, 'bad-request'],
    ['an offset that is no number', { 'upload-offset': 'ten' }, 400, 'bad-request'],
    ['an offset beyond all bounds', { 'upload-offset': '99999999999999999' }, 400, 'bad-request'],
    ['an unknown Upload-Complete', { 'upload-complete': '1' }, 400, 'bad-request'],
    ['a length that is no number', { 'upload-length': '1e3' }, 400, 'bad-request'],
    ['another media type', { 'content-type': 'text/plain' }, 415, 'unsupported-media-type'],
  ])('%s', async (_, headers, status, problem) => {
    const answer = await patch(bytes, 0, bytes, headers)
    expect([answer.status, answer.problem]).toEqual([status, problem])
  })

  it('has a name that is no digest', async () => {
    for (const hex of ['abc', 'A'.repeat(64), `${'0'.repeat(63)}g`]) {
      const answer = await ask(`/v1/stages/${stage}/blobs/sha256/${hex}`, { method: 'PUT', body: bytes })
      expect([answer.status, answer.problem]).toEqual([400, 'bad-request'])
    }
  })

  it('goes to a stage that is not there', async () => {
    const answer = await ask(urlOf(bytes, 's000'), { method: 'PUT', body: bytes })
    expect([answer.status, answer.problem]).toEqual([404, 'stage-unknown'])
  })

  it('is refused before its body is sent when it waits for 100-continue', async () => {
    await using connection = await rawConnection(depot.url)
    connection.send(
      `PUT ${urlOf(bytes)} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n`,
    )
    const answer = await connection.answer()
    expectWellFormed(answer, 'PUT without a token')
    expect(answer.status).toBe(401)
    expect(connection.rest().length).toBe(0)
  })
})

describe('a batch of small blobs', () => {
  const blobs = Array.from({ length: 50 }, () => randomBytes(100)).map((bytes) => ({
    digest: digestOf(bytes),
    bytes,
  }))
  const post = async (body: Uint8Array, type = 'application/vnd.depot.blobs'): Promise<Answer> =>
    await ask(`/v1/stages/${stage}/blobs`, { method: 'POST', headers: { 'content-type': type }, body })

  it('is stored whole', async () => {
    const answer = await post(encodeBatch(blobs))
    expect([answer.status, answer.json()]).toEqual([200, { stored: blobs.map(({ digest }) => digest) }])
    for (const { bytes } of blobs) expect(await isThere(bytes)).toBe(true)
    expect((await post(encodeBatch(blobs))).status).toBe(200)
  })

  it('may be empty', async () => {
    expect((await post(Buffer.alloc(0))).json()).toEqual({ stored: [] })
  })

  it.each([
    ['inside a header', 20],
    ['inside a length', 34],
    ['inside a blob', 100],
  ])('that ends %s is refused whole', async (_, length) => {
    const fresh = [{ digest: digestOf('fresh'), bytes: Buffer.from('fresh') }]
    const answer = await post(Buffer.concat([encodeBatch(fresh), encodeBatch(blobs).subarray(0, length)]))
    expect([answer.status, answer.problem]).toEqual([400, 'bad-request'])
    expect(await isThere(Buffer.from('fresh'))).toBe(false)
  })

  it('in which one blob is not what it claims to be is refused whole', async () => {
    const fresh = { digest: digestOf('fresh'), bytes: Buffer.from('fresh') }
    const answer = await post(
      encodeBatch([fresh, { digest: digestOf('right'), bytes: Buffer.from('wrong') }]),
    )
    expect([answer.status, answer.problem]).toEqual([400, 'digest-mismatch'])
    expect([await isThere(fresh.bytes), await isThere(Buffer.from('wrong'))]).toEqual([false, false])
  })

  it('with a blob that is too large for a batch is refused', async () => {
    const bytes = Buffer.alloc(65_537)
    const answer = await post(encodeBatch([{ digest: digestOf(bytes), bytes }]))
    expect([answer.status, answer.problem]).toEqual([413, 'limit-exceeded'])
    expect(answer.json()).toMatchObject({ limit: 65_536, found: 65_537 })
  })

  it('with too many blobs is refused', async () => {
    const one = encodeBatch([{ digest: digestOf(''), bytes: Buffer.alloc(0) }])
    const answer = await post(Buffer.concat(Array.from({ length: 20_001 }, () => one)))
    expect([answer.status, answer.json()['limit']]).toEqual([413, 20_000])
  })

  it('that is too large is refused, and says how large it may be', async () => {
    const answer = await post(Buffer.alloc(33_554_433))
    expect([answer.status, answer.json()['limit']]).toEqual([413, 33_554_432])
  })

  it('of another media type is refused', async () => {
    expect((await post(Buffer.alloc(0), 'application/octet-stream')).status).toBe(415)
    expect((await post(Buffer.from('{}'), 'application/json')).status).toBe(415)
  })
})

describe('declaring blobs', () => {
  it('tells which are missing, in the order asked', async () => {
    const there = randomBytes(100)
    await put(there)
    const absent = digestOf('not here')
    const body = JSON.stringify({
      blobs: [
        { digest: absent, size: 8 },
        { digest: digestOf(there), size: 100 },
        // There is a blob of that digest, but not of that size.
        { digest: digestOf(there), size: 99 },
      ],
    })
    const answer = await ask(`/v1/stages/${stage}/missing`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    })
    expect(answer.json<{ missing: string[] }>().missing).toContain(absent)
    expect(answer.json<{ missing: string[] }>().missing[0]).toBe(absent)
  })

  it.each([
    ['a digest that is none', { blobs: [{ digest: 'sha256:abc', size: 1 }] }],
    ['a negative size', { blobs: [{ digest: digestOf(''), size: -1 }] }],
    ['half a byte', { blobs: [{ digest: digestOf(''), size: 0.5 }] }],
    ['a size as text', { blobs: [{ digest: digestOf(''), size: '1' }] }],
    ['no list', { blobs: { digest: digestOf(''), size: 1 } }],
    ['nothing', {}],
  ])('with %s is refused', async (_, value) => {
    const answer = await ask(`/v1/stages/${stage}/missing`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(value),
    })
    expect([answer.status, answer.problem]).toEqual([400, 'bad-request'])
  })

  it('of a blob larger than the disk is refused now, not after an hour', async () => {
    const answer = await ask(`/v1/stages/${stage}/missing`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ blobs: [{ digest: digestOf('huge'), size: 1_000_000_000_000 }] }),
    })
    expect([answer.status, answer.problem]).toEqual([507, 'disk-full'])
  })
})
