/** What a depot signs, with which keys, and what a crash leaves of that. */
import { describe, expect, it } from 'vitest'
import { DiskKeySafe } from '../../../src/app/key-safe.ts'
import type { Ledger } from '../../../src/ledger/ledger.ts'
import { encodeRecord, type Generation } from '../../../src/model/generation.ts'
import { parseInstant } from '../../../src/model/instant.ts'
import type { KeyId } from '../../../src/model/keys/key.ts'
import { demandSigned, signersOf } from '../../../src/model/keys/signed.ts'
import { trustIn } from '../../../src/model/keys/trust.ts'
import { LIMITS } from '../../../src/model/limits.ts'
import { realRandom } from '../../support/real-world.ts'
import { stillClock } from '../../support/still-clock.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { type Engine, engine, OVERLAP_MS, outcomeOf, published, type Stores } from '../an-engine.ts'
import { Power } from '../power.ts'

function currentOf({ depot }: Engine): KeyId {
  return depot.keys.view()!.pinned
}

/** Every generation is signed by keys that this one leads to; and by whom the newest is. */
async function signersIn(at: Engine, pinned: KeyId = currentOf(at)): Promise<readonly KeyId[]> {
  const trust = await trustIn(at.depot.keys.view()!.ring, pinned)
  for (const generation of at.depot.generations.list({ kind: 'newest' }, 1_000))
    demandSigned({ ...generation, bytes: encodeRecord(generation.record) }, trust)
  return signersOf(at.depot.head.now().signatures)
}

/** A ledger as it was before there were keys. */
function ofBefore(stores: Stores): Stores {
  const { generations } = stores.ledger
  const flip: Ledger['generations']['flip'] = async (signed) =>
    await generations.flip({ ...signed, signatures: [] })
  const unsigned = new Proxy(generations, {
    get: (target, name) => {
      if (name === 'flip') return flip
      const method: unknown = Reflect.get(target, name)
      return typeof method === 'function' ? (method.bind(target) as unknown) : method
    },
  })
  return { ...stores, ledger: { ...stores.ledger, generations: unsigned } }
}

describe('a depot', () => {
  it('signs every generation from the first one on', async () => {
    await using at = await engine()
    expect(await signersIn(at)).toEqual([currentOf(at)])
    const { generation } = { generation: await published(at, { version: '1.0.0' }) }
    expect(at.stores.ledger.generations.get(generation.gid)).toEqual(generation)
    await at.depot.commits.rollback(at.admin, at.depot.generations.list({ kind: 'newest' }, 2)[1]!, {})
    expect(at.depot.head.now().record.number).toBe(2)
    expect(await signersIn(at)).toEqual([currentOf(at)])
  })

  it('signs with the same key after a restart', async () => {
    await using folder = await temporaryFolder()
    const heads: Generation[] = []
    const keys: KeyId[] = []
    for (const version of ['1.0.0', '2.0.0']) {
      await using at = await engine({ folder: folder.path })
      if (heads.length > 0) expect(at.depot.head.now()).toEqual(heads.at(-1))
      heads.push(await published(at, { version }))
      keys.push(currentOf(at))
    }
    expect(keys[0]).toBe(keys[1])
  })

  it('signs with both keys as long as they overlap, and then with the new one alone', async () => {
    await using at = await engine()
    const { clock, depot, safe } = at
    const old = currentOf(at)
    expect(await depot.keys.rotate(old)).toBe(true)
    const next = currentOf(at)
    expect(next).not.toBe(old)
    // Created when the overlap ends, and a moment later.
    clock.advance(OVERLAP_MS)
    await published(at, { version: '1.0.0' })
    expect(await signersIn(at)).toEqual([next, old])
    expect((await safe.list()).length).toBe(2)
    clock.advance(1)
    await published(at, { version: '2.0.0' })
    expect(await signersIn(at)).toEqual([next])
    expect(await signersIn(at, old)).toEqual([next])
    await depot.keys.tidy()
    expect(await safe.list()).toEqual([next])
  })

  it('rotates once, however often it is asked, and refuses what makes no sense', async () => {
    await using at = await engine()
    const { keys } = at.depot
    const old = currentOf(at)
    await keys.rotate(old)
    const next = currentOf(at)
    expect(await keys.rotate(old)).toBe(false)
    expect(currentOf(at)).toBe(next)
    expect(await outcomeOf(keys.rotate(`k${'0'.repeat(32)}`))).toBe('not-found')
    expect(await outcomeOf(keys.rotate('nonsense'))).toBe('bad-request')
    expect(await outcomeOf(keys.retire(next))).toBe('bad-request')
    expect(await outcomeOf(keys.retire(`k${'0'.repeat(32)}`))).toBe('not-found')
    for (let count = 2; count < LIMITS.signingKeys; count += 1) await keys.rotate(currentOf(at))
    expect(await outcomeOf(keys.rotate(currentOf(at)))).toBe('limit-exceeded')
  })

  it('ends an overlap when it is told to: nothing after the head is signed by the old key', async () => {
    await using at = await engine()
    const { depot, safe, clock } = at
    const old = currentOf(at)
    await depot.keys.rotate(old)
    // The clock goes back: what comes is later than the head all the same.
    const head = await published(at, { version: '1.0.0' })
    clock.advance(-3_600_000)
    expect(await depot.keys.retire(old)).toBe(true)
    expect(await depot.keys.retire(old)).toBe(false)
    expect(await safe.list()).toEqual([currentOf(at)])
    const after = await published(at, { version: '2.0.0' })
    expect(parseInstant(after.record.created)).toBeGreaterThan(parseInstant(head.record.created))
    expect(await signersIn(at)).toEqual([currentOf(at)])
    expect(await signersIn(at, old)).toEqual([currentOf(at)])
  })

  it('tells those who wait that its ring is another one', async () => {
    await using at = await engine()
    const { keys } = at.depot
    const seen = keys.edition()
    const moved = keys.movedFrom(seen, 20_000, new AbortController().signal)
    await keys.rotate(currentOf(at))
    expect(await moved).toBe(true)
    expect(await keys.movedFrom(seen, 20_000, new AbortController().signal)).toBe(true)
    const waits = keys.movedFrom(keys.edition(), 20_000, new AbortController().signal)
    keys.release()
    expect(await waits).toBe(false)
  })
})

describe('a log of before there were keys', () => {
  it('is signed when it is opened, whole, before anybody sees it; and goes on where that was cut off', async () => {
    await using folder = await temporaryFolder()
    const clock = stillClock()
    {
      await using old = await engine({ folder: folder.path, clock, wrap: ofBefore })
      for (let count = 0; count < 150; count += 1) await published(old, { version: `${count}.0.0` })
      expect(old.depot.head.now().signatures).toEqual([])
    }
    let cuts = 0
    for (let at = 1; cuts === at - 1; at += 1) {
      const power = new Power({ at, when: 'after' })
      const opened = engine({ folder: folder.path, clock, wrap: (stores) => power.wrap(stores) })
      const isCut = await opened.then(
        async (one) => {
          await one[Symbol.asyncDispose]()
          return false
        },
        () => true,
      )
      if (isCut) cuts += 1
    }
    // One transaction for each 128 generations; every start went on where the one before it was.
    expect(cuts).toBeGreaterThan(0)
    await using at = await engine({ folder: folder.path, clock })
    expect(at.depot.head.now().record.number).toBe(150)
    expect(await signersIn(at)).toEqual([currentOf(at)])
  }, 60_000)
})

describe('a key that is lost', () => {
  it('is not replaced before somebody says so; then the new one signs all, and no old one leads to it', async () => {
    await using folder = await temporaryFolder()
    const safe = new DiskKeySafe({ folder: folder.path, random: realRandom })
    let old: KeyId
    {
      await using at = await engine({ folder: folder.path, safe })
      await published(at, { version: '1.0.0' })
      old = currentOf(at)
    }
    await safe.drop(old)
    expect(await outcomeOf(engine({ folder: folder.path, safe }))).toBe('data-unusable')
    for (const replacesLostKey of [true, false]) {
      await using at = await engine({ folder: folder.path, safe, replacesLostKey })
      const next = currentOf(at)
      expect(next).not.toBe(old)
      expect(at.depot.head.now().record.number).toBe(1)
      expect(await signersIn(at)).toContain(next)
      await expect(signersIn(at, old)).rejects.toMatchObject({ code: 'generation-unsigned' })
    }
  })
})

it.each(['before', 'after'] as const)(
  'a rotation and a retirement leave a depot that signs, when the power is cut %s any step',
  async (when) => {
    const found = new Set<number>()
    for (let step = 1, isSurvived = false; !isSurvived; step += 1) {
      await using folder = await temporaryFolder()
      const clock = stillClock()
      let old: KeyId
      {
        await using before = await engine({ folder: folder.path, clock })
        old = currentOf(before)
      }
      {
        const power = new Power({ at: step, when })
        const disk = new DiskKeySafe({ folder: folder.path, random: realRandom })
        const wrap = (stores: Stores): Stores => power.wrap(stores)
        const dying = await engine({ folder: folder.path, clock, wrap, safe: power.wrapSafe(disk) }).catch(
          () => undefined,
        )
        if (dying !== undefined) {
          isSurvived = await dying.depot.keys
            .rotate(old)
            .then(async () => await dying.depot.keys.retire(old))
            .catch(() => false)
          await dying[Symbol.asyncDispose]()
        }
      }
      await using reborn = await engine({ folder: folder.path, clock })
      const { ring } = reborn.depot.keys.view()!
      found.add(ring.keys.length)
      await published(reborn, { version: '1.0.0' })
      expect(await signersIn(reborn)).toContain(currentOf(reborn))
      expect(await signersIn(reborn, old)).toContain(currentOf(reborn))
      // No private key lies there that signs nothing.
      const signing = reborn.depot.keys.view()!.standings.filter(({ state }) => state !== 'retired')
      expect(await reborn.safe.list()).toEqual(signing.map(({ id }) => id).sort())
    }
    expect([...found].toSorted((one, other) => one - other)).toEqual([1, 2])
  },
)
