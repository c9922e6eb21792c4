/**
 * Who may do what, as nodes learn of it: hashes and never a secret, what changed since an edition, and a revocation at
 * once.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { NewToken } from '../../src/depot/access.ts'
import { digestOf } from '../../src/model/digest.ts'
import type { AccessHead, AccessToken } from '../../src/wire/replication.ts'
import { type Engine, engine } from '../depot/an-engine.ts'
import type { Answer } from '../support/exchange.ts'
import { rawConnection } from '../support/raw-socket.ts'
import { runningDepot } from '../support/running-depot.ts'
import { faceOver, type TestFace } from './a-face.ts'
import { type Asking, asking } from './well-formed.ts'

const ACCESS = '/v1/replication/access'

let at: Engine
let face: TestFace
let ask: Asking
let node: NewToken

beforeEach(async () => {
  at = await engine()
  face = await faceOver(at)
  node = await at.depot.access.create({ label: 'r1', scopes: ['replicate'] })
  ask = asking({ url: face.url, token: node.secret })
})
afterEach(async () => {
  await face[Symbol.asyncDispose]()
  await at[Symbol.asyncDispose]()
})

interface Told extends AccessHead {
  readonly tokens: readonly AccessToken[]
}

function toldBy(answer: Answer): Told {
  expect([answer.status, answer.header('content-type')]).toEqual([200, 'application/x-ndjson'])
  expect(answer.header('cache-control')).toBe('private, no-store')
  const [head, ...tokens] = answer.lines<AccessHead & AccessToken>()
  return { edition: '', whole: false, ...head, tokens }
}

async function all(): Promise<Told> {
  return toldBy(await ask(ACCESS))
}

async function after(edition: string, waitSeconds?: number): Promise<Answer> {
  const headers = waitSeconds === undefined ? {} : { prefer: `wait=${waitSeconds}` }
  return await ask(`${ACCESS}?after=${edition}`, { headers })
}

async function create(label: string): Promise<NewToken> {
  return await at.depot.access.create({ label, scopes: ['publish:stable', 'read'] })
}

async function untilWaiting(): Promise<void> {
  // Whether it waits cannot be seen from outside: long enough for a request on this machine.
  await sleep(200)
}

describe('what nodes learn of tokens', () => {
  it('is everything but the secrets', async () => {
    const expiresMs = at.clock.now() + 1_000
    const { token, secret } = await at.depot.access.create({
      label: 'ci "é"',
      scopes: ['read'],
      expiresMs,
      quotaBytes: 5,
    })
    const answer = await ask(ACCESS)
    const { whole, tokens } = toldBy(answer)
    expect(whole).toBe(true)
    expect(tokens).toHaveLength(at.depot.access.list().length)
    expect(tokens.find(({ id }) => id === token.id)).toEqual({
      id: token.id,
      hash: digestOf(secret),
      label: 'ci "é"',
      scopes: ['read'],
      created: new Date(token.createdMs).toISOString(),
      expires: new Date(expiresMs).toISOString(),
      quotaBytes: 5,
    })
    for (const hidden of [secret, node.secret, face.token]) expect(answer.text).not.toContain(hidden.slice(6))
  })

  it('is what changed since an edition', async () => {
    const { edition } = await all()
    const one = await create('one')
    const two = await create('two')
    const since = toldBy(await after(edition))
    expect([since.whole, since.tokens.map(({ label }) => label)]).toEqual([false, ['one', 'two']])
    await at.depot.access.revoke(one.token.id)
    const later = toldBy(await after(since.edition))
    expect(later.tokens).toEqual([
      expect.objectContaining({ id: one.token.id, revoked: expect.any(String) as string }),
    ])
    // Each change once, as it is now.
    const both = toldBy(await after(edition))
    expect(both.tokens.map(({ label, revoked }) => [label, revoked !== undefined])).toEqual([
      ['one', true],
      ['two', false],
    ])
    expect(both.edition).toBe(later.edition)
    expect(two.token.revokedMs).toBeUndefined()
  })

  it.each(['0.0123456789abcdef', '999.0123456789abcdef', 'x', '', '%00', '1'])(
    'is everything for who names an edition that nobody had: %j',
    async (edition) => {
      await create('one')
      const { whole, tokens } = toldBy(await after(edition, 5))
      expect([whole, tokens.length]).toEqual([true, at.depot.access.list().length])
    },
  )

  it('does not change with what tokens upload', async () => {
    const { edition } = await all()
    await at.depot.access.charge(node.token.id, 5, async () => undefined)
    expect((await after(edition)).status).toBe(304)
  })
})

describe('who waits', () => {
  it('hears of a revocation at once', async () => {
    const one = await create('one')
    const { edition } = await all()
    const waiting = after(edition, 20)
    await untilWaiting()
    const begun = performance.now()
    const revoked = await fetch(`${face.url}/v1/tokens/${one.token.id}`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${face.token}` },
    })
    expect(revoked.status).toBe(204)
    const told = await waiting
    expect(performance.now() - begun).toBeLessThan(1_000)
    expect(told.header('preference-applied')).toBe('wait=20')
    expect(toldBy(told).tokens.map(({ id, revoked: when }) => [id, when !== undefined])).toEqual([
      [one.token.id, true],
    ])
  })

  it('hears of a new token at once', async () => {
    const { edition } = await all()
    const waiting = after(edition, 20)
    await untilWaiting()
    await create('new')
    expect(toldBy(await waiting).tokens.map(({ label }) => label)).toEqual(['new'])
  })

  it('is told after a while that there is nothing, or at once when he does not wait', async () => {
    const { edition } = await all()
    const begun = performance.now()
    const answer = await after(edition, 1)
    expect(performance.now() - begun).toBeGreaterThan(900)
    expect([answer.status, answer.header('cache-control')]).toEqual([304, 'private, no-store'])
    expect((await after(edition)).status).toBe(304)
  })

  it('is told nothing any more when it is his own token that was revoked', async () => {
    const { edition } = await all()
    const waiting = after(edition, 20)
    await untilWaiting()
    await at.depot.access.revoke(node.token.id)
    const answer = await waiting
    expect([answer.status, answer.problem]).toEqual([401, 'unauthorised'])
    expect((await ask(ACCESS)).status).toBe(401)
  })

  it('is sent to another time by a depot that is closing, and told what has changed', async () => {
    const { edition } = await all()
    at.depot.access.release()
    const refused = await after(edition, 20)
    expect([refused.status, refused.problem]).toEqual([503, 'draining'])
    expect(refused.header('retry-after')).toBe('1')
    // Who does not wait is told as ever.
    expect((await after(edition)).status).toBe(304)
    await create('new')
    expect(toldBy(await after(edition, 20)).tokens.map(({ label }) => label)).toEqual(['new'])
  })

  it('and goes away leaves nothing behind', async () => {
    const { edition } = await all()
    for (let round = 0; round < 3; round += 1) {
      const connection = await rawConnection(face.url)
      connection.send(
        `GET ${ACCESS}?after=${edition} HTTP/1.1\r\nHost: x\r\nPrefer: wait=20\r\nAuthorization: Bearer ${node.secret}\r\n\r\n`,
      )
      await untilWaiting()
      await connection[Symbol.asyncDispose]()
    }
    await create('new')
    expect(toldBy(await after(edition)).tokens).toHaveLength(1)
  })
})

describe('an edition', () => {
  it('outlives a restart, and who waits is let go when the depot closes', async () => {
    const before = await runningDepot()
    const { token } = await before.client.createToken({ label: 'r1', scopes: ['replicate'] })
    const asked = asking({ url: before.url, token })
    const { edition } = toldBy(await asked(ACCESS))
    await using connection = await rawConnection(before.url)
    connection.send(
      `GET ${ACCESS}?after=${edition} HTTP/1.1\r\nHost: x\r\nPrefer: wait=20\r\nAuthorization: Bearer ${token}\r\n\r\n`,
    )
    await untilWaiting()
    const begun = performance.now()
    await before.running.close('SIGINT')
    const let_go = await connection.answer()
    expect([let_go.status, let_go.header('connection')]).toEqual([304, 'close'])
    expect(performance.now() - begun).toBeLessThan(5_000)

    await using again = await runningDepot({ data: before.data })
    const askAgain = asking({ url: again.url, token })
    expect((await askAgain(`${ACCESS}?after=${edition}`)).status).toBe(304)
    await again.client.createToken({ label: 'later', scopes: ['read'] })
    const { whole, tokens } = toldBy(await askAgain(`${ACCESS}?after=${edition}`))
    expect([whole, tokens.map(({ label }) => label)]).toEqual([false, ['later']])
    await before[Symbol.asyncDispose]()
  })
})
