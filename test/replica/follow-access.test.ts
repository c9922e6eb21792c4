/**
 * A replica's copy of the tokens (PROTOCOL §4), between two engines over HTTP: what is made or revoked at the origin
 * counts here, and nobody is let in by a copy that is too old.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { NewToken } from '../../src/depot/access.ts'
import { failure, isFailure } from '../../src/model/errors.ts'
import { LIMITS } from '../../src/model/limits.ts'
import { AccessFollower, type AccessFollowerParts } from '../../src/replica/follow-access.ts'
import { type AccessChange, accessAfter } from '../../src/replica/origin-calls.ts'
import { sleep } from '../../src/replica/sleep.ts'
import { Caller } from '../../src/wire/caller.ts'
import { type Engine, engine } from '../depot/an-engine.ts'
import { faceOver, type TestFace } from '../http/a-face.ts'
import { realClock, realRandom } from '../support/real-world.ts'
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts'
import { replica } from './a-replica.ts'

let origin: Engine
let face: TestFace
let folder: TemporaryFolder
let at: Engine
let caller: Caller
let node: NewToken

beforeEach(async () => {
  origin = await engine()
  face = await faceOver(origin)
  folder = await temporaryFolder()
  at = await replica({ folder: folder.path })
  node = await origin.depot.access.create({ label: 'r1', scopes: ['replicate'] })
  caller = new Caller({
    url: face.url,
    token: node.secret,
    clock: { ...realClock, sleep: async (ms, signal) => await sleep(ms, signal ?? NEVER) },
    random: realRandom,
    bounds: { patience: 100, firstPatience: 100 },
  })
})
afterEach(async () => {
  await face[Symbol.asyncDispose]()
  await at[Symbol.asyncDispose]()
  await origin[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

const NEVER = new AbortController().signal

interface Following extends AsyncDisposable {
  readonly failures: unknown[]
  readonly editions: string[]
  /** How long each ask was to wait. */
  readonly waits: number[]
}

function following(
  changeAfter: AccessFollowerParts['changeAfter'] = async (edition, waitMs, signal) =>
    await accessAfter(caller, edition, waitMs, signal),
  pause: AccessFollowerParts['sleep'] = async (_, signal) => await sleep(1, signal),
): Following {
  const stop = new AbortController()
  const failures: unknown[] = []
  const editions: string[] = []
  const waits: number[] = []
  const running = new AccessFollower({
    access: at.depot.access,
    changeAfter: async (edition, waitMs, signal) => {
      waits.push(waitMs)
      return await changeAfter(edition, waitMs, signal)
    },
    clock: at.clock,
    random: realRandom,
    sleep: pause,
    events: {
      adopted: (edition) => void editions.push(edition),
      failed: (error) => void failures.push(error),
    },
  }).run(stop.signal)
  return {
    failures,
    editions,
    waits,
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      await running
    },
  }
}

function labelOf(secret: string): string | undefined {
  try {
    return at.depot.access.actorOf(secret)?.label
  } catch (error) {
    return isFailure(error) ? error.code : String(error)
  }
}

describe('a copy of the tokens', () => {
  it('lets in who was let in at the origin, and nobody any more who was revoked there', async () => {
    const one = await origin.depot.access.create({ label: 'one', scopes: ['read'] })
    expect(labelOf(one.secret)).toBe('access-unconfirmed')
    await using follower = following()
    await expect.poll(() => labelOf(one.secret)).toBe('one')
    const two = await origin.depot.access.create({ label: 'two', scopes: ['publish:stable'] })
    await expect.poll(() => labelOf(two.secret)).toBe('two')
    expect(at.depot.access.actorOf(two.secret)?.scopes).toEqual(['publish:stable'])
    await origin.depot.access.revoke(one.token.id)
    await expect.poll(() => labelOf(one.secret)).toBeUndefined()
    expect([at.depot.access.isLive(one.token.id), at.depot.access.isLive(two.token.id)]).toEqual([
      false,
      true,
    ])
    expect(labelOf('depot_nobody')).toBeUndefined()
    expect(follower.editions.length).toBe(3)
    expect(follower.failures).toEqual([])
    // Woken, and not by asking over and over: one ask for each change, and the one that waits.
    await expect.poll(() => follower.waits.length).toBe(4)
    expect(follower.waits).toEqual([0, ...Array.from({ length: 3 }, () => LIMITS.accessWaitMs)])
  })

  it('ends with a token that expires, by the clock of the node', async () => {
    const expiresMs = origin.clock.now() + 1_000
    const { secret } = await origin.depot.access.create({ label: 'short', scopes: ['read'], expiresMs })
    await using _ = following()
    await expect.poll(() => labelOf(secret)).toBe('short')
    at.clock.advance(1_000)
    expect(labelOf(secret)).toBeUndefined()
  })

  it('goes on from its last edition after a restart, and is of no use before the origin has confirmed it', async () => {
    const one = await origin.depot.access.create({ label: 'one', scopes: ['read'] })
    const first = following()
    await expect.poll(() => labelOf(one.secret)).toBe('one')
    await first[Symbol.asyncDispose]()
    const edition = at.depot.access.edition()
    const tokens = new Set(at.depot.access.list())
    await origin.depot.access.revoke(one.token.id)
    await at[Symbol.asyncDispose]()
    at = await replica({ folder: folder.path })
    expect([at.depot.access.edition(), new Set(at.depot.access.list())]).toEqual([edition, tokens])
    expect(labelOf(one.secret)).toBe('access-unconfirmed')
    await using follower = following()
    await expect.poll(() => labelOf(one.secret)).toBeUndefined()
    expect(follower.editions).toEqual([origin.depot.access.edition()])
  })
})

describe('a copy that nobody confirms', () => {
  it('is good for a minute after the last word, and then lets nobody in', async () => {
    const { secret } = await origin.depot.access.create({ label: 'one', scopes: ['read'] })
    let isCut = false
    const follower = following(async (edition, _waitMs, signal) => {
      if (isCut) throw failure('origin-unreachable', { reason: 'cut off' })
      return await accessAfter(caller, edition, 0, signal)
    })
    await expect.poll(() => labelOf(secret)).toBe('one')
    isCut = true
    await expect.poll(() => follower.failures.some((one) => isFailure(one, 'origin-unreachable'))).toBe(true)
    expect(at.depot.access.ageMs()).toBe(0)
    at.clock.advance(LIMITS.accessAgeMs)
    expect(labelOf(secret)).toBe('one')
    at.clock.advance(1)
    expect(labelOf(secret)).toBe('access-unconfirmed')
    expect(labelOf('depot_nobody')).toBe('access-unconfirmed')
    isCut = false
    await expect.poll(() => labelOf(secret)).toBe('one')
    await follower[Symbol.asyncDispose]()
  })

  it('counts from the moment in which it was asked for', async () => {
    const gate = Promise.withResolvers<AccessChange | undefined>()
    let asks = 0
    await using _ = following(async (_edition, _waitMs, signal) => {
      asks += 1
      if (asks === 1) return undefined
      if (asks === 2) return await gate.promise
      return await untilAborted(signal)
    })
    await expect.poll(() => asks).toBe(2)
    at.clock.advance(14_000)
    gate.resolve(undefined)
    await expect.poll(() => asks).toBe(3)
    expect(at.depot.access.ageMs()).toBe(14_000)
  })

  it('is not asked for over and over when the origin lets nobody wait', async () => {
    let asks = 0
    let pauses = 0
    await using follower = following(
      async () => {
        asks += 1
        return await Promise.resolve(undefined)
      },
      async (_, signal) => {
        pauses += 1
        if (pauses > 3) await untilAborted(signal).catch(() => undefined)
      },
    )
    await expect.poll(() => pauses).toBe(4)
    // After each failure one that does not wait.
    expect(asks).toBe(8)
    expect(follower.failures.every((one) => isFailure(one, 'origin-unreachable'))).toBe(true)
  })

  it('is none where the node itself is let in no longer', async () => {
    await using follower = following()
    await expect.poll(() => follower.editions.length).toBe(1)
    await origin.depot.access.revoke(node.token.id)
    await expect.poll(() => isFailure(follower.failures[0], 'unauthorised')).toBe(true)
  })
})

describe('what no token can be', () => {
  const line = {
    id: 't1',
    hash: `sha256:${'0'.repeat(64)}`,
    label: 'x',
    scopes: ['read'],
    created: '2026-11-22T00:00:00.000Z',
  }
  it.each<[string, object]>([
    ['a scope that there is not', { scopes: ['everything'] }],
    ['no id', { id: '' }],
    ['an id that is too long', { id: 'x'.repeat(LIMITS.tokenIdBytes + 1) }],
    ['a time that is none', { revoked: '2026-02-30T00:00:00Z' }],
  ])('is not taken over: %s', async (_, wrong) => {
    const { edition } = at.stores.ledger.tokens.since(undefined)
    const tokens = [line, { ...line, ...wrong }] as unknown as AccessChange['tokens']
    await using follower = following(
      async () => await Promise.resolve({ edition: '9.a', isWhole: true, tokens }),
    )
    await expect.poll(() => isFailure(follower.failures[0], 'answer-invalid')).toBe(true)
    expect([at.depot.access.edition(), at.depot.access.ageMs()]).toEqual([edition, undefined])
  })
})

async function untilAborted(signal: AbortSignal): Promise<never> {
  return await new Promise((_, reject) => {
    signal.addEventListener('abort', () => {
      reject(signal.reason as Error)
    })
  })
}
