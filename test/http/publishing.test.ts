/**
 * The routes that write, each with every status that it can have: what the answer says, and under which generation.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { digestOf } from '../../src/model/digest.ts'
import type { Answer, Ask } from '../support/exchange.ts'
import { publish } from '../support/publish.ts'
import { runningDepot, type TestDepot } from '../support/running-depot.ts'
import { type Asking, asking, openStage } from './well-formed.ts'

let depot: TestDepot
let ask: Asking
/** An open stage, new for every test. */
let stage = ''
let head = ''
let count = 0

beforeAll(async () => {
  depot = await runningDepot()
  ask = asking(depot)
  await publish(depot.client, { name: 'hello', version: '1.0.0' })
})
afterAll(async () => {
  await depot[Symbol.asyncDispose]()
})
beforeEach(async () => {
  head = (await ask('/v1/head')).json<{ gid: string }>().gid
  stage = await openStage(ask)
  count += 1
})

async function json(
  method: string,
  path: string,
  value: unknown,
  headers: Ask['headers'] = {},
): Promise<Answer> {
  const type = { 'content-type': 'application/json' }
  return await ask(path, { method, headers: { ...type, ...headers }, body: JSON.stringify(value) })
}

async function putManifest(version: string, more: Readonly<Record<string, unknown>> = {}): Promise<Answer> {
  const manifest = { name: 'hello', version, files: [], ...more }
  return await json('PUT', release(version), manifest)
}

function release(version: string, channel = 'stable', name = 'hello'): string {
  return `/v1/stages/${stage}/channels/${channel}/manifests/${name}/${version}`
}

async function commit(headers: Ask['headers'] = {}, body: unknown = {}): Promise<Answer> {
  return await json('POST', `/v1/stages/${stage}/commit`, body, headers)
}

/** A version that no test has used. */
function fresh(): string {
  return `2.${count}.0`
}

function outcome(answer: Answer): readonly [number, string] {
  return [answer.status, answer.status < 400 ? '' : answer.problem]
}

describe('POST /v1/stages', () => {
  it('201: a stage on the head, and where it is', async () => {
    const answer = await json('POST', '/v1/stages', { message: 'a message', members: ['t1'] })
    expect(answer.status).toBe(201)
    const body = answer.json<{ id: string }>()
    expect(body).toMatchObject({
      state: 'open',
      base: head,
      message: 'a message',
      members: ['t1'],
      changes: 0,
      missing: [],
    })
    expect(answer.header('location')).toBe(`/v1/stages/${body.id}`)
    expect(answer.header('depot-generation')).toBe(`${head};st=staging`)
    expect(answer.header('cache-control')).toBe('private, no-store')
  })

  it('201: a stage on an old generation', async () => {
    const base = (await ask('/v1/generations/0')).json<{ gid: string }>().gid
    const answer = await json('POST', '/v1/stages', { base })
    expect([answer.status, answer.header('depot-generation')]).toEqual([201, `${base};st=staging`])
  })

  it.each<[number, string, unknown]>([
    [400, 'bad-generation', { base: 'g1' }],
    [404, 'lineage-foreign', { base: 'g1.aaaaaaaaaaaa.0123456789abcdef' }],
    [400, 'bad-request', { members: Array.from({ length: 101 }, () => 't') }],
    [400, 'bad-request', { message: 'x'.repeat(4_001) }],
    [400, 'bad-request', { message: null }],
    [400, 'bad-request', { message: 1 }],
    [400, 'bad-request', { colour: 'red' }],
  ])('%i %s', async (status, problem, body) => {
    expect(outcome(await json('POST', '/v1/stages', body))).toEqual([status, problem])
  })
})

describe('a stage', () => {
  it('200: shows itself, and what is in it', async () => {
    const files = [{ path: 'a', digest: digestOf('not here'), size: 8 }]
    await putManifest(fresh(), { files })
    const answer = await ask(`/v1/stages/${stage}`)
    expect(answer.json()).toMatchObject({
      id: stage,
      state: 'open',
      changes: 1,
      missing: [digestOf('not here')],
    })
    expect(answer.header('cache-control')).toBe('private, no-store')
    const listed = (await ask('/v1/stages')).json<{ stages: { id: string }[] }>().stages
    expect(listed.map(({ id }) => id)).toContain(stage)
  })

  it('204: ends, and is aborted from then on', async () => {
    expect((await ask(`/v1/stages/${stage}`, { method: 'DELETE' })).status).toBe(204)
    expect((await ask(`/v1/stages/${stage}`)).json()).toMatchObject({ state: 'aborted' })
    expect((await ask(`/v1/stages/${stage}`, { method: 'DELETE' })).status).toBe(204)
    expect(outcome(await commit())).toEqual([410, 'stage-expired'])
    expect(outcome(await putManifest(fresh()))).toEqual([410, 'stage-expired'])
  })

  it('404: is not there', async () => {
    for (const [method, path] of [
      ['GET', ''],
      ['DELETE', ''],
      ['POST', '/commit'],
      ['POST', '/missing'],
      ['POST', '/blobs'],
      ['DELETE', '/channels/stable'],
      ['GET', '/preview/v1/channels'],
    ] as const) {
      const body = { POST: { '/commit': '{}', '/missing': '{"blobs":[]}', '/blobs': '' }[path as '/commit'] }[
        method as 'POST'
      ]
      const type = path === '/blobs' ? 'application/vnd.depot.blobs' : 'application/json'
      const more = body === undefined ? {} : { body, headers: { 'content-type': type } }
      const answer = await ask(`/v1/stages/s000${path}`, { method, ...more })
      expect([method, path, ...outcome(answer)]).toEqual([method, path, 404, 'stage-unknown'])
    }
  })
})

describe('PUT .../manifests/{name}/{version}', () => {
  it('200: tells the digest of the one form, and what is missing', async () => {
    const version = fresh()
    const answer = await putManifest(version, {
      files: [{ size: 8, path: 'a', digest: digestOf('not here') }],
    })
    expect(answer.status).toBe(200)
    const canonical = `{"files":[{"digest":"${digestOf('not here')}","path":"a","size":8}],"name":"hello","version":"${version}"}`
    expect(answer.json()).toEqual({ manifest: digestOf(canonical), missing: [digestOf('not here')] })
    expect(answer.header('depot-generation')).toBe(`${head};st=staging`)
  })

  it.each<[number, string, string, unknown]>([
    [422, 'manifest-invalid', release('1.0.1'), { name: 'hello', version: '1.0.2', files: [] }],
    [
      422,
      'manifest-invalid',
      release('1.0.1'),
      { name: 'hello', version: '1.0.1', files: [], colour: 'red' },
    ],
    [422, 'manifest-invalid', release('1.0.1'), []],
    [422, 'version-invalid', release('1.0'), { name: 'hello', version: '1.0', files: [] }],
    [422, 'name-invalid', release('1.0.1', 'stable', '%2e%2e'), { name: '..', version: '1.0.1', files: [] }],
    [422, 'name-invalid', release('1.0.1', 'No%20Channel'), { name: 'hello', version: '1.0.1', files: [] }],
    [
      422,
      'path-invalid',
      release('1.0.1'),
      { name: 'hello', version: '1.0.1', files: [{ path: '../x', digest: digestOf(''), size: 0 }] },
    ],
    [409, 'name-conflict', release('1.0.0'), { name: 'hello', version: '1.0.0', files: [] }],
  ])('%i %s: %s', async (status, problem, path, body) => {
    const answer = await json('PUT', path.replace('/stages//', `/stages/${stage}/`), body)
    expect(outcome(answer)).toEqual([status, problem])
  })

  it('413: is larger than a manifest may be', async () => {
    const answer = await ask(release(fresh()), { method: 'PUT', body: Buffer.alloc(67_108_865, 32) })
    expect([...outcome(answer), answer.json()['limit']]).toEqual([413, 'limit-exceeded', 67_108_864])
  })

  it('422: is nothing', async () => {
    expect(outcome(await ask(release(fresh()), { method: 'PUT' }))).toEqual([422, 'manifest-invalid'])
  })
})

describe('POST .../manifests', () => {
  const post = async (body: string): Promise<Answer> =>
    await ask(`/v1/stages/${stage}/channels/stable/manifests`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body,
    })

  it('200: takes one manifest a line, and passes over empty lines', async () => {
    const lines = ['a', 'b'].map((name) => JSON.stringify({ name, version: fresh(), files: [] }))
    const answer = await post(`\n${lines.join('\n\n')}\n`)
    expect(answer.json<{ manifests: string[] }>().manifests.length).toBe(2)
    expect((await post('')).json()).toEqual({ manifests: [], missing: 0 })
  })

  it('422: takes none when one is wrong', async () => {
    const lines = [JSON.stringify({ name: 'a', version: fresh(), files: [] }), '{}']
    expect(outcome(await post(lines.join('\n')))).toEqual([422, 'manifest-invalid'])
    expect((await ask(`/v1/stages/${stage}`)).json()).toMatchObject({ changes: 0 })
  })

  it('413: has too many lines', async () => {
    expect(outcome(await post('x\n'.repeat(20_001)))).toEqual([413, 'limit-exceeded'])
  })
})

describe('removing and marking', () => {
  it('204', async () => {
    expect((await json('PATCH', release('1.0.0'), { status: 'yanked', reason: 'x' })).status).toBe(204)
    expect((await json('PATCH', release('1.0.0'), { status: null })).status).toBe(204)
    expect((await ask(release('1.0.0'), { method: 'DELETE' })).status).toBe(204)
  })

  it.each<[number, string, string, unknown]>([
    [404, 'not-found', release('9.9.9'), { status: 'yanked' }],
    [400, 'bad-request', release('1.0.0'), { status: 'gone' }],
    [400, 'bad-request', release('1.0.0'), { status: '' }],
    [400, 'bad-request', release('1.0.0'), {}],
    [400, 'bad-request', release('1.0.0'), { status: 'yanked', reason: 'x'.repeat(1_001) }],
  ])('%i %s: %s', async (status, problem, path, body) => {
    expect(outcome(await json('PATCH', path.replace('/stages//', `/stages/${stage}/`), body))).toEqual([
      status,
      problem,
    ])
  })

  it('404: what is not there cannot be removed', async () => {
    expect(outcome(await ask(release('9.9.9'), { method: 'DELETE' }))).toEqual([404, 'not-found'])
    expect(outcome(await ask(`/v1/stages/${stage}/channels/none`, { method: 'DELETE' }))).toEqual([
      404,
      'not-found',
    ])
  })
})

describe('PUT .../channels/{channel}', () => {
  it('204: makes, freezes and unfreezes it', async () => {
    for (const body of [{}, { format: 'semver' }, { frozen: true }, { frozen: false }])
      expect((await json('PUT', `/v1/stages/${stage}/channels/new`, body)).status).toBe(204)
  })

  it('409: a frozen channel takes nothing', async () => {
    await json('PUT', `/v1/stages/${stage}/channels/stable`, { frozen: true })
    expect(outcome(await putManifest(fresh()))).toEqual([409, 'channel-frozen'])
  })

  it.each([{ frozen: 'yes' }, { format: 'ips' }, { frozen: null }, { other: 1 }])('400: %j', async (body) => {
    expect(outcome(await json('PUT', `/v1/stages/${stage}/channels/new`, body))).toEqual([400, 'bad-request'])
  })
})

describe('preview', () => {
  it('200: reads the stage as if it were committed, for those who may add to it', async () => {
    const version = fresh()
    await putManifest(version, { summary: 'previewed' })
    const path = `/v1/channels/stable/manifests/hello/${version}`
    const preview = await ask(`/v1/stages/${stage}/preview${path}`)
    expect([preview.status, preview.header('cache-control')]).toEqual([200, 'private, no-store'])
    expect(preview.header('depot-generation')).toBe(`${head};st=staging`)
    expect((await ask(path)).status).toBe(404)
    const catalog = await ask(`/v1/stages/${stage}/preview/v1/channels/stable/catalog`)
    const { gid } = (await commit()).json<{ gid: string }>()
    const committed = await ask(`/g/${gid}/v1/channels/stable/catalog`)
    expect(committed.body.equals(catalog.body)).toBe(true)
    expect((await ask(`/g/${gid}${path}`)).body.equals(preview.body)).toBe(true)
  })

  it('401, 403, 410', async () => {
    const path = `/v1/stages/${stage}/preview/v1/channels`
    expect((await ask(path, { headers: { authorization: '' } })).status).toBe(401)
    const { token } = await depot.client.createToken({ label: 'x', scopes: ['publish:*'] })
    expect((await asking({ url: depot.url, token })(path)).status).toBe(403)
    await ask(`/v1/stages/${stage}`, { method: 'DELETE' })
    expect((await ask(path)).status).toBe(410)
  })

  it('409: lists the conflicts that a commit would have', async () => {
    const version = fresh()
    await putManifest(version, { summary: 'mine' })
    await publish(depot.client, { name: 'hello', version, files: { a: 'theirs' } })
    const answer = await ask(`/v1/stages/${stage}/preview/v1/channels`)
    expect(outcome(answer)).toEqual([409, 'conflict'])
    expect(answer.json<{ conflicts: { version: string }[] }>().conflicts[0]?.version).toBe(version)
  })
})

describe('POST .../commit', () => {
  it('201: the new generation, in the body, in the header, and where it is', async () => {
    await putManifest(fresh())
    const answer = await commit({}, { message: 'news' })
    const { gid, record } = answer.json<{ gid: string; record: { message: string; parent: string } }>()
    expect([answer.status, record.message, record.parent]).toEqual([201, 'news', head])
    expect(answer.header('depot-generation')).toBe(gid)
    expect(answer.header('location')).toBe(`/v1/generations/${gid}`)
    expect(answer.header('cache-control')).toBe('private, no-store')
    expect((await ask(answer.header('location') ?? '')).json()).toMatchObject({ gid })
    expect((await ask('/v1/head')).json()).toMatchObject({ gid })
  })

  it('200: the head, when there was nothing to change, also when it is asked again', async () => {
    const answer = await commit()
    expect([answer.status, answer.json()['gid'], answer.header('depot-generation')]).toEqual([
      200,
      head,
      head,
    ])
    await publish(depot.client, { name: 'hello', version: fresh() })
    expect([(await commit()).status, (await commit()).json()['gid']]).toEqual([200, head])
  })

  it('201: the same again for the same key, and 409 for the same key and another body', async () => {
    await putManifest(fresh())
    const first = await commit({ 'idempotency-key': 'my-key' }, { message: 'one' })
    const second = await commit({ 'idempotency-key': 'my-key' }, { message: 'one' })
    expect([second.status, second.text]).toEqual([201, first.text])
    expect(outcome(await commit({ 'idempotency-key': 'my-key' }, { message: 'two' }))).toEqual([
      409,
      'idempotency-mismatch',
    ])
    expect((await commit({ 'idempotency-key': 'another' }, { message: 'two' })).text).toBe(first.text)
  })

  it('201: one generation for many requests at once, with If-Match too', async () => {
    await putManifest(fresh())
    const headers = { 'idempotency-key': 'k', 'if-match': `"${head}"` }
    const answers = await Promise.all(Array.from({ length: 8 }, async () => await commit(headers)))
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1)
    expect(answers[0]?.status).toBe(201)
  })

  it('412: the head is another one than If-Match says, which is told', async () => {
    await putManifest(fresh())
    const { gid } = await publish(depot.client, { name: 'other', version: fresh() })
    const answer = await commit({ 'if-match': `"${head}"` })
    expect(outcome(answer)).toEqual([412, 'base-changed'])
    expect(answer.json()).toMatchObject({ expected: head, generation: gid })
    expect((await commit({ 'if-match': `"${gid}"` })).status).toBe(201)
  })

  it('409: lists every conflict', async () => {
    const version = fresh()
    await putManifest(version, { summary: 'mine' })
    await publish(depot.client, { name: 'hello', version, files: { a: 'theirs' } })
    const answer = await commit()
    expect(outcome(answer)).toEqual([409, 'conflict'])
    expect(answer.json()).toMatchObject({ total: 2 })
  })

  it('422: lists the blobs that are missing', async () => {
    await putManifest(fresh(), { files: [{ path: 'a', digest: digestOf('absent'), size: 6 }] })
    const answer = await commit()
    expect(outcome(answer)).toEqual([422, 'blob-missing'])
    expect(answer.json()).toMatchObject({ missing: [digestOf('absent')], total: 1 })
  })

  it.each<[Ask['headers'], unknown]>([
    [{ 'idempotency-key': '' }, {}],
    [{ 'idempotency-key': 'x'.repeat(256) }, {}],
    [{ 'idempotency-key': 'a b' }, {}],
    [{ 'idempotency-key': ['a', 'b'] }, {}],
    [{ 'if-match': '*' }, {}],
    [{ 'if-match': '"g1"' }, {}],
    [{}, { message: 5 }],
    [{}, { force: true }],
  ])('400: %j %j', async (headers, body) => {
    await putManifest(fresh())
    expect((await commit(headers, body)).status).toBe(400)
  })
})

describe('POST /v1/rollback', () => {
  it('201: a new generation with the old bytes (I30)', async () => {
    const target = (await ask('/v1/generations/1')).json<{ gid: string; record: { number: number } }>()
    const answer = await json('POST', '/v1/rollback', { to: '1', message: 'back' })
    const { gid, record } = answer.json<{ gid: string; record: { rollbackOf: string; message: string } }>()
    expect([answer.status, record.rollbackOf, record.message]).toEqual([201, head, 'back'])
    expect(answer.header('depot-generation')).toBe(gid)
    const [was, is] = [
      await ask(`/g/${target.gid}/v1/channels/stable/catalog`),
      await ask(`/g/${gid}/v1/channels/stable/catalog`),
    ]
    expect([is.body.equals(was.body), is.header('etag')]).toEqual([true, was.header('etag')])
    expect((await json('POST', '/v1/rollback', { to: head })).status).toBe(201)
  })

  it('200: the head has these channels already', async () => {
    const answer = await json('POST', '/v1/rollback', { to: head })
    const { gid } = (await ask('/v1/head')).json<{ gid: string }>()
    expect([answer.status, answer.json<{ gid: string }>().gid]).toEqual([200, gid])
  })

  it('412: it was meant for another head', async () => {
    const headers = { 'if-match': '"g1.aaaaaaaaaaaa.0123456789abcdef"' }
    const answer = await json('POST', '/v1/rollback', { to: '1' }, headers)
    expect(outcome(answer)).toEqual([412, 'base-changed'])
  })

  it.each<[number, string, unknown]>([
    [404, 'not-found', { to: '999999' }],
    [404, 'lineage-foreign', { to: 'g1.aaaaaaaaaaaa.0123456789abcdef' }],
    [400, 'bad-request', { to: 'yesterday' }],
    [400, 'bad-request', { to: '2999-01-01T00:00:00.000Z' }],
    [400, 'bad-request', {}],
    [400, 'bad-request', { to: 1 }],
  ])('%i %s: %j', async (status, problem, body) => {
    expect(outcome(await json('POST', '/v1/rollback', body))).toEqual([status, problem])
  })
})
