/**
 * PROTOCOL §7 as a truth table: what may be kept by whom and for how long, under which ETag, and what a conditional
 * request or a HEAD gets.
 */
import { fastify } from 'fastify'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { answerProblem } from '../../src/http/answer-problem.ts'
import { failure } from '../../src/model/errors.ts'
import { publish } from '../support/publish.ts'
import { FILES, hexOf, type ReadFixture, readFixture, reprDigestOf, SMALL } from './read-fixture.ts'
import { type Asking, asking } from './well-formed.ts'

const FOREVER = 'public, max-age=31536000, immutable, no-transform'
const WEEK = 'public, max-age=604800, immutable, no-transform'
const SHA = 'sha256-[0-9a-f]{64}'

let fixture: ReadFixture
let ask: Asking
let [first, head] = ['', '']

beforeAll(async () => {
  fixture = await readFixture()
  ask = fixture.ask
  first = fixture.generations[0].gid
  head = fixture.generations[2].gid
})
afterAll(async () => {
  await fixture[Symbol.asyncDispose]()
})

/** K1 and K2: changes with the head. */
const CHANGING = [
  '/v1/head',
  '/v1/generations',
  '/v1/generations?limit=1',
  '/v1/generations/head',
  '/v1/generations/1',
  '/v1/generations/2999-01-01T00:00:00Z',
  '/v1/generations/1/diff/3',
  '/v1/channels',
  '/v1/channels?limit=1',
  '/v1/channels/stable',
  '/v1/channels/stable/catalog',
  '/v1/channels/stable/catalog?since=FIRST',
  '/v1/channels/stable/manifests/hello',
  '/v1/channels/stable/manifests/hello?range=%5E1.0.0&limit=1',
  '/v1/channels/other/manifests/%40scope%2Fname',
]
/** Those of them that tell of the life of a generation, which is left out where an answer is the same for ever (I2). */
const ALIVE = /^\/v1\/(?:head|generations)(?!.*diff)/

/** K3: a versioned name. */
const VERSIONED = [
  '/v1/channels/stable/manifests/hello/1.0.0',
  '/v1/channels/stable/files/hello/1.0.0/small.txt',
  '/v1/channels/stable/files/hello/1.0.0/deep/large%20file%20%C3%A9.bin',
  '/v1/channels/stable/files/hello/1.0.0/empty',
  '/v1/channels/other/manifests/%40scope%2Fname/0.1.0-rc.1',
]

/** What a generation is for ever. */
function withoutLife({ gid, record, generations, next }: Record<string, unknown>): object {
  if (generations === undefined) return { gid, record }
  const list = (generations as Record<string, unknown>[]).map((one) => withoutLife(one))
  return { generations: list, ...(next === undefined ? {} : { next }) }
}

function at(path: string): string {
  return path.replace('FIRST', first)
}

describe.each(CHANGING)('%s', (path) => {
  it('unpinned: revalidated always, under an ETag with the gid', async () => {
    const answer = await ask(at(path))
    expect(answer.status).toBe(200)
    expect(answer.header('cache-control')).toBe('no-cache')
    expect(answer.header('etag')).toMatch(new RegExp(`^"${head}/${SHA}"$`))
    expect(answer.header('depot-generation')).toBe(head)
    expect(answer.header('depot-head')).toBe(head)
    expect(answer.header('accept-ranges')).toBe('none')
    expect(answer.header('content-location')).toBe(ALIVE.test(path) ? undefined : `/g/${head}${at(path)}`)
    expect(answer.header('vary')).toContain('depot-min-generation, depot-exact-generation')
    expect(answer.header('repr-digest')).toBeUndefined()
  })

  it('pinned: kept for a week, under an ETag of the content', async () => {
    const answer = await ask(`/g/${head}${at(path)}`)
    expect(answer.status).toBe(200)
    expect(answer.header('cache-control')).toBe(WEEK)
    expect(answer.header('etag')).toMatch(new RegExp(`^"${SHA}"$`))
    expect(answer.header('depot-generation')).toBe(head)
    expect(answer.header('depot-head')).toBeUndefined()
    expect(answer.header('content-location')).toBeUndefined()
    expect(answer.header('vary') ?? '').not.toContain('depot')
    if (answer.header('repr-digest') !== undefined)
      expect(answer.header('repr-digest')).toBe(reprDigestOf(answer.body))
  })

  it('has the same bytes unpinned, pinned, and by header', async () => {
    const unpinned = await ask(at(path))
    const pinned = await ask(`/g/${head}${at(path)}`)
    const exact = await ask(at(path), { headers: { 'depot-exact-generation': head } })
    expect(exact.body.equals(pinned.body)).toBe(true)
    if (ALIVE.test(path)) expect(withoutLife(unpinned.json())).toEqual(pinned.json())
    else expect(pinned.body.equals(unpinned.body)).toBe(true)
  })

  it('by header: kept by no cache, for the URL is that of the head', async () => {
    const answer = await ask(at(path), { headers: { 'depot-exact-generation': head } })
    expect(answer.header('cache-control')).toBe('no-cache')
    expect(answer.header('depot-generation')).toBe(head)
    expect(answer.header('vary')).toContain('depot-exact-generation')
    expect(answer.header('content-location')).toBe(`/g/${head}${at(path)}`)
  })

  it('is never a range', async () => {
    const answer = await ask(at(path), { headers: { range: 'bytes=0-3' } })
    expect([answer.status, answer.header('content-range')]).toEqual([200, undefined])
    const pinned = await ask(`/g/${head}${at(path)}`, { headers: { range: 'bytes=0-3' } })
    expect([pinned.status, pinned.header('content-range')]).toEqual([200, undefined])
  })
})

describe.each(VERSIONED)('%s', (path) => {
  it('unpinned: revalidated always, under an ETag of the content', async () => {
    const answer = await ask(path)
    expect(answer.status).toBe(200)
    expect(answer.header('cache-control')).toBe('no-cache')
    expect(answer.header('etag')).toBe(`"sha256-${hexOf(answer.body)}"`)
    expect(answer.header('depot-generation')).toBe(head)
    expect(answer.header('depot-head')).toBe(head)
    expect(answer.header('content-location')).toBe(`/g/${head}${path}`)
    expect(answer.header('repr-digest')).toBe(reprDigestOf(answer.body))
    expect(answer.header('accept-ranges')).toBe('bytes')
  })

  it('pinned: kept for a week, under the same ETag', async () => {
    const answer = await ask(`/g/${head}${path}`)
    expect(answer.status).toBe(200)
    expect(answer.header('cache-control')).toBe(WEEK)
    expect(answer.header('etag')).toBe(`"sha256-${hexOf(answer.body)}"`)
    expect(answer.header('depot-generation')).toBe(head)
    expect(answer.header('depot-head')).toBeUndefined()
    expect(answer.header('content-location')).toBeUndefined()
    expect(answer.header('repr-digest')).toBe(reprDigestOf(answer.body))
  })
})

describe('content-addressed bytes', () => {
  it.each(Object.keys(FILES))('%s: kept for ever, true of any generation', async (name) => {
    const bytes = FILES[name] ?? SMALL
    const answer = await ask(`/o/sha256/${hexOf(bytes)}`)
    expect([answer.status, answer.body.equals(bytes)]).toEqual([200, true])
    expect(answer.header('cache-control')).toBe(FOREVER)
    expect(answer.header('etag')).toBe(`"sha256-${hexOf(bytes)}"`)
    expect(answer.header('depot-generation')).toBe('any')
    expect(answer.header('repr-digest')).toBe(reprDigestOf(bytes))
    expect(answer.header('accept-ranges')).toBe('bytes')
    expect(answer.header('content-length')).toBe(String(bytes.length))
    expect(answer.header('content-type')).toBe('application/octet-stream')
    expect(answer.header('content-encoding')).toBeUndefined()
  })

  it('are also the nodes of a tree', async () => {
    const { root } = (await ask('/v1/channels/stable')).json<{ root: string }>()
    const answer = await ask(`/o/sha256/${root.slice('sha256:'.length)}`)
    expect(answer.status).toBe(200)
    expect(hexOf(answer.body)).toBe(root.slice('sha256:'.length))
  })
})

describe('the difference of two gids', () => {
  it('is true of any generation and kept for a week', async () => {
    const answer = await ask(`/v1/generations/${first}/diff/${head}`)
    expect(answer.header('cache-control')).toBe(WEEK)
    expect(answer.header('depot-generation')).toBe('any')
    const again = await ask(`/v1/generations/${first}/diff/${head}`, {
      headers: { 'if-none-match': answer.header('etag') ?? '' },
    })
    expect([again.status, again.header('depot-generation')]).toEqual([304, 'any'])
  })

  it('of a number and a gid changes with the head', async () => {
    const answer = await ask(`/v1/generations/1/diff/${head}`)
    expect([answer.header('cache-control'), answer.header('depot-generation')]).toEqual(['no-cache', head])
  })
})

describe('under a pin', () => {
  it('nothing is newer than the pin, whatever the head is', async () => {
    const list = (await ask(`/g/${first}/v1/generations?after=99`)).json<{ generations: { gid: string }[] }>()
    expect(list.generations[0]?.gid).toBe(first)
    expect((await ask(`/g/${first}/v1/generations/head`)).json()).toMatchObject({ gid: first })
    expect((await ask(`/g/${first}/v1/head`)).json()).toMatchObject({ gid: first })
    expect((await ask(`/g/${first}/v1/head?after=${first}`)).json()).toMatchObject({ gid: first })
    expect((await ask(`/g/${first}/v1/generations/2999-01-01T00:00:00Z`)).json()).toMatchObject({
      gid: first,
    })
    expect((await ask(`/g/${first}/v1/generations/2`)).status).toBe(404)
    expect((await ask(`/g/${first}/v1/generations/${head}`)).status).toBe(404)
    expect((await ask(`/g/${first}/v1/generations/1/diff/2`)).status).toBe(404)
  })

  it('links to the next page are pinned, and lead through everything', async () => {
    const numbers: number[] = []
    for (let path: string | undefined = '/v1/generations?limit=1'; path !== undefined; ) {
      const answer = await ask(path)
      const page = answer.json<{ generations: { record: { number: number } }[]; next?: string }>()
      numbers.push(...page.generations.map(({ record }) => record.number))
      if (page.next !== undefined) expect(page.next).toMatch(new RegExp(`^/g/${head}/`))
      path = page.next
    }
    expect(numbers).toEqual([3, 2, 1, 0])
  })
})

describe('a refusal', () => {
  it.each([
    ['an absent channel', '/v1/channels/none'],
    ['an absent release', '/v1/channels/stable/manifests/none'],
    ['an absent version', '/v1/channels/stable/manifests/hello/9.9.9'],
    ['an absent file', '/v1/channels/stable/files/hello/1.0.0/none'],
    ['an absent generation', '/v1/generations/99'],
  ])('of %s is kept for minutes under a pin, and not at all without', async (_, path) => {
    const unpinned = await ask(path)
    expect([unpinned.status, unpinned.header('cache-control')]).toEqual([404, 'no-store'])
    expect(unpinned.header('depot-generation')).toBe(head)
    const pinned = await ask(`/g/${first}${path}`)
    expect([pinned.status, pinned.header('cache-control')]).toEqual([404, 'public, max-age=300'])
    expect(pinned.header('depot-generation')).toBe(first)
    expect(pinned.json()).toMatchObject({ generation: first })
    const exact = await ask(path, { headers: { 'depot-exact-generation': first } })
    expect([exact.status, exact.header('cache-control')]).toEqual([404, 'no-store'])
    expect(exact.header('depot-generation')).toBe(first)
  })

  it('of what came after the pin says that it is true for the pin (I7)', async () => {
    const answer = await ask(`/g/${first}/v1/channels/stable/manifests/hello/1.1.0`)
    expect([answer.status, answer.header('depot-generation')]).toEqual([404, first])
  })

  it('of a URL that is none is kept by nobody', async () => {
    expect((await ask(`/g/${first}/nowhere`)).header('cache-control')).toBe('no-store')
    expect((await ask('/nowhere')).header('cache-control')).toBe('no-store')
  })

  it('of absent bytes is true for the head, and kept by nobody', async () => {
    const answer = await ask(`/o/sha256/${'1'.repeat(64)}`)
    expect(answer.header('cache-control')).toBe('no-store')
    expect(answer.header('depot-generation')).toBe(head)
  })

  it('of a generation that nobody was given is kept by nobody', async () => {
    const other = head.replace(/.{4}$/, (end) => (end === '0000' ? '1111' : '0000'))
    const answer = await ask(`/g/${other}/v1/head`)
    expect([answer.status, answer.problem]).toEqual([404, 'generation-unknown'])
    expect(answer.header('cache-control')).toBe('no-store')
  })

  it('of a generation that cannot come back is kept for an hour', async () => {
    const error = failure('generation-lost', { wanted: first, generation: head, floor: false })
    await using server = fastify()
    server.get('/g/:gid/v1/head', (request, reply) =>
      answerProblem(request, reply, { error, head, closedReads: false }),
    )
    const answer = await server.inject(`/g/${first}/v1/head`)
    expect([answer.statusCode, answer.headers['cache-control']]).toEqual([410, 'public, max-age=3600'])
  })
})

describe('HEAD', () => {
  it.each([
    ...CHANGING,
    ...VERSIONED,
    ...CHANGING.map((path) => `/g/HEAD${path}`),
    ...VERSIONED.map((path) => `/g/HEAD${path}`),
    `/o/sha256/${hexOf(SMALL)}`,
    '/livez',
    '/v1/openapi.json',
    '/v1/stages',
    '/v1/channels/none',
  ])('of %s has the headers of GET, and no body (I25)', async (path) => {
    const url = at(path).replace('/g/HEAD', `/g/${head}`)
    const [get, answer] = [await ask(url), await ask(url, { method: 'HEAD' })]
    expect(answer.body.length).toBe(0)
    expect(answer.status).toBe(get.status)
    const names = ['depot-generation', 'depot-head', 'etag', 'cache-control', 'content-type', 'vary']
    names.push('content-location', 'accept-ranges', 'repr-digest', 'content-encoding')
    // The instance of a problem differs from request to request, and with it may its length.
    if (get.status < 400 && get.header('content-length') !== undefined) names.push('content-length')
    for (const name of names) expect([name, answer.header(name)]).toEqual([name, get.header(name)])
  })

  it('ignores a range, as it must', async () => {
    const answer = await ask(`/o/sha256/${hexOf(SMALL)}`, { method: 'HEAD', headers: { range: 'bytes=0-1' } })
    expect([answer.status, answer.header('content-length')]).toEqual([200, String(SMALL.length)])
  })
})

describe('If-None-Match', () => {
  it.each([
    ...CHANGING,
    ...VERSIONED,
    ...VERSIONED.map((path) => `/g/HEAD${path}`),
    `/o/sha256/${hexOf(SMALL)}`,
  ])('with the ETag of %s gets 304 with the same headers', async (path) => {
    const url = at(path).replace('/g/HEAD', `/g/${head}`)
    const get = await ask(url)
    const etag = get.header('etag') ?? ''
    for (const candidate of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
      const answer = await ask(url, { headers: { 'if-none-match': candidate } })
      expect([candidate, answer.status]).toEqual([candidate, 304])
      for (const name of ['etag', 'cache-control', 'depot-generation', 'content-location', 'vary'])
        expect([name, answer.header(name)]).toEqual([name, get.header(name)])
    }
    expect((await ask(url, { headers: { 'if-none-match': '"another"' } })).status).toBe(200)
  })

  it('never crosses generations where the gid stands in the ETag, and does where it does not (I23)', async () => {
    await using own = await readFixture()
    const urls = { list: '/v1/channels/stable', manifest: '/v1/channels/stable/manifests/hello/1.0.0' }
    const before = { list: await own.ask(urls.list), manifest: await own.ask(urls.manifest) }
    const { gid } = await publish(own.depot.client, { channel: 'other', name: 'news', version: '1.0.0' })
    const list = await own.ask(urls.list, { headers: { 'if-none-match': before.list.header('etag') ?? '' } })
    expect([list.status, list.header('depot-generation')]).toEqual([200, gid])
    expect(list.body.equals(before.list.body)).toBe(true)
    const manifest = await own.ask(urls.manifest, {
      headers: { 'if-none-match': before.manifest.header('etag') ?? '' },
    })
    expect([manifest.status, manifest.header('depot-generation')]).toEqual([304, gid])
  })
})

describe('a depot whose reads are closed', () => {
  it('lets no shared cache keep anything', async () => {
    await using closed = await readFixture({ reads: 'token' })
    const [{ gid }] = closed.generations
    const cache = async (path: string): Promise<string | undefined> =>
      (await closed.ask(path)).header('cache-control')
    expect(await cache('/v1/channels')).toBe('private, no-cache')
    expect(await cache('/v1/channels/stable/manifests/hello/1.0.0')).toBe('private, no-cache')
    expect(await cache(`/g/${gid}/v1/channels`)).toBe(WEEK.replace('public', 'private'))
    expect(await cache(`/o/sha256/${hexOf(SMALL)}`)).toBe(FOREVER.replace('public', 'private'))
    expect(await cache(`/g/${gid}/v1/channels/none`)).toBe('private, max-age=300')
  })

  it('answers nobody without a token, not even what it has at hand', async () => {
    await using closed = await readFixture({ reads: 'token' })
    const [{ gid }] = closed.generations
    const anybody = asking({ url: closed.depot.url, token: '' })
    for (const path of [
      '/v1/head',
      '/v1/channels',
      `/g/${gid}/v1/channels/stable/files/hello/1.0.0/small.txt`,
    ]) {
      expect((await closed.ask(path)).status).toBe(200)
      const refused = await anybody(path, { headers: { authorization: '' } })
      expect([path, refused.status, refused.problem]).toEqual([path, 401, 'unauthorised'])
      expect(refused.header('www-authenticate')).toMatch(/^Bearer/)
    }
    const object = await anybody(`/o/sha256/${hexOf(SMALL)}`, { headers: { authorization: '' } })
    expect(object.status).toBe(401)
  })
})
