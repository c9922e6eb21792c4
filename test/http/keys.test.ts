/** The keys of a depot over HTTP: for everybody to read, for admins to change, and never a private one. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Generation } from '../../src/model/generation.ts'
import { encodeRecord } from '../../src/model/generation.ts'
import { demandSigned } from '../../src/model/keys/signed.ts'
import { trustIn } from '../../src/model/keys/trust.ts'
import { type KeysBody, ringIn } from '../../src/wire/keys.ts'
import { type Engine, engine, published } from '../depot/an-engine.ts'
import type { Answer } from '../support/exchange.ts'
import { faceOver, type TestFace } from './a-face.ts'
import { type Asking, asking } from './well-formed.ts'

const COPIED = '/v1/replication/keys'

let at: Engine
let face: TestFace
let ask: Asking

beforeEach(async () => {
  at = await engine()
  face = await faceOver(at, {}, {}, { closedReads: true })
  ask = asking(face)
})
afterEach(async () => {
  await face[Symbol.asyncDispose]()
  await at[Symbol.asyncDispose]()
})

async function keys(): Promise<KeysBody> {
  return (await ask('/v1/keys')).json() as KeysBody
}

async function rotate(current: string): Promise<Answer> {
  return await ask('/v1/keys', {
    method: 'POST',
    body: JSON.stringify({ current }),
    headers: { 'content-type': 'application/json' },
  })
}

describe('the keys', () => {
  it('are told to everybody, also where reading needs a token, and are never stored by a cache', async () => {
    const answer = await asking({ url: face.url, token: '' })('/v1/keys', { headers: { authorization: '' } })
    expect([answer.status, answer.header('cache-control')]).toEqual([200, 'no-store'])
    const body = answer.json() as KeysBody
    expect(body.keys).toEqual([expect.objectContaining({ id: body.current, state: 'current' })])
    expect(answer.header('depot-generation')).toBe(at.depot.head.now().gid)
  })

  it('check every generation that is told, in whichever way', async () => {
    const generation = await published(at, { version: '1.0.0' })
    const trust = await trustIn(ringIn(await keys()), at.depot.keys.view()!.pinned)
    const replicate = await at.depot.access.create({ label: 'r1', scopes: ['replicate'] })
    const node = asking({ url: face.url, token: replicate.secret })
    const list = (await ask('/v1/generations')).json() as { generations: Generation[] }
    const log = (await node('/v1/replication/log')).lines<Generation>()
    const one = (await ask(`/v1/generations/${generation.gid}`)).json() as Generation
    const head = (await ask('/v1/head')).json() as Generation
    expect([list.generations.length, log.length]).toEqual([2, 2])
    for (const told of [...list.generations, ...log, one, head])
      demandSigned({ ...told, bytes: encodeRecord(told.record) }, trust)
    // Under a pin an answer is the same for ever, and who signs may change.
    expect((await ask(`/g/${generation.gid}/v1/head`)).json()).not.toHaveProperty('signatures')
  })

  it('are rotated once by whoever asks twice, and retired', async () => {
    const { current: old } = await keys()
    const first = await rotate(old)
    expect(first.status).toBe(201)
    const { current } = first.json() as KeysBody
    expect(first.header('location')).toBe(`/v1/keys/${current}`)
    const again = await rotate(old)
    expect([again.status, (again.json() as KeysBody).current]).toEqual([200, current])
    expect((await keys()).keys.map(({ state }) => state)).toEqual(['retiring', 'current'])
    const retired = await ask(`/v1/keys/${old}`, { method: 'DELETE' })
    expect([retired.status, (retired.json() as KeysBody).keys[0]?.state]).toEqual([200, 'retired'])
    expect((await ask(`/v1/keys/${current}`, { method: 'DELETE' })).status).toBe(400)
    expect((await ask(`/v1/keys/k${'0'.repeat(32)}`, { method: 'DELETE' })).status).toBe(404)
    expect((await rotate('nonsense')).status).toBe(400)
  })

  it('are changed by nobody but an admin', async () => {
    const { current } = await keys()
    const publisher = await at.depot.access.create({ label: 'ci', scopes: ['publish:*'] })
    for (const token of [publisher.secret, 'depot_nobody']) {
      const other = asking({ url: face.url, token })
      const body = JSON.stringify({ current })
      const headers = { 'content-type': 'application/json' }
      expect([401, 403]).toContain((await other('/v1/keys', { method: 'POST', body, headers })).status)
      expect([401, 403]).toContain((await other(`/v1/keys/${current}`, { method: 'DELETE' })).status)
    }
    expect((await keys()).keys.length).toBe(1)
  })

  it('are told to a node as soon as they are others, and to nobody else', async () => {
    const { secret } = await at.depot.access.create({ label: 'r1', scopes: ['replicate'] })
    const node = asking({ url: face.url, token: secret })
    const { edition, current } = (await node(COPIED)).json() as KeysBody
    expect((await node(`${COPIED}?after=${edition}`)).status).toBe(304)
    const waits = node(`${COPIED}?after=${edition}`, { headers: { prefer: 'wait=20' } })
    await rotate(current)
    const answer = await waits
    expect([answer.status, (answer.json() as KeysBody).keys.length]).toEqual([200, 2])
    expect([401, 403]).toContain((await ask(COPIED)).status)
  })
})
