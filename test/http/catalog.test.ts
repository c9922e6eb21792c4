/**
 * The catalog as it goes over the wire: straight from the stored segments as one gzip member, or inflated, of any
 * size; and `since`, which gives only what changed.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Manifest } from '../../src/client/index.ts'
import { publish } from '../support/publish.ts'
import { rawConnection } from '../support/raw-socket.ts'
import { runningDepot, type TestDepot } from '../support/running-depot.ts'
import { type Asking, asking, expectWellFormed } from './well-formed.ts'

const run = promisify(execFile)
const MANY = 20_000

let depot: TestDepot
let ask: Asking
let base = ''

beforeAll(async () => {
  depot = await runningDepot()
  ask = asking(depot)
  base = (await publish(depot.client, { name: 'hello', version: '1.0.0' })).gid
  const staging = await depot.client.openStage()
  await staging.putAll('large', manifests(MANY))
  await staging.setChannel('empty', {})
  await staging.commit()
})
afterAll(async () => {
  await depot[Symbol.asyncDispose]()
})

/** Their summaries do not compress well, so that the catalog has many pieces. */
function* manifests(count: number): Generator<Manifest> {
  for (let at = 0; at < count; at += 1) {
    const summary = createHash('sha512').update(String(at)).digest('base64')
    yield { name: `package-${at}`, version: '1.0.0', summary, files: [] } as unknown as Manifest
  }
}

const CATALOGS = [
  ['large', '/v1/channels/large/catalog', MANY],
  ['stable', '/v1/channels/stable/catalog', 1],
  ['empty', '/v1/channels/empty/catalog', 0],
] as const

describe.each(CATALOGS)('the %s catalog', (channel, path, count) => {
  it('is plain NDJSON, one release a line, in the order of the tree', async () => {
    const answer = await ask(path)
    expect(answer.header('content-type')).toBe('application/x-ndjson')
    expect(answer.header('content-encoding')).toBeUndefined()
    expect(answer.header('content-length')).toBe(String(answer.body.length))
    const names = answer.lines<{ name: string }>().map(({ name }) => name)
    expect(names.length).toBe(count)
    const sorted = [...names].sort((a, b) => Buffer.compare(Buffer.from(`${a}\0`), Buffer.from(`${b}\0`)))
    expect(names).toEqual(sorted)
    expect((await ask(`/v1/channels/${channel}`)).json()).toMatchObject({
      releases: count,
      bytes: answer.body.length,
    })
  })

  it('is the same bytes as gzip, in one member', async () => {
    const plain = await ask(path)
    const gzipped = await ask(path, { headers: { 'accept-encoding': 'gzip' } })
    expect(gzipped.header('content-encoding')).toBe('gzip')
    expect(gzipped.header('content-type')).toBe('application/x-ndjson')
    // Stops at the end of the first member, as browsers do.
    const { engine, buffer } = gunzipSync(gzipped.body, { info: true } as object) as unknown as {
      buffer: Buffer
      engine: { bytesWritten: number }
    }
    expect(buffer.equals(plain.body)).toBe(true)
    expect(engine.bytesWritten).toBe(gzipped.body.length)
  })

  it('is read by curl and by gunzip', async () => {
    const plain = await ask(path)
    const options = { encoding: 'buffer', maxBuffer: 64 * 1024 * 1024 } as const
    const curled = await run('curl', ['-sS', '--fail', '--compressed', depot.url + path], options)
    expect(curled.stdout.equals(plain.body)).toBe(true)
    const script = `curl -sS -H 'Accept-Encoding: gzip' '${depot.url}${path}' | gunzip -c`
    const unzipped = await run('sh', ['-c', script], options)
    expect(unzipped.stdout.equals(plain.body)).toBe(true)
    expect(unzipped.stderr.toString()).toBe('')
  })

  it('has an ETag for each form, both of its root', async () => {
    const { root } = (await ask(`/v1/channels/${channel}`)).json<{ root: string }>()
    const hex = root.slice('sha256:'.length)
    const gid = (await ask('/v1/head')).json<{ gid: string }>().gid
    const etag = async (url: string, encoding: string): Promise<string | undefined> => {
      const answer = await ask(url, { headers: { 'accept-encoding': encoding } })
      expect(answer.header('vary')).toContain('accept-encoding')
      expect(answer.header('repr-digest')).toBeUndefined()
      return answer.header('etag')
    }
    expect(await etag(path, 'identity')).toBe(`"${gid}/sha256-${hex}"`)
    expect(await etag(path, 'gzip')).toBe(`"${gid}/sha256-${hex};gzip"`)
    expect(await etag(`/g/${gid}${path}`, 'identity')).toBe(`"sha256-${hex}"`)
    expect(await etag(`/g/${gid}${path}`, 'gzip')).toBe(`"sha256-${hex};gzip"`)
  })

  it('is 304 only for the form that is asked for', async () => {
    const gzip = await ask(path, { headers: { 'accept-encoding': 'gzip' } })
    const etag = gzip.header('etag') ?? ''
    const same = await ask(path, { headers: { 'accept-encoding': 'gzip', 'if-none-match': etag } })
    expect([same.status, same.header('etag')]).toEqual([304, etag])
    expect((await ask(path, { headers: { 'if-none-match': etag } })).status).toBe(200)
  })

  it('has no range in either form', async () => {
    for (const encoding of ['identity', 'gzip']) {
      const headers = { range: 'bytes=0-1', 'accept-encoding': encoding }
      const answer = await ask(path, { headers })
      expect([answer.status, answer.header('accept-ranges')]).toEqual([200, 'none'])
    }
  })
})

describe('Accept-Encoding', () => {
  it.each([
    [undefined, undefined],
    ['', undefined],
    ['gzip', 'gzip'],
    ['GZip', 'gzip'],
    ['br, gzip;q=0.5', 'gzip'],
    ['*', 'gzip'],
    ['gzip;q=0', undefined],
    ['*;q=0', undefined],
    ['gzip;q=0, *', undefined],
    ['br', undefined],
  ])('%s gives %s', async (accepted, encoding) => {
    const headers = accepted === undefined ? {} : { 'accept-encoding': accepted }
    const answer = await ask('/v1/channels/stable/catalog', { headers })
    expect(answer.header('content-encoding')).toBe(encoding)
  })
})

describe('a client that reads slowly', () => {
  it('gets a whole catalog although the head moves meanwhile', async () => {
    const whole = await ask('/v1/channels/large/catalog')
    await using connection = await rawConnection(depot.url)
    connection.socket.pause()
    connection.send('GET /v1/channels/large/catalog HTTP/1.1\r\nHost: x\r\n\r\n')
    const next = await publish(depot.client, { channel: 'large', name: 'zzz', version: '1.0.0' })
    connection.socket.resume()
    const answer = await connection.answer()
    expectWellFormed(answer, 'a slow catalog')
    expect(answer.header('depot-generation')).not.toBe(next.gid)
    expect(answer.body.equals(whole.body)).toBe(true)
  })

  it('does not hold anything when it goes away', async () => {
    await using other = await runningDepot()
    const staging = await other.client.openStage()
    await staging.putAll('large', manifests(2_000))
    await staging.commit()
    for (let round = 0; round < 5; round += 1) {
      await using connection = await rawConnection(other.url)
      connection.socket.pause()
      connection.send('GET /v1/channels/large/catalog HTTP/1.1\r\nHost: x\r\n\r\n')
    }
    const begun = performance.now()
    await other.running.close('SIGINT')
    expect(performance.now() - begun).toBeLessThan(5_000)
  })
})

describe('since', () => {
  it('gives what changed, in the order of keys, and leads from the one catalog to the other', async () => {
    const own = await runningDepot()
    const asked = asking(own)
    const path = '/v1/channels/stable/catalog'
    const before = await publish(own.client, { name: 'a', version: '1.0.0' }, { name: 'c', version: '1.0.0' })
    const old = await asked(path)
    const staging = await own.client.openStage()
    await staging.remove('stable', 'a', '1.0.0')
    await staging.mark('stable', 'c', '1.0.0', { status: 'yanked', reason: 'it bites' })
    await staging.putAll('stable', [{ name: 'b', version: '2.0.0', files: [] } as unknown as Manifest])
    await staging.commit()
    const since = await asked(`${path}?since=${before.gid}`)
    expect(since.header('content-type')).toBe('application/x-ndjson')
    const lines = since.lines<{ op: string; name: string; status?: string; was?: string }>()
    expect(lines.map(({ op, name }) => [op, name])).toEqual([
      ['removed', 'a'],
      ['added', 'b'],
      ['changed', 'c'],
    ])
    expect(lines[2]).toMatchObject({ status: 'yanked', reason: 'it bites' })
    expect(lines[2]?.was).toBeUndefined()
    expect(applied(old.lines(), lines)).toEqual((await asked(path)).lines())
    expect((await asked(`${path}?since=${(await own.client.head()).gid}`)).text).toBe('')
    await own[Symbol.asyncDispose]()
  })

  it('of a generation before the channel was there gives all of it', async () => {
    const g0 = (await ask('/v1/generations/0')).json<{ gid: string }>().gid
    const lines = (await ask(`/v1/channels/stable/catalog?since=${g0}`)).lines<{ op: string }>()
    expect(lines.map(({ op }) => op)).toEqual(['added'])
  })

  it('of an unknown or foreign gid is 410: take all', async () => {
    for (const since of ['g1.aaaaaaaaaaaa.0123456789abcdef', base.replace(/^g1/, 'g99')]) {
      const answer = await ask(`/v1/channels/stable/catalog?since=${since}`)
      expect([answer.status, answer.problem]).toEqual([410, 'generation-lost'])
    }
  })

  it('of what is no gid is 400', async () => {
    for (const since of ['1', 'head', '', `${base}x`]) {
      const answer = await ask(`/v1/channels/stable/catalog?since=${since}`)
      expect([since, answer.status]).toEqual([since, 400])
    }
  })
})

/** The lines of a catalog with the changes applied. */
function applied(old: readonly object[], changes: readonly object[]): readonly object[] {
  const keyOf = ({ name, version }: { name?: string; version?: string }): string => `${name}\0${version}`
  const lines = new Map(old.map((line) => [keyOf(line), line]))
  for (const change of changes) {
    const { op, was: _, ...line } = change as { op: string; was?: string }
    if (op === 'removed') lines.delete(keyOf(line))
    else lines.set(keyOf(line), line)
  }
  return [...lines.entries()]
    .sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    .map(([, line]) => line)
}
