/**
 * Blobs of a stage: declared, uploaded, wanted by manifests, and demanded by the commit.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Actor } from '../../src/depot/actor.ts'
import { missingBlobs } from '../../src/depot/commit/closure.ts'
import { watched } from '../../src/depot/stage/sender.ts'
import type { Stage } from '../../src/ledger/ledger.ts'
import { type Digest, digestOf } from '../../src/model/digest.ts'
import type { DepotError } from '../../src/model/errors.ts'
import { LIMITS } from '../../src/model/limits.ts'
import {
  actorWith,
  commit,
  type Engine,
  engine,
  manifestOf,
  offered,
  open,
  outcomeOf,
  type Stores,
  stageRelease,
} from './an-engine.ts'

let at: Engine
let stage: Stage

beforeEach(async () => {
  at = await engine()
  stage = await open(at, at.admin)
})
afterEach(async () => {
  await at[Symbol.asyncDispose]()
})

const RELEASE = { channel: 'stable', name: 'hello', version: '1.0.0' }

async function missing(): Promise<readonly Digest[]> {
  const parts = { ledger: at.depot.ledger, pool: at.stores.pool, clock: at.depot.clock }
  return (await missingBlobs(parts, stage)).map(({ digest }) => digest)
}

async function* pieces(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text)
}

describe('a manifest before its blobs', () => {
  it('tells what is missing, and can be committed when that has come', async () => {
    const { text, blobs } = manifestOf({ files: { a: 'one', b: 'two', c: 'two' } })
    const staged = await at.depot.releases.put(at.admin, stage, RELEASE, text)
    expect([...staged.missing].sort()).toEqual([digestOf('one'), digestOf('two')].sort())
    expect(await outcomeOf(commit(at, at.admin, stage))).toBe('blob-missing')
    await at.depot.blobs.putAll(at.admin, stage, blobs.slice(0, 1))
    expect(await missing()).toEqual([digestOf('two')])
    const refusal = await commit(at, at.admin, stage).catch((error: unknown) => error)
    expect((refusal as DepotError).details).toEqual({ missing: [digestOf('two')], total: 1 })
    await at.depot.blobs.putAll(at.admin, stage, blobs)
    expect(await missing()).toEqual([])
    await commit(at, at.admin, stage)
    expect(await offered(at)).toEqual(['hello 1.0.0'])
  })

  it('that is replaced wants nothing any more', async () => {
    await at.depot.releases.put(at.admin, stage, RELEASE, manifestOf({ files: { a: 'never comes' } }).text)
    await stageRelease(at, at.admin, stage, { files: { a: 'comes' } })
    expect(await missing()).toEqual([])
    expect(await outcomeOf(commit(at, at.admin, stage))).toBe('accepted')
  })

  it('that is taken back wants nothing any more', async () => {
    await stageRelease(at, at.admin, stage, { name: 'other' })
    await at.depot.releases.put(at.admin, stage, RELEASE, manifestOf({ files: { a: 'never comes' } }).text)
    await at.depot.releases.remove(at.admin, stage, RELEASE)
    expect(await missing()).toEqual([])
    expect(await outcomeOf(commit(at, at.admin, stage))).toBe('accepted')
    expect(await offered(at)).toEqual(['other 1.0.0'])
  })

  it('that says a wrong size is refused at the commit, and says which', async () => {
    const text = JSON.stringify({
      name: 'hello',
      version: '1.0.0',
      files: [{ path: 'a', digest: digestOf('four'), size: 5 }],
    })
    await at.depot.blobs.putAll(at.admin, stage, [{ digest: digestOf('four'), bytes: Buffer.from('four') }])
    await at.depot.releases.put(at.admin, stage, RELEASE, Buffer.from(text))
    await expect(commit(at, at.admin, stage)).rejects.toThrow(/has 4 bytes, a manifest says 5/)
  })

  it('of thousands of files lists the first thousand that are missing', async () => {
    const files = Object.fromEntries(
      Array.from({ length: 2_500 }, (_, number) => [`f${number}`, `bytes ${number}`]),
    )
    const staged = await at.depot.releases.put(at.admin, stage, RELEASE, manifestOf({ files }).text)
    expect(staged.missing.length).toBe(2_500)
    expect((await missing()).length).toBe(LIMITS.missingListed)
    const blobs = manifestOf({ files }).blobs
    await at.depot.blobs.putAll(at.admin, stage, blobs.slice(0, -1))
    expect(await missing()).toEqual([blobs.at(-1)?.digest])
  })
})

describe('declaring blobs', () => {
  it('tells what is absent, and leases all of it before it answers', async () => {
    await at.depot.blobs.putAll(at.admin, stage, [{ digest: digestOf('here'), bytes: Buffer.from('here') }])
    const other = await open(at, at.admin)
    const declared = ['here', 'not here'].map((text) => ({ digest: digestOf(text), size: text.length }))
    expect(await at.depot.blobs.missing(at.admin, other, declared)).toEqual([digestOf('not here')])
    await at.depot.stages.abort(at.admin, stage.id)
    for (const { digest } of declared) expect(at.depot.ledger.blobs.isLeased(digest)).toBe(true)
    await at.depot.stages.abort(at.admin, other.id)
    for (const { digest } of declared) expect(at.depot.ledger.blobs.isLeased(digest)).toBe(false)
  })

  it('of what is there asks for no room but that of its leases, which the ledger asks for', async () => {
    const asked: number[] = []
    const wrap = (stores: Stores): Stores => {
      vi.spyOn(stores.room, 'demand').mockImplementation(
        async (bytes) => await Promise.resolve(void asked.push(bytes)),
      )
      return stores
    }
    await using noting = await engine({ wrap })
    const own = await open(noting, noting.admin)
    const here = { digest: digestOf('here'), bytes: Buffer.from('here') }
    await noting.depot.blobs.putAll(noting.admin, own, [here])
    const declared = ['here', 'not here'].map((text) => ({ digest: digestOf(text), size: text.length }))
    await noting.depot.blobs.missing(noting.admin, own, declared.slice(0, 1))
    expect(asked).toEqual([])
    await noting.depot.blobs.missing(noting.admin, own, declared)
    expect(asked).toEqual(['not here'.length])
  })

  it('to a stage that has ended is refused', async () => {
    await at.depot.stages.abort(at.admin, stage.id)
    expect(
      await outcomeOf(at.depot.blobs.missing(at.admin, stage, [{ digest: digestOf(''), size: 0 }])),
    ).toBe('stage-expired')
  })
})

describe('uploads', () => {
  it('are bounded in number, for all and for each token', async () => {
    const gate = Promise.withResolvers<void>()
    async function* waiting(): AsyncGenerator<Uint8Array> {
      await gate.promise
      yield Buffer.from('x')
    }
    const upload = async (actor: Actor, text: string, bytes: AsyncIterable<Uint8Array>) =>
      await at.depot.blobs.upload(actor, stage, {
        digest: digestOf(text),
        offset: 0,
        bytes,
        complete: false,
      })
    const refusal = async (actor: Actor): Promise<DepotError> =>
      (await upload(actor, 'one more', pieces('x')).catch((error: unknown) => error)) as DepotError
    const [one, two, three] = [at.admin, await actorWith(at, 'admin'), await actorWith(at, 'admin')]
    const hold = (actor: Actor): readonly Promise<unknown>[] =>
      Array.from(
        { length: LIMITS.parallelUploadsPerToken },
        async (_, number) => await upload(actor, `${actor.id} ${number}`, waiting()),
      )
    const held = [...hold(one)]
    const ofOne = await refusal(one)
    expect([ofOne.code, ofOne.details['limit']]).toEqual(['hold-limit', LIMITS.parallelUploadsPerToken])
    expect(ofOne.message).toMatch(/32 places for uploads of one token .* let what is under way end/)
    expect(await outcomeOf(upload(two, 'of another token', pieces('x')))).toBe('accepted')
    held.push(...hold(two))
    const ofAll = await refusal(three)
    expect([ofAll.code, ofAll.details['limit']]).toEqual(['hold-limit', LIMITS.parallelUploads])
    gate.resolve()
    await Promise.all(held)
    expect(await outcomeOf(upload(one, 'one more', pieces('x')))).toBe('accepted')
  })

  it('are ended for their own delay, and not for that of the depot', async () => {
    const piece = Buffer.from('x')
    const isLive = (): boolean => true
    const pace = { bytes: 10, perMs: 1_000 }
    const take = async (senderMs: number, depotMs: number): Promise<string> => {
      async function* sender(): AsyncGenerator<Uint8Array> {
        for (let count = 0; count < 5; count += 1) {
          at.clock.advance(senderMs)
          yield piece
        }
      }
      const taking = async (): Promise<void> => {
        for await (const _ of watched(sender(), { clock: at.clock, pace, isLive })) at.clock.advance(depotMs)
      }
      return await outcomeOf(taking())
    }
    expect(await take(1, 5_000)).toBe('accepted')
    expect(await take(250, 0)).toBe('upload-too-slow')
    expect(await take(100, 0)).toBe('accepted')
  })

  it.each([
    {
      why: 'are too slow keep all that came',
      delayMs: 1_000,
      isLive: true,
      code: 'upload-too-slow',
      kept: 1,
    },
    { why: 'may not go on bring nothing more', delayMs: 0, isLive: false, code: 'unauthorised', kept: 0 },
  ])('that $why', async ({ delayMs, isLive, code, kept }) => {
    const came: string[] = []
    async function* sender(): AsyncGenerator<Uint8Array> {
      at.clock.advance(delayMs)
      yield Buffer.from('what came')
      yield Buffer.from('and what came after')
    }
    const watch = { clock: at.clock, pace: { bytes: 100, perMs: 1_000 }, isLive: () => isLive }
    const taking = async (): Promise<void> => {
      for await (const piece of watched(sender(), watch)) came.push(Buffer.from(piece).toString())
    }
    expect(await outcomeOf(taking())).toBe(code)
    expect(came).toEqual(['what came'].slice(0, kept))
  })
})

describe('a token', () => {
  it('is live from its making until it is revoked or expires', async () => {
    const { access } = at.depot
    const expiresMs = at.clock.now() + 1_000
    const [one, two] = [
      await access.create({ label: 'one', scopes: ['read'] }),
      await access.create({ label: 'two', scopes: ['read'], expiresMs }),
    ]
    const live = (): readonly boolean[] => [one, two].map(({ token }) => access.isLive(token.id))
    expect(live()).toEqual([true, true])
    await access.revoke(one.token.id)
    expect(live()).toEqual([false, true])
    at.clock.advance(1_000)
    expect(live()).toEqual([false, false])
    expect(access.isLive('t-nobody')).toBe(false)
  })
})
