/**
 * The nodes that follow: each is known by its heartbeats, for as long as they come, and learns of the others.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/model/limits.ts'
import type { NodesBody } from '../../src/wire/replication.ts'
import { type Engine, engine, published } from '../depot/an-engine.ts'
import type { Answer } from '../support/exchange.ts'
import { faceOver, type TestFace } from './a-face.ts'
import { type Asking, asking } from './well-formed.ts'

let at: Engine
let face: TestFace
let ask: Asking

beforeEach(async () => {
  at = await engine()
  face = await faceOver(at)
  const { secret } = await at.depot.access.create({ label: 'r', scopes: ['replicate'] })
  ask = asking({ url: face.url, token: secret })
})
afterEach(async () => {
  await face[Symbol.asyncDispose]()
  await at[Symbol.asyncDispose]()
})

function report(more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const { gid } = at.depot.head.now()
  return { role: 'replica', state: 'fresh', head: gid, known: gid, ...more }
}

async function beat(id: string, body: unknown = report()): Promise<Answer> {
  const headers = { 'content-type': 'application/json' }
  return await ask(`/v1/nodes/${id}/heartbeat`, { method: 'POST', headers, body: JSON.stringify(body) })
}

function nodesIn(answer: Answer): NodesBody['nodes'] {
  expect(answer.status).toBe(200)
  return answer.json<NodesBody & Record<string, unknown>>().nodes
}

describe('a heartbeat', () => {
  it('tells of a node, and is answered by the head and all nodes', async () => {
    const { gid } = await published(at, { name: 'hello' })
    const progress = { gid, done: 3, total: 7 }
    const one = report({
      state: 'lag',
      known: gid,
      publicUrl: 'https://r1.example/depot/',
      lagSeconds: 1.5,
      progress,
    })
    expect((await beat('r1', one)).json()['head']).toBe(gid)
    at.clock.advance(400)
    const answer = await beat('r2', report({ role: 'edge', state: 'boot', head: null, known: null }))
    expect(answer.header('cache-control')).toBe('private, no-store')
    expect(nodesIn(answer)).toEqual([
      { ...one, id: 'r1', publicUrl: 'https://r1.example/depot', seenMsAgo: 400 },
      { id: 'r2', role: 'edge', state: 'boot', head: null, known: null, seenMsAgo: 0 },
    ])
  })

  it('takes the place of the one before', async () => {
    await beat('r1', report({ lagSeconds: 3, publicUrl: 'http://r1:8080' }))
    const answer = await beat('r1', report({ state: 'drain' }))
    expect(nodesIn(answer)).toEqual([expect.objectContaining({ id: 'r1', state: 'drain' })])
    expect(nodesIn(answer)[0]).not.toHaveProperty('publicUrl')
  })

  it('may say more than is known here, which is let pass and forgotten', async () => {
    const progress = { gid: at.depot.head.now().gid, done: 1, bytes: 5 }
    const answer = await beat('r1', report({ votes: ['x'], progress }))
    expect(nodesIn(answer)[0]).not.toHaveProperty('votes')
    expect(nodesIn(answer)[0]?.progress).toEqual({ gid: at.depot.head.now().gid, done: 1 })
  })

  it.each<[string, string, Readonly<Record<string, unknown>>]>([
    ['an id with a space', 'a%20b', {}],
    ['an id in capitals', 'R1', {}],
    ['an id that ends with a point', 'r1.', {}],
    ['an id that is too long', 'r'.repeat(65), {}],
    ['an id that is a header', 'r1%0d%0ax:y', {}],
    ['another role', 'r1', { role: 'origin' }],
    ['another state', 'r1', { state: 'well' }],
    ['a head that is no gid', 'r1', { head: 'g1' }],
    ['no head at all', 'r1', { head: undefined }],
    ['a lag before the present', 'r1', { lagSeconds: -1 }],
    ['an address of something else', 'r1', { publicUrl: 'ftp://r1' }],
    ['an address with a password', 'r1', { publicUrl: 'http://a:b@r1' }],
    ['an address with a query', 'r1', { publicUrl: 'http://r1/?x' }],
    ['an address that is none', 'r1', { publicUrl: 'r1' }],
    ['an address that is too long', 'r1', { publicUrl: `http://r1/${'x'.repeat(LIMITS.urlBytes)}` }],
    // Each of these takes twelve bytes in a URL.
    ['an address that grows too long', 'r1', { publicUrl: `http://r1/${'\u{1f600}'.repeat(171)}` }],
    ['progress of nothing', 'r1', { progress: { done: 1 } }],
  ])('is refused for %s', async (_, id, more) => {
    expect((await beat(id, report(more))).status).toBe(400)
    expect(at.depot.roster.nodes()).toEqual([])
  })

  it('keeps no more nodes than there may be, and lets those in whose turn it is', async () => {
    for (let of = 0; of < LIMITS.nodes; of += 1) at.depot.roster.hear(`n${of}`, report() as never)
    const refused = await beat('one-more')
    expect([refused.status, refused.problem]).toEqual([413, 'limit-exceeded'])
    expect(nodesIn(await beat('n7'))).toHaveLength(LIMITS.nodes)
    at.clock.advance(LIMITS.nodeForgetMs - 1)
    await beat('n7')
    at.clock.advance(2)
    expect(nodesIn(await beat('one-more')).map(({ id }) => id)).toEqual(['n7', 'one-more'])
  })
})

describe('a node that leaves', () => {
  it('is forgotten at once, and comes back with its next heartbeat', async () => {
    await beat('r1')
    await beat('r2')
    const left = await leave('r1')
    expect([left.status, left.header('cache-control')]).toEqual([204, 'private, no-store'])
    expect(at.depot.roster.nodes().map(({ id }) => id)).toEqual(['r2'])
    expect((await leave('r1')).status).toBe(204)
    expect(nodesIn(await beat('r1'))).toHaveLength(2)
  })

  it('leaves as one process: another one under the same id stays', async () => {
    await beat('r1', report({ instance: 'new' }))
    expect((await leave('r1', { instance: 'old' })).status).toBe(204)
    expect(at.depot.roster.nodes()).toHaveLength(1)
    expect((await leave('r1', { instance: 'new' })).status).toBe(204)
    expect(at.depot.roster.nodes()).toEqual([])
  })

  it('is refused without the scope, or when nobody has such an id', async () => {
    await beat('r1')
    expect((await leave('R1')).status).toBe(400)
    const { secret } = await at.depot.access.create({ label: 'p', scopes: ['publish:stable'] })
    ask = asking({ url: face.url, token: secret })
    expect((await leave('r1')).status).toBe(403)
    expect(at.depot.roster.nodes()).toHaveLength(1)
  })
})

async function leave(id: string, leaving: { readonly instance?: string } = {}): Promise<Answer> {
  return await ask(`/v1/nodes/${id}/leave`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(leaving),
  })
}

describe('the nodes', () => {
  it('are shown to operators, without those that are silent for long', async () => {
    await beat('r1')
    const operator = asking(face)
    expect(nodesIn(await operator('/v1/nodes'))).toEqual([{ ...report(), id: 'r1', seenMsAgo: 0 }])
    at.clock.advance(LIMITS.nodeForgetMs)
    expect(nodesIn(await operator('/v1/nodes'))).toHaveLength(1)
    at.clock.advance(1)
    expect(nodesIn(await operator('/v1/nodes'))).toEqual([])
  })

  it('are shown to nobody else', async () => {
    expect((await ask('/v1/nodes')).status).toBe(403)
    expect((await ask('/v1/nodes', { headers: { authorization: '' } })).status).toBe(401)
  })
})
