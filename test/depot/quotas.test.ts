/**
 * Quotas: what a token may upload, and what of its uploads counts.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Actor } from '../../src/depot/actor.ts'
import type { Stage } from '../../src/ledger/ledger.ts'
import { type Digest, digestOf } from '../../src/model/digest.ts'
import { failure } from '../../src/model/errors.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { actorWith, type Engine, engine, manifestOf, open, outcomeOf, type Stores } from './an-engine.ts'

let at: Engine

beforeEach(async () => {
  at = await engine()
})
afterEach(async () => {
  await at[Symbol.asyncDispose]()
})

const RELEASE = { channel: 'stable', name: 'hello', version: '1.0.0' }

async function* pieces(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text)
}

async function nothing(): Promise<void> {
  await Promise.resolve()
}

/** Somebody with so small a quota, and what of it is used. */
async function poor(quotaBytes: number): Promise<readonly [Actor, () => number]> {
  const { token } = await at.depot.access.create({ label: 'ci', scopes: ['publish:*'], quotaBytes })
  const used = (): number => at.depot.access.list().find(({ id }) => id === token.id)?.usedBytes ?? -1
  return [{ id: token.id, label: 'ci', scopes: token.scopes }, used]
}

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

  it('is not touched by a batch that failed, and what failed may come again', async () => {
    const [actor, used] = await poor(100)
    const own = await open(at, actor)
    const blob = { digest: digestOf('x'.repeat(60)), bytes: Buffer.from('x'.repeat(60)) }
    const wrong = { ...blob, digest: digestOf('something else') }
    for (let time = 0; time < 3; time += 1)
      expect(await outcomeOf(at.depot.blobs.putAll(actor, own, [wrong]))).toBe('digest-mismatch')
    expect(used()).toBe(0)
    expect(await outcomeOf(at.depot.blobs.putAll(actor, own, [blob]))).toBe('accepted')
    expect(used()).toBe(60)
  })

  it('is not touched by manifests that could not be staged', async () => {
    const [actor, used] = await poor(10_000)
    const own = await open(at, actor)
    await at.depot.stages.abort(actor, own.id)
    expect(await outcomeOf(at.depot.releases.put(actor, own, RELEASE, manifestOf().text))).toBe(
      'stage-expired',
    )
    expect(used()).toBe(0)
  })

  it('has what is on its way counted when blobs are declared', async () => {
    const [actor] = await poor(100)
    const own = await open(at, actor)
    const declared = [{ digest: digestOf('x'), size: 60 }]
    const allowance = at.depot.access.allowance(actor.id)
    allowance.hold(41)
    expect(await outcomeOf(at.depot.blobs.missing(actor, own, declared))).toBe('quota-exceeded')
    await allowance.settle(0)
    expect(await outcomeOf(at.depot.blobs.missing(actor, own, declared))).toBe('accepted')
  })

  it('is nothing for a token that nobody knows, or that was revoked', async () => {
    const [actor] = await poor(100)
    const own = await open(at, actor)
    const blob = { digest: digestOf('x'), bytes: Buffer.from('x') }
    await at.depot.access.revoke(actor.id)
    for (const nobody of [actor, { ...actor, id: 't-nobody' }]) {
      expect(() => at.depot.access.allowance(nobody.id)).toThrow(/the token was revoked/)
      expect(await outcomeOf(at.depot.blobs.putAll(nobody, own, [blob]))).toBe('unauthorised')
      expect(await outcomeOf(at.depot.blobs.missing(nobody, own, [{ ...blob, size: 1 }]))).toBe(
        'unauthorised',
      )
    }
    expect(await at.stores.pool.open(blob.digest)).toBeUndefined()
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

  it('counts on after a restart, for a token that is live still', async () => {
    await using folder = await temporaryFolder()
    let id = ''
    {
      await using before = await engine({ folder: folder.path })
      const made = await before.depot.access.create({ label: 'ci', scopes: ['read'], quotaBytes: 10 })
      id = made.token.id
      await before.depot.access.charge(id, 7, nothing)
    }
    await using after = await engine({ folder: folder.path })
    expect(after.depot.access.isLive(id)).toBe(true)
    expect(await outcomeOf(after.depot.access.charge(id, 4, nothing))).toBe('quota-exceeded')
    expect(await outcomeOf(after.depot.access.charge(id, 3, nothing))).toBe('accepted')
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
          edition: () => tokens.edition(),
          since: (edition: string | undefined) => tokens.since(edition),
          adopt: async (change: Parameters<typeof tokens.adopt>[0]) => await tokens.adopt(change),
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
  const { generations, stages, changes, blobs, outcomes, tokens, ring, notes } = ledger
  return { generations, stages, changes, blobs, outcomes, tokens, ring, notes }
}
