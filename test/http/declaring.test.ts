/**
 * Declaring blobs: who may not is refused before the body is there, a short list comes as JSON and a long one as lines,
 * and what is wrong is refused before anybody waits for it.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { digestOf } from '../../src/model/digest.ts'
import { LIMITS } from '../../src/model/limits.ts'
import type { DeclaredBlob } from '../../src/wire/bodies.ts'
import type { Answer, Ask } from '../support/exchange.ts'
import { rawConnection } from '../support/raw-socket.ts'
import { runningDepot, type TestDepot } from '../support/running-depot.ts'
import { type Asking, asking, openStage } from './well-formed.ts'

const JSON_TYPE = 'application/json'
const LINES_TYPE = 'application/x-ndjson'

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

async function declare(type: string, body: string, headers: Ask['headers'] = {}): Promise<Answer> {
  return await ask(`/v1/stages/${stage}/missing`, {
    method: 'POST',
    headers: { 'content-type': type, ...headers },
    body,
  })
}

function blobs(count: number): readonly DeclaredBlob[] {
  return Array.from({ length: count }, (_, at) => ({ digest: digestOf(`blob ${at}`), size: 1 }))
}

function linesOf(values: readonly unknown[]): string {
  return values.map((value) => `${JSON.stringify(value)}\n`).join('')
}

describe('before the body is there', () => {
  async function refusal(path: string, token: string, type = JSON_TYPE, length = 100_000): Promise<Answer> {
    await using connection = await rawConnection(depot.url)
    const head = [
      `POST ${path} HTTP/1.1`,
      'Host: x',
      `Authorization: Bearer ${token}`,
      `Content-Type: ${type}`,
      `Content-Length: ${length}`,
    ]
    connection.send(`${head.join('\r\n')}\r\n\r\n`)
    return await connection.answer()
  }

  it.each(['missing', 'blobs', 'channels/stable/manifests'])(
    'a POST of %s is refused to a stage that is not there, or is of somebody else',
    async (what) => {
      const unknown = await refusal(`/v1/stages/s000/${what}`, depot.token)
      expect([unknown.status, unknown.problem]).toEqual([404, 'stage-unknown'])
      const other = await ask('/v1/tokens', {
        method: 'POST',
        headers: { 'content-type': JSON_TYPE },
        body: JSON.stringify({ label: 'other', scopes: ['publish:*'] }),
      })
      const strange = await refusal(`/v1/stages/${stage}/${what}`, other.json<{ token: string }>().token)
      expect([strange.status, strange.problem]).toEqual([403, 'forbidden'])
    },
  )

  it('another media type is refused', async () => {
    const answer = await refusal(`/v1/stages/${stage}/missing`, depot.token, 'text/plain')
    expect([answer.status, answer.problem]).toEqual([415, 'unsupported-media-type'])
    expect(answer.json()['expected']).toBe(`${JSON_TYPE} or ${LINES_TYPE}`)
  })

  it('a list that is too long for JSON is refused, and the answer says how to send it', async () => {
    const length = LIMITS.jsonListBytes + 1
    const answer = await refusal(`/v1/stages/${stage}/missing`, depot.token, JSON_TYPE, length)
    expect([answer.status, answer.problem]).toEqual([413, 'limit-exceeded'])
    expect(answer.json()).toMatchObject({ limit: LIMITS.jsonListBytes, found: length })
    expect(answer.json()['detail']).toContain(LINES_TYPE)
  })
})

describe('as JSON', () => {
  it('is taken when it is short', async () => {
    const answer = await declare(JSON_TYPE, JSON.stringify({ blobs: blobs(1_300) }))
    expect([answer.status, answer.json<{ missing: string[] }>().missing.length]).toEqual([200, 1_300])
  })

  it('is refused when it turns out to be long', async () => {
    const body = JSON.stringify({ blobs: blobs(2_000) })
    const answer = await declare(JSON_TYPE, body, { 'transfer-encoding': 'chunked' })
    expect([answer.status, answer.problem]).toEqual([413, 'limit-exceeded'])
    expect(answer.json()['detail']).toContain(LINES_TYPE)
  })

  it('is refused unparsed when it is nested deeper than a list is', async () => {
    const answer = await declare(JSON_TYPE, `{"blobs":${'['.repeat(50_000)}`)
    expect([answer.status, answer.problem]).toEqual([413, 'limit-exceeded'])
    expect(answer.json()['detail']).toContain('nesting')
  })
})

describe('as lines', () => {
  it('is taken when it is as long as may be, and means the same', async () => {
    const list = blobs(LIMITS.missingDigests)
    const answer = await declare(LINES_TYPE, linesOf(list))
    expect(answer.status).toBe(200)
    expect(answer.json<{ missing: string[] }>().missing).toEqual(list.map(({ digest }) => digest))
  })

  it('may be empty, and its last line may end without a newline', async () => {
    expect((await declare(LINES_TYPE, '')).json()).toEqual({ missing: [] })
    const answer = await declare(`${LINES_TYPE}; charset=utf-8`, linesOf(blobs(2)).trimEnd())
    expect(answer.json<{ missing: string[] }>().missing.length).toBe(2)
  })

  it('is sent by the client when the list is long', async () => {
    const list = blobs(5_000)
    expect((await depot.client.stage(stage).missing(list)).length).toBe(5_000)
  })

  it.each([
    ['no JSON', 'blob\n', 400, 'bad-request'],
    ['an empty line', '\n', 400, 'bad-request'],
    ['a list', '[]\n', 400, 'bad-request'],
    ['more members', linesOf([{ digest: digestOf(''), size: 0, name: 'a' }]), 400, 'bad-request'],
    ['a long line', `${' '.repeat(2_000)}\n`, 413, 'limit-exceeded'],
    ['too many lines', linesOf(blobs(LIMITS.missingDigests + 1)), 413, 'limit-exceeded'],
  ])('with %s is refused', async (_, body, status, problem) => {
    const answer = await declare(LINES_TYPE, body)
    expect([answer.status, answer.problem]).toEqual([status, problem])
  })

  it('that has a wrong line says which', async () => {
    const answer = await declare(LINES_TYPE, linesOf([...blobs(7), { digest: 'sha256:abc', size: 1 }]))
    expect(answer.json()['detail']).toMatch(/^blob 8 of the list/)
  })
})

describe.each([
  [JSON_TYPE, (value: string) => `{"blobs":[${value}]}`],
  [LINES_TYPE, (value: string) => `${value}\n`],
])('a size in %s', (type, bodyOf) => {
  it.each(['1e300', String(LIMITS.blobBytes + 1), '0.5', '-1', '"1"', 'null'])(
    'of %s is no size of a blob',
    async (size) => {
      const answer = await declare(type, bodyOf(`{"digest":"${digestOf('huge')}","size":${size}}`))
      expect([answer.status, answer.problem]).toEqual([400, 'bad-request'])
      expect(answer.json()['detail']).toContain(String(LIMITS.blobBytes))
    },
  )

  it('of the largest blob that there may be is a matter of the disk', async () => {
    const answer = await declare(type, bodyOf(`{"digest":"${digestOf('huge')}","size":${LIMITS.blobBytes}}`))
    expect([answer.status, answer.problem]).toEqual([507, 'disk-full'])
  })
})
