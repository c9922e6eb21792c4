/**
 * The two ways out over the API: for administrators, at the origin whoever is asked, and with a clear end however they
 * end. The whole drill is `story/restore-drill.test.ts`.
 */
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { takeOver } from '../../src/app/lineage/takeover.ts'
import type { Generation } from '../../src/model/generation.ts'
import { openedLedger } from '../ledger/a-ledger.ts'
import { publish } from '../support/publish.ts'
import { runningDepot, type TestDepot } from '../support/running-depot.ts'
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts'

let folder: TemporaryFolder
let origin: TestDepot
let nodeToken: string

beforeEach(async () => {
  folder = await temporaryFolder()
  origin = await runningDepot({ data: join(folder.path, 'origin') })
  nodeToken = (await origin.client.createToken({ label: 'nodes', scopes: ['replicate'] })).token
})
afterEach(async () => {
  await origin[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

async function committed(version: string): Promise<Generation> {
  return await publish(origin.client, { name: 'hello', version })
}

interface Line {
  readonly kind: string
  readonly type?: string
  readonly gid?: string
  readonly changed?: boolean
}

/** The status, and the last line or the problem. */
async function adopted(at: TestDepot, body: object): Promise<readonly [number, Line]> {
  const answer = await at.ask('/v1/adopt', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const lines = (await answer.text()).trimEnd().split('\n')
  return [answer.status, JSON.parse(lines.at(-1) ?? '') as Line]
}

/** The depot as it was once, and a later moment of it that answers like a replica: only it has what came since. */
async function rolledBack(): Promise<{ readonly old: TestDepot; readonly newest: Generation }> {
  await committed('1.0.0')
  const data = join(folder.path, 'old')
  await origin.running.close()
  await cp(join(folder.path, 'origin'), data, { recursive: true })
  origin = await runningDepot({ data: join(folder.path, 'origin') })
  await committed('2.0.0')
  const newest = await committed('3.0.0')
  return { old: await runningDepot({ data }), newest }
}

describe('an adoption', () => {
  it('brings back what only the other one has, and then has nothing to do', async () => {
    const { old, newest } = await rolledBack()
    await using _ = old
    const body = { from: origin.url, token: nodeToken }
    expect(await adopted(old, body)).toEqual([200, { kind: 'done', gid: newest.gid, changed: true }])
    expect(await old.client.head()).toEqual(newest)
    const next = await publish(old.client, { name: 'hello', version: '4.0.0' })
    expect(next.record.parent).toBe(newest.gid)
    // The other one has less now: nobody goes back to it.
    expect((await adopted(old, body))[1].type).toBe('/problems/origin-diverged')
    expect(await old.client.head()).toEqual(next)
  })

  it('is refused where the other history is one of another depot, or nobody is there', async () => {
    await using other = await runningDepot()
    await publish(other.client, { name: 'other', version: '1.0.0' })
    const { token } = await other.client.createToken({ label: 'nodes', scopes: ['replicate'] })
    const before = await origin.client.head()
    const typeOf = async (body: object): Promise<unknown> => (await adopted(origin, body))[1].type
    expect(await typeOf({ from: other.url, token })).toBe('/problems/lineage-foreign')
    expect(await typeOf({ from: other.url, token: 'nonsense' })).toBe('/problems/unauthorised')
    expect(await typeOf({ from: 'http://127.0.0.1:1', token })).toBe('/problems/origin-unreachable')
    expect(await typeOf({ from: 'ftp://127.0.0.1', token })).toBe('/problems/bad-request')
    expect(await typeOf({})).toBe('/problems/bad-request')
    expect(await origin.client.head()).toEqual(before)
  })

  it('takes nothing from a node that has begun another lineage: that one is the origin then', async () => {
    await committed('1.0.0')
    await origin.running.close()
    const data = join(folder.path, 'taken')
    await cp(join(folder.path, 'origin'), data, { recursive: true })
    await takeOver(data, { warn: () => undefined })
    await using successor = await runningDepot({ data })
    origin = await runningDepot({ data: join(folder.path, 'origin') })
    const before = await origin.client.head()
    const [, line] = await adopted(origin, { from: successor.url, token: nodeToken })
    expect(line.type).toBe('/problems/origin-superseded')
    expect(await origin.client.head()).toEqual(before)
  })

  it('from itself vouches for nothing', async () => {
    await origin.running.close()
    const ledger = await openedLedger(join(folder.path, 'origin'))
    await ledger.notes.write('restored', 'same')
    await ledger[Symbol.asyncDispose]()
    origin = await runningDepot({ data: join(folder.path, 'origin') })
    const [status, line] = await adopted(origin, { from: origin.url, token: nodeToken })
    expect([status, line]).toEqual([200, { kind: 'done', gid: line.gid, changed: false }])
    expect(await unsureOf(origin)).toBe('unverified')
  })

  it('refuses a node that lets nobody copy from it', async () => {
    const { old } = await rolledBack()
    await using _ = old
    const before = await old.client.head()
    const [, line] = await adopted(old, { from: origin.url, token: 'nonsense' })
    expect(line.type).toBe('/problems/unauthorised')
    expect(await old.client.head()).toEqual(before)
  })
})

describe('a fork', () => {
  it('goes on from the head with the next thousand, and everything is there', async () => {
    const before = await committed('1.0.0')
    const answer = await origin.ask('/v1/fork', { method: 'POST' })
    const forked = (await answer.json()) as Generation
    expect([answer.status, answer.headers.get('depot-generation')]).toEqual([201, forked.gid])
    expect(forked.record).toMatchObject({ number: 1_000, parent: before.gid, publisher: 'admin' })
    expect(await origin.client.head()).toEqual(forked)
    const again = (await (await origin.ask('/v1/fork', { method: 'POST' })).json()) as Generation
    expect(again.record).toMatchObject({ number: 2_000, parent: forked.gid })
    expect((await committed('2.0.0')).record.number).toBe(2_001)
    // Whoever reads by what was there before goes on.
    for (const gid of [before.gid, forked.gid])
      expect((await origin.ask(`/g/${gid}/v1/channels/stable/manifests/hello/1.0.0`)).status).toBe(200)
  })
})

describe('both', () => {
  it.each(['/v1/fork', '/v1/adopt'])('are for administrators: POST %s', async (path) => {
    const before = await origin.client.head()
    const { token } = await origin.client.createToken({ label: 'p', scopes: ['publish:*', 'promote:*'] })
    const headers = { 'content-type': 'application/json' }
    const body = JSON.stringify({ from: origin.url })
    const asked = async (authorization: Record<string, string>): Promise<number> =>
      (await fetch(origin.url + path, { method: 'POST', headers: { ...headers, ...authorization }, body }))
        .status
    expect(await asked({})).toBe(401)
    for (const secret of [token, nodeToken])
      expect(await asked({ authorization: `Bearer ${secret}` })).toBe(403)
    expect(await origin.client.head()).toEqual(before)
  })
})

describe('an origin that was replaced while it was away', () => {
  it('asks who followed it where they are, and learns that its time is over (I34)', async () => {
    const last = await committed('1.0.0')
    const replaced = join(folder.path, 'r1')
    await origin.running.close()
    await cp(join(folder.path, 'origin'), replaced, { recursive: true })
    await takeOver(replaced, { warn: () => undefined })
    await using next = await runningDepot({ data: replaced })
    await publish(next.client, { name: 'hello', version: '2.0.0' })
    const newest = await publish(next.client, { name: 'hello', version: '3.0.0' })

    origin = await runningDepot({ data: join(folder.path, 'origin') })
    // As r1 told it before, when it followed this one.
    const before = await origin.client.nodes()
    expect(before.nodes).toEqual([])
    const told = { role: 'replica', state: 'fresh', head: last.gid, known: last.gid, publicUrl: next.url }
    const beat = await fetch(`${origin.url}/v1/nodes/r1/heartbeat`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${nodeToken}` },
      body: JSON.stringify(told),
    })
    expect(beat.status).toBe(200)
    await origin.running.close()

    origin = await runningDepot({ data: join(folder.path, 'origin') })
    await expect.poll(async () => await unsureOf(origin), { timeout: 20_000 }).toBe('superseded')
    const refused = await committed('4.0.0').catch((error: Error) => error)
    expect(refused).toMatchObject({
      code: 'origin-superseded',
      details: { generation: last.gid, seen: newest.gid },
    })
    expect((await origin.ask('/readyz')).status).toBe(503)
    expect((await origin.ask('/v1/head')).headers.get('depot-node')).toContain('why=origin-superseded')
  })
})

/** The reason for which it commits nothing, as its metrics say. */
async function unsureOf(at: TestDepot): Promise<string | undefined> {
  const text = await (await at.ask('/metrics')).text()
  return /^depot_origin_unsure\{reason="(\w+)"\} 1$/m.exec(text)?.[1]
}
