/** What a replica takes over of an upstream that cannot be trusted: nothing that its depot has not signed. */
import { describe, expect, it } from 'vitest'
import { encodeRecord, type Generation } from '../../../src/model/generation.ts'
import type { SigningKey } from '../../../src/model/keys/key.ts'
import { isSignedWell } from '../../../src/model/keys/signed.ts'
import { trustIn } from '../../../src/model/keys/trust.ts'
import { KeyFollower } from '../../../src/replica/keys/follow-keys.ts'
import { sleep } from '../../../src/replica/sleep.ts'
import type { SentRecord } from '../../../src/replica/upstream.ts'
import type { KeysBody } from '../../../src/wire/keys.ts'
import { type Engine, engine, OVERLAP_MS, published } from '../../depot/an-engine.ts'
import { keyOf } from '../../model/keys/some-keys.ts'
import { realRandom } from '../../support/real-world.ts'
import { stillClock } from '../../support/still-clock.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { expectEqual, type Following, following, replica, trustOver } from '../a-replica.ts'
import { InProcess } from '../an-upstream.ts'

/** What an upstream makes of the signatures of a record. */
type Lie = (sent: SentRecord) => readonly string[]

const evil: SigningKey = keyOf('evil')

/** An upstream that lies about signatures from now on, in its head or in its log, and perhaps about its keys. */
class Lying extends InProcess {
  lie: Lie = ({ signatures }) => signatures
  where: 'head' | 'log' | 'both' = 'both'
  told: KeysBody | undefined

  override async head(...asked: Parameters<InProcess['head']>): ReturnType<InProcess['head']> {
    const sent = await super.head(...asked)
    return sent && (this.where === 'log' ? sent : this.#lied(sent))
  }

  override async *log(...asked: Parameters<InProcess['log']>): AsyncGenerator<SentRecord> {
    for await (const sent of super.log(...asked)) yield this.where === 'head' ? sent : this.#lied(sent)
  }

  override async keys(): ReturnType<InProcess['keys']> {
    return this.told ?? (await super.keys())
  }

  #lied(sent: SentRecord): SentRecord {
    return { ...sent, signatures: this.lie(sent) }
  }
}

const LIES: Readonly<Record<string, { readonly lie: Lie; readonly code: string }>> = {
  'strips them': { lie: () => [], code: 'generation-unsigned' },
  'signs with a key of its own': {
    lie: ({ bytes }) => [evil.sign('generation', bytes)],
    code: 'generation-unsigned',
  },
  'swaps them': {
    lie: ({ signatures }) =>
      signatures.map((text) => text.slice(0, 34) + evil.sign('generation', Buffer.of(1)).slice(34)),
    code: 'signature-wrong',
  },
  'sends nonsense': { lie: () => ['nonsense'], code: 'signature-wrong' },
  'says that its own is the key of the depot': {
    lie: ({ bytes, signatures }) => [
      (signatures[0] ?? '').slice(0, 34) + evil.sign('generation', bytes).slice(34),
    ],
    code: 'signature-wrong',
  },
}

async function refused(follows: Following, code: string): Promise<void> {
  for (
    let tries = 0;
    follows.failures.every((error) => (error as { code?: string }).code !== code);
    tries += 1
  ) {
    if (tries > 2_000) throw new Error(`never ${code}`, { cause: follows.failures.at(-1) })
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

function ringOf(at: Engine): NonNullable<ReturnType<Engine['depot']['keys']['view']>> {
  return at.depot.keys.view()!
}

describe.each(Object.entries(LIES))('an upstream that %s', (_, { lie, code }) => {
  it.each(['head', 'log'] as const)(
    'in its %s is refused: the head stays, and goes on with an honest one',
    async (where) => {
      await using origin = await engine()
      await using at = await replica()
      const upstream = new Lying(origin)
      await using follows = following(at, upstream)
      const head = await published(origin, { version: '1.0.0' })
      await follows.shows(head)
      upstream.where = where
      upstream.lie = lie
      const next = await published(origin, { version: '2.0.0' })
      await refused(follows, code)
      expect(at.depot.head.now()).toEqual(head)
      expect(at.stores.ledger.generations.get(next.gid)).toBeUndefined()
      expect(follows.follower.state().refusal).toMatchObject({ code })
      upstream.lie = ({ signatures }) => signatures
      await follows.shows(next)
      await expectEqual(at, origin, next)
      expect(follows.follower.state().refusal).toBeUndefined()
    },
  )
})

describe('a replica', () => {
  it('keeps the first key that it sees, through a restart, and takes no other one for it', async () => {
    await using origin = await engine()
    await using stranger = await engine()
    await using at = await replica()
    const head = await published(origin, { version: '1.0.0' })
    {
      await using follows = following(at, new InProcess(origin))
      await follows.shows(head)
    }
    expect(ringOf(at).ring).toEqual(ringOf(origin).ring)
    await published(stranger, { version: '1.0.0' })
    await published(stranger, { version: '2.0.0' })
    await using follows = following(at, new InProcess(stranger))
    await refused(follows, 'key-untrusted')
    expect(follows.follower.state().refusal?.message).toContain(`--upstream-key ${ringOf(stranger).pinned}`)
    expect(at.depot.head.now()).toEqual(head)
    expect(ringOf(at).ring).toEqual(ringOf(origin).ring)
  })

  it('that was given a key follows no depot with another one, and shows nothing of it', async () => {
    await using origin = await engine()
    await using stranger = await engine()
    await using at = await replica()
    const head = await published(origin, { version: '1.0.0' })
    const given = ringOf(origin).pinned
    {
      const upstream = new InProcess(stranger)
      await using follows = following(at, upstream, { trust: trustOver(at, upstream, given) })
      await refused(follows, 'key-untrusted')
      expect(at.depot.head.isThere()).toBe(false)
    }
    const upstream = new InProcess(origin)
    await using follows = following(at, upstream, { trust: trustOver(at, upstream, given) })
    await follows.shows(head)
  })

  it('goes on with a key that was not led to when it is given that one', async () => {
    await using folder = await temporaryFolder()
    await using at = await replica()
    const head = await (async () => {
      await using origin = await engine({ folder: folder.path })
      await using follows = following(at, new InProcess(origin))
      const first = await published(origin, { version: '1.0.0' })
      await follows.shows(first)
      await origin.safe.drop(ringOf(origin).pinned)
      return first
    })()
    await using again = await engine({ folder: folder.path, replacesLostKey: true })
    const next = await published(again, { version: '2.0.0' })
    const upstream = new InProcess(again)
    {
      await using follows = following(at, upstream)
      await refused(follows, 'key-untrusted')
      expect(at.depot.head.now()).toEqual(head)
    }
    await using follows = following(at, upstream, { trust: trustOver(at, upstream, ringOf(again).pinned) })
    await follows.shows(next)
  })

  it('follows rotations, one and many, and takes nothing that only a key of the past has signed', async () => {
    const clock = stillClock()
    await using origin = await engine({ clock, keyOverlapMs: OVERLAP_MS })
    await using at = await replica()
    const upstream = new Lying(origin)
    await using follows = following(at, upstream)
    const old = ringOf(origin).pinned
    const privateOld = await origin.safe.open(old)
    for (const version of ['1.0.0', '2.0.0', '3.0.0']) {
      await follows.shows(await published(origin, { version }))
      await origin.depot.keys.rotate(ringOf(origin).pinned)
      clock.advance(2 * OVERLAP_MS)
      await follows.shows(await published(origin, { version: version.replace('.0.0', '.1.0') }))
      expect(ringOf(at).ring).toEqual(ringOf(origin).ring)
    }
    const head = at.depot.head.now()
    // Somebody has got the key of long ago.
    upstream.lie = ({ bytes }) => [privateOld!.sign('generation', bytes)]
    const next = await published(origin, { version: '9.0.0' })
    await refused(follows, 'generation-unsigned')
    expect(at.depot.head.now()).toEqual(head)
    upstream.lie = ({ signatures }) => signatures
    await follows.shows(next)
  })

  it('loses nothing of what it is told at the same time', async () => {
    await using origin = await engine()
    const upstream = new InProcess(origin)
    const told = [(await upstream.keys())!]
    for (let count = 0; count < 3; count += 1) {
      await origin.depot.keys.rotate(ringOf(origin).pinned)
      told.push((await upstream.keys())!)
    }
    for (const order of [told, told.toReversed(), [told[3]!, told[0]!, told[2]!, told[1]!]]) {
      await using at = await replica()
      const trust = trustOver(at, upstream)
      await trust.take(told[0]!)
      await Promise.all(order.map(async (body) => await trust.take(body)))
      expect(ringOf(at).ring).toEqual(ringOf(origin).ring)
    }
  })

  it('never forgets that a key was retired, though an upstream says so no more', async () => {
    await using origin = await engine()
    await using at = await replica()
    const upstream = new Lying(origin)
    const trust = trustOver(at, upstream)
    await using follows = following(at, upstream, { trust })
    await follows.shows(await published(origin, { version: '1.0.0' }))
    const old = ringOf(origin).pinned
    const privateOld = (await origin.safe.open(old))!
    await origin.depot.keys.rotate(old)
    const before = (await upstream.keys())!
    await origin.depot.keys.retire(old)
    await trust.take((await upstream.keys())!)
    upstream.told = before
    await trust.take(before)
    expect(ringOf(at).ring).toEqual(ringOf(origin).ring)
    upstream.lie = ({ bytes }) => [privateOld.sign('generation', bytes)]
    origin.clock.advance(1)
    await published(origin, { version: '2.0.0' })
    await refused(follows, 'generation-unsigned')
  })
})

describe('a replica that follows the keys', () => {
  /** A depot of before there were keys, in its own words: neither signatures nor keys. */
  class Unsigned extends Lying {
    isOld = true
    override lie: Lie = ({ signatures }) => (this.isOld ? [] : signatures)
    readonly #moved: (() => void)[] = []

    async keysAfter(
      edition: string | undefined,
      waitMs: number,
      signal: AbortSignal,
    ): Promise<KeysBody | undefined> {
      if (this.isOld) return await this.keys()
      const body = await this.keys()
      if (waitMs === 0 || body?.edition !== edition) return body
      await new Promise<void>((resolve) => {
        this.#moved.push(resolve)
        signal.addEventListener('abort', () => {
          resolve()
        })
      })
      return await this.keys()
    }

    override async keys(): ReturnType<InProcess['keys']> {
      if (!this.isOld) return await super.keys()
      const { failure } = await import('../../../src/model/errors.ts')
      throw failure('not-found', { what: 'route' })
    }

    moved(): void {
      for (const wake of this.#moved.splice(0)) wake()
    }
  }

  it('gets signatures of all that it has once its origin signs, and hears of a rotation without a commit', async () => {
    await using origin = await engine()
    await using at = await replica()
    const upstream = new Unsigned(origin)
    const trust = trustOver(at, upstream)
    await using follows = following(at, upstream, { trust })
    for (const version of ['1.0.0', '2.0.0', '3.0.0'])
      await follows.shows(await published(origin, { version }))
    expect(at.depot.head.now().signatures).toEqual([])
    expect(at.depot.keys.view()).toBeUndefined()
    const stop = new AbortController()
    const adopted: string[] = []
    let heard = Promise.withResolvers<void>()
    const keys = new KeyFollower({
      trust,
      keysAfter: async (edition, waitMs, signal) => await upstream.keysAfter(edition, waitMs, signal),
      upstream,
      generations: at.stores.ledger.generations,
      head: at.depot.head,
      clock: at.clock,
      random: realRandom,
      sleep,
      events: {
        adopted: (current) => void adopted.push(current),
        signed: () => {
          heard.resolve()
        },
      },
    })
    const running = keys.run(stop.signal)
    upstream.isOld = false
    const next = await published(origin, { version: '4.0.0' })
    await follows.shows(next)
    await heard.promise
    await expectEqual(at, origin, next)
    const trusted = await trustIn(ringOf(origin).ring, ringOf(origin).pinned)
    const isSigned = ({ record, ...one }: Generation): boolean =>
      isSignedWell({ ...one, record, bytes: encodeRecord(record) }, trusted)
    expect(at.depot.generations.list({ kind: 'newest' }, 100).map(isSigned)).toEqual([
      true,
      true,
      true,
      true,
      true,
    ])

    heard = Promise.withResolvers<void>()
    await origin.depot.keys.rotate(ringOf(origin).pinned)
    const moved = at.depot.keys.movedFrom(at.depot.keys.edition(), 20_000, stop.signal)
    upstream.moved()
    expect(await moved).toBe(true)
    expect(ringOf(at).ring).toEqual(ringOf(origin).ring)
    stop.abort()
    upstream.moved()
    await running
    expect(adopted.at(-1)).toBe(ringOf(origin).pinned)
  })
})
