/**
 * Whatever an upstream does, and whenever the replica is stopped, cut off or started again: it never shows what is not
 * complete, never asks for what it has, and ends as the origin is.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Engine, engine, published, type Wished } from '../depot/an-engine.ts'
import { type Cut, Power, PowerCut } from '../depot/power.ts'
import { stillClock } from '../support/still-clock.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import {
  askedTwice,
  expectComplete,
  expectEqual,
  following,
  publishedAll,
  publishedLarge,
  replica,
} from './a-replica.ts'
import { cutOff, InProcess, type Step, silence, type Trouble } from './an-upstream.ts'

const LARGE = Buffer.from('large '.repeat(60_000))

type Ill = 'cut' | 'other' | 'short' | 'long' | 'absent' | 'silent' | 'stop'

/** What goes wrong, at which step after the last thing that went wrong. */
interface Mishap {
  readonly after: number
  readonly ill: Ill
}

const mishaps: fc.Arbitrary<readonly Mishap[]> = fc.array(
  fc.record({
    after: fc.integer({ min: 1, max: 60 }),
    ill: fc.constantFrom<Ill>('cut', 'other', 'short', 'long', 'absent', 'silent', 'stop'),
  }),
  { maxLength: 8 },
)

/** One mishap after the other; `stop` is told to who starts the replica again. */
function troubled(list: readonly Mishap[], stop: () => void): Trouble {
  const left = [...list]
  let next = left[0]?.after ?? Number.POSITIVE_INFINITY
  return async ({ number, kind }: Step, bytes) => {
    const mishap = number >= next ? left.shift() : undefined
    if (mishap === undefined) return bytes
    next = number + (left[0]?.after ?? Number.POSITIVE_INFINITY)
    switch (mishap.ill) {
      case 'cut':
        throw cutOff()
      case 'silent':
      case 'stop':
        stop()
        return await silence()
      case 'other':
        return bytes.length === 0 ? bytes : Buffer.from(bytes).fill('x', 0, 1 + bytes.length / 2)
      case 'short':
        return bytes.subarray(0, bytes.length / 2)
      case 'long':
        return Buffer.concat([bytes, Buffer.from('more')])
      case 'absent':
        // A head that is not told is not told later either, by one that lets nobody wait.
        return kind === 'head' ? bytes : undefined
    }
  }
}

/** Two levels of tree, files that many releases share, a large one, and two channels. */
async function publish(origin: Engine): Promise<void> {
  const many: readonly Wished[] = Array.from({ length: 150 }, (_, at) => ({
    name: `release-${at}`,
    files: { 'a.txt': `${at % 40}`, 'b.txt': 'the same' },
  }))
  await publishedAll(origin, 'stable', many)
  await publishedLarge(origin, '1.0.0', LARGE)
  await published(origin, { channel: 'other' }, { name: 'release-7', version: '2.0.0', files: { c: 'new' } })
}

async function endsAsTheOrigin(origin: Engine, list: readonly Mishap[]): Promise<void> {
  await using folder = await temporaryFolder()
  const head = origin.depot.head.now()
  let stopped: () => void = () => undefined
  const upstream = new InProcess(
    origin,
    troubled(list, () => stopped()),
  )
  for (let isDone = false; !isDone; ) {
    await using at = await replica({ folder: folder.path })
    if (at.depot.head.isThere()) await expectComplete(at)
    const twice = askedTwice(at, upstream)
    const stop = new Promise<'stopped'>((resolve) => {
      stopped = () => resolve('stopped')
    })
    await using follows = following(at, upstream)
    isDone = (await Promise.race([follows.shows(head), stop])) !== 'stopped'
    expect(twice).toEqual([])
    if (isDone) await expectEqual(at, origin, head)
  }
}

describe('a replica', () => {
  it('ends as its origin is, whatever happens on the way', { timeout: 300_000 }, async () => {
    await using origin = await engine()
    await publish(origin)
    await fc.assert(
      fc.asyncProperty(mishaps, async (list) => await endsAsTheOrigin(origin, list)),
      { numRuns: 40 },
    )
  })

  it.each(['before', 'after'] as const)(
    'whose power is cut %s any step goes on where it was',
    async (when) => {
      await using origin = await engine()
      await publish(origin)
      const outcomes: string[] = []
      while (outcomes.at(-1) !== 'survived')
        outcomes.push(await cutAt(origin, { at: outcomes.length + 1, when }))
      expect(outcomes.length).toBeGreaterThan(6)
      // Nothing is shown before the adoption, which is the last step.
      const others = when === 'before' ? ['survived'] : ['whole', 'survived']
      expect(outcomes.filter((outcome) => outcome !== 'nothing')).toEqual(others)
    },
  )
})

/** Cuts the power of a replica that copies, and starts it again. */
async function cutAt(origin: Engine, cut: Cut): Promise<'survived' | 'nothing' | 'whole'> {
  await using folder = await temporaryFolder()
  const clock = stillClock()
  const head = origin.depot.head.now()
  const power = new Power(cut)
  let isSurvived = false
  {
    const { promise: isOut, resolve } = Promise.withResolvers<false>()
    await using dying = await replica({ folder: folder.path, clock })
    const { pool, reserve, nodes, incoming, ledger } = power.wrap(dying.stores)
    await using follows = following(dying, new InProcess(origin), {
      pool,
      reserve,
      nodes,
      incoming,
      generations: ledger.generations,
      events: { failed: (error) => error instanceof PowerCut && resolve(false) },
    })
    isSurvived = await Promise.race([follows.shows(head).then(() => true), isOut])
  }
  await using reborn = await replica({ folder: folder.path, clock })
  const isWhole = reborn.depot.head.isThere()
  if (isWhole) await expectEqual(reborn, origin, head)
  const upstream = new InProcess(origin)
  const twice = askedTwice(reborn, upstream)
  await using follows = following(reborn, upstream)
  await follows.shows(head)
  await expectEqual(reborn, origin, head)
  expect(twice).toEqual([])
  if (isSurvived) return 'survived'
  return isWhole ? 'whole' : 'nothing'
}
