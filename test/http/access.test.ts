/**
 * Who may do what: tokens, their scopes, their end and their quota; closed reads; and who asks too often.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { digestOf } from '../../src/model/digest.ts'
import type { Answer, Ask } from '../support/exchange.ts'
import { publish } from '../support/publish.ts'
import { runningDepot, type TestDepot } from '../support/running-depot.ts'
import { type Asking, asking, openStage } from './well-formed.ts'

let depot: TestDepot
let ask: Asking

beforeAll(async () => {
  depot = await runningDepot()
  ask = asking(depot)
  await publish(depot.client, { name: 'hello', version: '1.0.0' })
})
afterAll(async () => {
  await depot[Symbol.asyncDispose]()
})

async function post(path: string, value: unknown, more: Ask = {}): Promise<Answer> {
  const headers = { 'content-type': 'application/json', ...more.headers }
  return await ask(path, { method: 'POST', body: JSON.stringify(value), ...more, headers })
}

interface Made {
  readonly id: string
  readonly token: string
}

async function makeToken(wish: Readonly<Record<string, unknown>>): Promise<Made> {
  const answer = await post('/v1/tokens', { label: 'ci', ...wish })
  expect([answer.status, answer.header('cache-control')]).toEqual([201, 'private, no-store'])
  return answer.json<Made & Record<string, unknown>>()
}

function as({ token }: Pick<Made, 'token'>): Asking {
  return asking({ url: depot.url, token })
}

/** A request of each kind, as far as it gets with this token. */
async function reach(asked: Asking): Promise<Readonly<Record<string, number>>> {
  const stage = await openStage(ask)
  const own = await asked('/v1/stages', { method: 'POST' })
  const id = own.status === 201 ? own.json<{ id: string }>().id : stage
  const release = (channel: string): string => `/v1/stages/${id}/channels/${channel}/manifests/new/1.0.0`
  const body = JSON.stringify({ name: 'new', version: '1.0.0', files: [] })
  const json = { 'content-type': 'application/json' }
  const status = async (path: string, more: Ask): Promise<number> => (await asked(path, more)).status
  return {
    open: own.status,
    stable: await status(release('stable'), { method: 'PUT', body }),
    other: await status(release('other'), { method: 'PUT', body }),
    foreign: await status(`/v1/stages/${stage}`, {}),
    rollback: await status('/v1/rollback', { method: 'POST', headers: json, body: '{"to":"0"}' }),
    tokens: await status('/v1/tokens', {}),
    scrub: await status('/v1/scrub', { method: 'POST' }),
  }
}

describe('a token', () => {
  it('is shown once, and is not in any list', async () => {
    const made = await makeToken({ scopes: ['publish:stable'] })
    expect(made.token).toMatch(/^depot_[\w-]{43}$/)
    const list = await ask('/v1/tokens')
    expect(list.text).toContain(made.id)
    expect(list.text).not.toContain(made.token.slice(6))
    expect(list.header('cache-control')).toBe('private, no-store')
  })

  it.each([
    [
      'publish:stable',
      { open: 201, stable: 200, other: 403, foreign: 403, rollback: 403, tokens: 403, scrub: 403 },
    ],
    [
      'publish:*',
      { open: 201, stable: 200, other: 200, foreign: 403, rollback: 403, tokens: 403, scrub: 403 },
    ],
    ['read', { open: 403, stable: 403, other: 403, foreign: 403, rollback: 403, tokens: 403, scrub: 403 }],
    [
      'replicate',
      { open: 403, stable: 403, other: 403, foreign: 403, rollback: 403, tokens: 403, scrub: 403 },
    ],
    ['admin', { open: 201, stable: 200, other: 200, foreign: 200, rollback: 201, tokens: 200, scrub: 200 }],
  ])('with the scope %s may do what it says and nothing else', async (scope, statuses) => {
    expect(await reach(as(await makeToken({ scopes: [scope] })))).toEqual(statuses)
  })

  it('that nobody knows, or none at all, may do nothing that writes', async () => {
    const nothing = {
      open: 401,
      stable: 401,
      other: 401,
      foreign: 401,
      rollback: 401,
      tokens: 401,
      scrub: 401,
    }
    expect(await reach(as({ token: `depot_${'x'.repeat(43)}` }))).toEqual(nothing)
    expect(
      await reach(
        async (path, more = {}) =>
          await ask(path, { ...more, headers: { ...more.headers, authorization: '' } }),
      ),
    ).toEqual(nothing)
  })

  it.each([
    'Bearer',
    'Bearer ',
    'Basic ZGVwb3Q6eA==',
    'bearer x y',
    `Bearer ${'x'.repeat(5_000)}`,
    'depot_x',
    'Bearer \u00e9',
  ])('that is sent as %j is refused', async (authorization) => {
    const answer = await ask('/v1/stages', { headers: { authorization } })
    expect([answer.status, answer.problem]).toEqual([401, 'unauthorised'])
    expect(answer.header('www-authenticate')).toMatch(/^Bearer/)
  })

  it('is a token whatever the case of Bearer, and however many spaces follow', async () => {
    for (const authorization of [`bearer ${depot.token}`, `BEARER   ${depot.token}`])
      expect((await ask('/v1/stages', { headers: { authorization } })).status).toBe(200)
  })

  it('ends when it is revoked, at once and for good', async () => {
    const made = await makeToken({ scopes: ['publish:*'] })
    expect((await as(made)('/v1/stages')).status).toBe(200)
    expect((await ask(`/v1/tokens/${made.id}`, { method: 'DELETE' })).status).toBe(204)
    expect((await as(made)('/v1/stages')).status).toBe(401)
    expect((await ask(`/v1/tokens/${made.id}`, { method: 'DELETE' })).status).toBe(204)
    expect((await ask('/v1/tokens/t000', { method: 'DELETE' })).status).toBe(404)
    const listed = (await ask('/v1/tokens')).json<{ tokens: { id: string; revoked?: string }[] }>().tokens
    expect(listed.find(({ id }) => id === made.id)?.revoked).toBeDefined()
  })

  it('ends at the time that it was given', async () => {
    const soon = new Date(Date.now() + 1_500).toISOString()
    const made = await makeToken({ scopes: ['publish:*'], expires: soon })
    expect((await as(made)('/v1/stages')).status).toBe(200)
    await expect.poll(async () => (await as(made)('/v1/stages')).status, { timeout: 5_000 }).toBe(401)
    const past = await makeToken({ scopes: ['publish:*'], expires: '2020-01-01T00:00:00Z' })
    expect((await as(past)('/v1/stages')).status).toBe(401)
  })

  it('has a quota, which counts and is kept', async () => {
    const made = await makeToken({ scopes: ['publish:*'], quotaBytes: 1_000 })
    const stage = (await as(made)('/v1/stages', { method: 'POST' })).json<{ id: string }>().id
    const put = async (bytes: Buffer): Promise<Answer> =>
      await as(made)(`/v1/stages/${stage}/blobs/sha256/${digestOf(bytes).slice(7)}`, {
        method: 'PUT',
        body: bytes,
      })
    expect((await put(Buffer.alloc(600, 1))).status).toBe(201)
    const refused = await put(Buffer.alloc(600, 2))
    expect([refused.status, refused.problem]).toEqual([413, 'quota-exceeded'])
    expect(refused.json()).toMatchObject({ quota: 1_000, used: 600, offered: 600 })
    expect((await put(Buffer.alloc(400, 3))).status).toBe(201)
    const listed = (await ask('/v1/tokens')).json<{ tokens: { id: string; usedBytes: number }[] }>().tokens
    expect(listed.find(({ id }) => id === made.id)?.usedBytes).toBe(1_000)
  })

  it.each<[string, Readonly<Record<string, unknown>>, number]>([
    ['no label', { label: '', scopes: ['read'] }, 400],
    ['no scopes', { label: 'x', scopes: [] }, 400],
    ['an unknown scope', { label: 'x', scopes: ['root'] }, 400],
    ['a scope for what is no channel', { label: 'x', scopes: ['publish:A/B'] }, 422],
    ['too many scopes', { label: 'x', scopes: Array.from({ length: 101 }, () => 'read') }, 400],
    ['a quota that is null', { label: 'x', scopes: ['read'], quotaBytes: null }, 400],
    ['a quota as text', { label: 'x', scopes: ['read'], quotaBytes: '5' }, 400],
    ['a time that is none', { label: 'x', scopes: ['read'], expires: 'tomorrow' }, 400],
    ['something unknown', { label: 'x', scopes: ['read'], admin: true }, 400],
  ])('is not made with %s', async (_, wish, status) => {
    expect((await post('/v1/tokens', wish)).status).toBe(status)
  })
})

describe('a quota for all', () => {
  it('is that of tokens that are given none of their own', async () => {
    await using limited = await runningDepot({ quotaMb: 1 })
    const made = await limited.client.createToken({ label: 'x', scopes: ['read'] })
    expect(made.quotaBytes).toBe(1_048_576)
    const own = await limited.client.createToken({ label: 'y', scopes: ['read'], quotaBytes: 5 })
    expect(own.quotaBytes).toBe(5)
  })
})

describe('who asks too often', () => {
  it('is told to wait, for how long, and may go on then', async () => {
    await using slow = await runningDepot({ tokenWritesPerSecond: 5, tokenWriteBurst: 3 })
    const asked = asking(slow)
    const answers = await Promise.all(Array.from({ length: 8 }, async () => await asked('/v1/stages')))
    const refused = answers.filter(({ status }) => status === 429)
    expect(refused.length).toBeGreaterThanOrEqual(3)
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(3)
    for (const answer of refused) {
      expect(answer.problem).toBe('rate-limited')
      expect(Number(answer.header('retry-after'))).toBeGreaterThanOrEqual(1)
      expect(answer.header('cache-control')).toBe('no-store')
    }
    // Reading is not counted.
    for (let round = 0; round < 10; round += 1) expect((await asked('/v1/head')).status).toBe(200)
    await expect.poll(async () => (await asked('/v1/stages')).status).toBe(200)
  })

  it('is counted by address too, also when the token is wrong', async () => {
    await using slow = await runningDepot({ addressWritesPerSecond: 1, addressWriteBurst: 5 })
    const asked = asking(slow)
    const statuses: number[] = []
    for (let round = 0; round < 10; round += 1)
      statuses.push((await asked('/v1/stages', { headers: { authorization: 'Bearer guess' } })).status)
    expect(statuses.slice(0, 5)).toEqual([401, 401, 401, 401, 401])
    expect(statuses).toContain(429)
  })

  it('is not mistaken for others behind a proxy that is trusted', async () => {
    await using trusting = await runningDepot({
      trustProxy: '127.0.0.1',
      addressWritesPerSecond: 1,
      addressWriteBurst: 2,
    })
    const asked = asking(trusting)
    const from = async (address: string): Promise<number> =>
      (await asked('/v1/stages', { headers: { 'x-forwarded-for': address } })).status
    expect([await from('10.0.0.1'), await from('10.0.0.1'), await from('10.0.0.1')]).toEqual([200, 200, 429])
    expect(await from('10.0.0.2')).toBe(200)
  })

  it('cannot hide behind a forged address', async () => {
    await using slow = await runningDepot({ addressWritesPerSecond: 1, addressWriteBurst: 2 })
    const asked = asking(slow)
    const from = async (address: string): Promise<number> =>
      (await asked('/v1/stages', { headers: { 'x-forwarded-for': address } })).status
    expect([await from('10.0.0.1'), await from('10.0.0.2'), await from('10.0.0.3')]).toEqual([200, 200, 429])
  })
})

describe('closed reads', () => {
  it('are open to every token, and to nobody else', async () => {
    await using closed = await runningDepot({ reads: 'token' })
    await publish(closed.client, { name: 'hello', version: '1.0.0' })
    for (const scope of ['read', 'publish:other']) {
      const { token } = await closed.client.createToken({ label: scope, scopes: [scope] })
      expect((await asking({ url: closed.url, token })('/v1/channels/stable/catalog')).status).toBe(200)
    }
    const { token } = await closed.client.createToken({ label: 'node', scopes: ['replicate'] })
    expect((await asking({ url: closed.url, token })('/v1/channels/stable/catalog')).status).toBe(200)
    const anybody = asking(closed)
    for (const path of [
      '/v1/head',
      '/v1/head?after=x',
      '/v1/generations',
      '/v1/channels',
      '/v1/channels/none',
      `/o/sha256/${'0'.repeat(64)}`,
    ])
      expect([path, (await anybody(path, { headers: { authorization: '' } })).status]).toEqual([path, 401])
    // What a balancer asks stays open.
    for (const path of ['/livez', '/readyz', '/servez'])
      expect((await anybody(path, { headers: { authorization: '' } })).status).toBe(200)
  })
})

describe('/metrics', () => {
  it('is open on the same machine, and not to who came through a proxy', async () => {
    const local = async (headers: Readonly<Record<string, string>>): Promise<number> =>
      (await ask('/metrics', { headers: { authorization: '', ...headers } })).status
    expect(await local({})).toBe(200)
    for (const name of ['x-forwarded-for', 'forwarded', 'x-real-ip', 'via', 'x-forwarded-host'])
      expect([name, await local({ [name]: '10.0.0.1' })]).toEqual([name, 401])
    expect((await ask('/metrics', { headers: { 'x-forwarded-for': '10.0.0.1' } })).status).toBe(200)
    const { token } = await makeToken({ scopes: ['publish:*'] })
    expect((await as({ token })('/metrics', { headers: { via: '1.1 proxy' } })).status).toBe(403)
  })

  it('with a token of its own is open to that, and to admins', async () => {
    await using own = await runningDepot({ metricsToken: 'metrics-secret' })
    const asked = asking(own)
    const status = async (authorization: string): Promise<number> =>
      (await asked('/metrics', { headers: { authorization } })).status
    expect(await status('Bearer metrics-secret')).toBe(200)
    expect(await status(`Bearer ${own.token}`)).toBe(200)
    expect(await status('Bearer metrics-secreT')).toBe(401)
    expect(await status('')).toBe(401)
  })

  it('counts answers by route, and never by URL', async () => {
    await ask('/v1/channels/stable/manifests/none/1.0.0')
    await ask('/nowhere/at/all')
    const { text } = await ask('/metrics')
    expect(text).toMatch(/route="\/v1\/channels\/:channel\/manifests\/:name\/:version",status="404"/)
    expect(text).not.toContain('nowhere')
    expect(text).toMatch(/^depot_generation_number \d+$/m)
  })
})
