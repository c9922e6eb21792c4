/**
 * Blobs of a stage: declared, uploaded, wanted by manifests, and demanded by the commit.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Actor } from '../../src/depot/actor.ts'
import { missingBlobs } from '../../src/depot/commit/closure.ts'
import { watched } from '../../src/depot/stage/sender.ts'
import type { Stage } from '../../src/ledger/ledger.ts'
import { type Digest, digestOf } from '../../src/model/digest.ts'
import { type DepotError, failure } from '../../src/model/errors.ts'
import { LIMITS } from '../../src/model/limits.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
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

  it('to a stage that has ended is refused', async () => {
    await at.depot.stages.abort(at.admin, stage.id)
    expect(
      await outcomeOf(at.depot.blobs.missing(at.admin, stage, [{ digest: digestOf(''), size: 0 }])),
    ).toBe('stage-expired')
  })
})

describe('a quota', () => {
  it('counts what was uploaded, however it came, also what was interrupted', async () => {
    const { token } = await at.depot.access.create({ label: 'ci', scopes: ['publish:*'], quotaBytes: 100 })
    const actor = { id: token.id, label: 'ci', scopes: token.scopes }
    const own = await open(at, actor)
    const used = (): number => at.depot.access.list().find(({ id }) => id === token.id)?.usedBytes ?? -1
    const part = (bytes: AsyncIterable<Uint8Array>, offset = 0) => ({
      digest: digestOf('whatever'),
      offset,
      bytes,
      complete: false,
    })
    await at.depot.blobs.upload(actor, own, part(pieces('x'.repeat(30))))
    expect(used()).toBe(30)
    async function* cutOff(): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(20)
      throw new Error('the client went away')
    }
    await expect(at.depot.blobs.upload(actor, own, part(cutOff(), 30))).rejects.toThrow('went away')
    expect(used()).toBe(50)
    // A wrong offset brings nothing.
    expect(await outcomeOf(at.depot.blobs.upload(actor, own, part(pieces('y'.repeat(40)), 0)))).toBe(
      'offset-mismatch',
    )
    expect(used()).toBe(50)
    await at.depot.blobs.putAll(actor, own, [
      { digest: digestOf('z'.repeat(40)), bytes: Buffer.from('z'.repeat(40)) },
    ])
    expect(used()).toBe(90)
    const eleven = { digest: digestOf('e'.repeat(11)), bytes: Buffer.from('e'.repeat(11)) }
    expect(await outcomeOf(at.depot.blobs.putAll(actor, own, [eleven]))).toBe('quota-exceeded')
    expect(await outcomeOf(at.depot.blobs.missing(actor, own, [{ digest: eleven.digest, size: 11 }]))).toBe(
      'quota-exceeded',
    )
    // Whose length nobody said is stopped when it has come to the quota, and not at its end.
    let asked = 0
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        asked += 1
        yield Buffer.alloc(4)
      }
    }
    expect(await outcomeOf(at.depot.blobs.upload(actor, own, part(endless(), 50)))).toBe('quota-exceeded')
    expect([asked, used()]).toEqual([3, 98])
  })

  it('counts manifests, before anything of them is kept', async () => {
    const [first, second] = [manifestOf(), manifestOf({ version: '2.0.0' })]
    const quotaBytes = first.text.length
    const { token } = await at.depot.access.create({ label: 'ci', scopes: ['publish:*'], quotaBytes })
    const actor = { id: token.id, label: 'ci', scopes: token.scopes }
    const own = await open(at, actor)
    await at.depot.releases.put(actor, own, RELEASE, first.text)
    const more = at.depot.releases.put(actor, own, { ...RELEASE, version: '2.0.0' }, second.text)
    expect(await outcomeOf(more)).toBe('quota-exceeded')
    expect(await at.stores.pool.open(second.digest)).toBeUndefined()
    expect(at.depot.access.list().find(({ id }) => id === token.id)?.usedBytes).toBe(quotaBytes)
  })

  it('does not hold up who has none', async () => {
    const actor = await actorWith(at, 'publish:*')
    const own = await open(at, actor)
    const outcome = at.depot.blobs.upload(actor, own, {
      digest: digestOf('abc'),
      offset: 0,
      bytes: pieces('a', 'b', 'c'),
      complete: true,
    })
    expect(await outcome).toMatchObject({ kind: 'stored', stored: { digest: digestOf('abc'), size: 3 } })
  })

  describe('that uploads share', () => {
    /** An upload to a stage of its own that takes its bytes one by one, as they are sent. */
    function sending(actor: Actor, own: Stage, size?: number) {
      const pieces: PromiseWithResolvers<Uint8Array | undefined>[] = [Promise.withResolvers()]
      let taken = 0
      async function* bytes(): AsyncGenerator<Uint8Array> {
        for (;;) {
          const piece = await pieces.at(-1)!.promise
          if (piece === undefined) return
          pieces.push(Promise.withResolvers())
          yield piece
          taken += piece.length
        }
      }
      const part = { digest: digestOf(own.id), offset: 0, bytes: bytes(), complete: false }
      const outcome = outcomeOf(
        at.depot.blobs.upload(actor, own, size === undefined ? part : { ...part, size }),
      )
      return {
        outcome,
        taken: () => taken,
        send: (bytesMore: number) => pieces.at(-1)!.resolve(Buffer.alloc(bytesMore)),
        end: () => pieces.at(-1)!.resolve(undefined),
      }
    }

    async function poor(quotaBytes: number): Promise<readonly [Actor, () => number]> {
      const { token } = await at.depot.access.create({ label: 'ci', scopes: ['publish:*'], quotaBytes })
      const used = (): number => at.depot.access.list().find(({ id }) => id === token.id)?.usedBytes ?? -1
      return [{ id: token.id, label: 'ci', scopes: token.scopes }, used]
    }

    it('is kept for the one that said first how much will come', async () => {
      const [actor, used] = await poor(100)
      const [one, two] = [await open(at, actor), await open(at, actor)]
      const first = sending(actor, one, 60)
      first.send(30)
      await expect.poll(first.taken).toBe(30)
      const second = sending(actor, two, 60)
      expect(await second.outcome).toBe('quota-exceeded')
      expect(second.taken()).toBe(0)
      // Nor does anything of it stay.
      expect(await at.depot.blobs.progress(two, digestOf(two.id))).toBeUndefined()
      const tooMuch = { digest: digestOf('z'.repeat(41)), bytes: Buffer.from('z'.repeat(41)) }
      expect(await outcomeOf(at.depot.blobs.putAll(actor, one, [tooMuch]))).toBe('quota-exceeded')
      first.end()
      expect(await first.outcome).toBe('accepted')
      expect(used()).toBe(30)
      // What did not come is free again.
      const third = sending(actor, two, 70)
      third.end()
      expect(await third.outcome).toBe('accepted')
    })

    it('is never passed by those who did not say how much', async () => {
      const [actor, used] = await poor(100)
      const uploads = await Promise.all(
        Array.from({ length: 5 }, async () => sending(actor, await open(at, actor))),
      )
      for (const upload of uploads) upload.send(30)
      await expect.poll(() => uploads.filter(({ taken }) => taken() === 30).length).toBe(3)
      for (const upload of uploads) upload.end()
      const outcomes = await Promise.all(uploads.map(async ({ outcome }) => await outcome))
      expect(outcomes.toSorted()).toEqual([
        'accepted',
        'accepted',
        'accepted',
        'quota-exceeded',
        'quota-exceeded',
      ])
      expect(used()).toBe(90)
    })
  })

  it.each([
    { code: 'disk-full', why: failure('disk-full', { free: 0, needed: 1 }), kept: undefined },
    // Who was sending when the depot was stopped goes on after its next start.
    { code: 'draining', why: failure('draining', {}), kept: { offset: 2, complete: false } },
  ])('that cannot be booked because of $code keeps what it should', async ({ code, why, kept }) => {
    let isBroken = false
    await using broken = await engine({
      wrap: (stores) => {
        const { tokens } = stores.ledger
        const use = async (id: string, bytes: number): Promise<void> => {
          if (isBroken) throw why
          await tokens.use(id, bytes)
        }
        const broken = {
          add: async (token: Parameters<typeof tokens.add>[0]) => await tokens.add(token),
          list: () => tokens.list(),
          byHash: (hash: Digest) => tokens.byHash(hash),
          revoke: async (id: string, atMs: number) => await tokens.revoke(id, atMs),
          use,
        }
        return { ...stores, ledger: { ...ledgerOf(stores), tokens: broken } }
      },
    })
    const own = await open(broken, broken.admin)
    const digest = digestOf('abc')
    const part = { digest, offset: 0, bytes: pieces('ab'), complete: false }
    isBroken = true
    expect(await outcomeOf(broken.depot.blobs.upload(broken.admin, own, part))).toBe(code)
    expect(await broken.depot.blobs.progress(own, digest)).toEqual(kept)
  })
})

function ledgerOf({ ledger }: Stores): Stores['ledger'] {
  const { generations, stages, changes, blobs, outcomes, tokens } = ledger
  return { generations, stages, changes, blobs, outcomes, tokens }
}

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

  it('that was made before a restart is live after it, and its quota counts on', async () => {
    await using folder = await temporaryFolder()
    let id = ''
    {
      await using before = await engine({ folder: folder.path })
      const made = await before.depot.access.create({ label: 'ci', scopes: ['read'], quotaBytes: 10 })
      id = made.token.id
      await before.depot.access.use(id, 7)
    }
    await using after = await engine({ folder: folder.path })
    expect(after.depot.access.isLive(id)).toBe(true)
    expect(await outcomeOf(after.depot.access.use(id, 4))).toBe('quota-exceeded')
    expect(await outcomeOf(after.depot.access.use(id, 3))).toBe('accepted')
  })
})
