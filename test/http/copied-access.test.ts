/**
 * Closed reads at a node that has a copy of its origin's tokens: they count while the origin confirms them, and when it
 * does no longer nobody is let in by them, nor told that he may not come in (PROTOCOL §4).
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Access, type NewToken } from '../../src/depot/access.ts'
import { LIMITS } from '../../src/model/limits.ts'
import { type Engine, engine, published } from '../depot/an-engine.ts'
import { realRandom } from '../support/real-world.ts'
import { faceOver, type TestFace } from './a-face.ts'
import { type Asking, asking } from './well-formed.ts'

const METRICS = 'a-token-for-metrics'

let at: Engine
let access: Access
let reader: NewToken
let face: TestFace
let ask: Asking
let pinned: string

beforeEach(async () => {
  at = await engine()
  const { gid } = await published(at, { name: 'hello', version: '1.0.0', files: { a: 'a' } })
  pinned = `/g/${gid}/v1/channels/stable/files/hello/1.0.0/a`
  reader = await at.depot.access.create({ label: 'reader', scopes: ['read'] })
  access = new Access(at.stores.ledger.tokens, at.clock, realRandom, true)
  face = await faceOver(at, { access }, {}, { closedReads: true, metricsToken: METRICS })
  ask = asking({ url: face.url, token: reader.secret })
})
afterEach(async () => {
  await face[Symbol.asyncDispose]()
  await at[Symbol.asyncDispose]()
})

describe('a copy of the tokens', () => {
  it('lets readers in for a minute after it was confirmed', async () => {
    access.confirm(at.clock.monotonic())
    for (const path of ['/v1/head', pinned]) expect((await ask(path)).status).toBe(200)
    at.clock.advance(LIMITS.accessAgeMs)
    expect((await ask(pinned)).status).toBe(200)
    at.clock.advance(1)
    const refused = await ask(pinned)
    expect([refused.status, refused.problem, refused.header('cache-control')]).toEqual([
      503,
      'access-unconfirmed',
      'no-store',
    ])
    expect(refused.header('retry-after')).toBe('2')
    expect(refused.json()).toMatchObject({ age: 60 })
    access.confirm(at.clock.monotonic())
    expect((await ask(pinned)).status).toBe(200)
  })

  it.each(['/v1/head', '/v1/channels', `/o/sha256/${'0'.repeat(64)}`])(
    'that was never confirmed lets nobody read %s, and says of no token that it is none',
    async (path) => {
      for (const token of [reader.secret, 'depot_nobody']) {
        const refused = await asking({ url: face.url, token })(path)
        expect([refused.status, refused.problem]).toEqual([503, 'access-unconfirmed'])
        expect(refused.json()).not.toHaveProperty('age')
      }
      // Who shows none needs no copy to be refused.
      expect((await ask(path, { headers: { authorization: '' } })).status).toBe(401)
    },
  )

  it('is no matter for the health, nor for metrics with a token of their own', async () => {
    expect((await ask('/readyz', { headers: { authorization: '' } })).status).toBe(200)
    const headers = { authorization: `Bearer ${METRICS}` }
    expect((await ask('/metrics', { headers })).status).toBe(200)
    const operator = asking(face)
    expect((await operator('/metrics')).problem).toBe('access-unconfirmed')
    access.confirm(at.clock.monotonic())
    expect((await operator('/metrics')).status).toBe(200)
  })
})
