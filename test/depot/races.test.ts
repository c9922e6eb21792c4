/**
 * What happens while a commit is under way: nothing that was acknowledged to a publisher is ever lost silently.
 */
import { setTimeout } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Ledger } from '../../src/ledger/ledger.ts'
import type { Pool } from '../../src/pool/pool.ts'
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

/** An engine in which something is done in the last moment before the ledger is told of a commit. */
async function engineWith(before: { act: () => Promise<void> }): Promise<Engine> {
  const late = async (): Promise<void> => {
    const { act } = before
    before.act = nothing
    await act()
  }
  const wrap = (stores: Stores): Stores => {
    const { ledger } = stores
    const generations = standIn(ledger.generations, {
      flip: async (flip) => {
        if (flip.stage !== undefined) await late()
        return await ledger.generations.flip(flip)
      },
    } as Partial<Ledger['generations']>)
    const stages = standIn(ledger.stages, {
      close: async (...how: Parameters<Ledger['stages']['close']>) => {
        if (how[1] === 'committed') await late()
        await ledger.stages.close(...how)
      },
    } as Partial<Ledger['stages']>)
    return { ...stores, ledger: standIn(ledger, { generations, stages }) }
  }
  return await engine({ wrap })
}

/** The same object but for some methods. */
function standIn<Thing extends object>(thing: Thing, others: Partial<Thing>): Thing {
  return new Proxy(thing, {
    get: (target, name) => {
      const found: unknown = name in others ? others[name as keyof Thing] : target[name as keyof Thing]
      return typeof found === 'function' ? (found.bind(name in others ? others : target) as unknown) : found
    },
  })
}

async function nothing(): Promise<void> {}

describe('a change that is acknowledged while its stage is committed', () => {
  it('makes the commit fail, and is in the next one', async () => {
    const before = { act: nothing }
    await using at = await engineWith(before)
    const stage = await open(at, at.admin)
    await stageRelease(at, at.admin, stage, { version: '1.0.0' })
    before.act = async () => {
      await stageRelease(at, at.admin, stage, { version: '1.1.0' })
    }
    expect(await outcomeOf(commit(at, at.admin, stage))).toBe('stage-changed')
    expect(at.depot.head.now().record.number).toBe(0)
    expect((await commit(at, at.admin, stage)).changed).toBe(true)
    expect(await offered(at)).toEqual(['hello 1.0.0', 'hello 1.1.0'])
  })

  it('is not lost either when there had been nothing to commit', async () => {
    const before = { act: nothing }
    await using at = await engineWith(before)
    const stage = await open(at, at.admin)
    before.act = async () => {
      await stageRelease(at, at.admin, stage, { version: '1.0.0' })
    }
    expect(await outcomeOf(commit(at, at.admin, stage))).toBe('stage-changed')
    expect((await commit(at, at.admin, stage)).changed).toBe(true)
    expect(await offered(at)).toEqual(['hello 1.0.0'])
  })
})

describe('a stage that ends while it is committed', () => {
  it('is not committed', async () => {
    const before = { act: nothing }
    await using at = await engineWith(before)
    const stage = await open(at, at.admin)
    await stageRelease(at, at.admin, stage)
    before.act = async () => {
      await at.depot.stages.abort(at.admin, stage.id)
    }
    expect(await outcomeOf(commit(at, at.admin, stage))).toBe('stage-expired')
    expect(at.depot.head.now().record.number).toBe(0)
  })
})

describe('many who add to one stage while it is committed again and again', () => {
  it('find everything that was acknowledged to them in some generation', async () => {
    await using at = await engine()
    const acknowledged: string[] = []
    let stage = await open(at, at.admin)
    let isOver = false
    const publisher = async (number: number): Promise<void> => {
      for (let round = 0; !isOver; round += 1) {
        const name = `package-${number}-${round}`
        const outcome = await outcomeOf(stageRelease(at, at.admin, stage, { name }))
        if (outcome === 'accepted') acknowledged.push(`${name} 1.0.0`)
        else expect(outcome).toBe('stage-expired')
        // Who adds without a pause leaves no moment for a commit.
        await setTimeout(Math.random() * 20)
      }
    }
    const publishers = [1, 2, 3].map(publisher)
    let [committed, refused] = [0, 0]
    const until = performance.now() + 20_000
    while (committed < 15 && performance.now() < until) {
      const before = acknowledged.length
      await expect.poll(() => acknowledged.length, { interval: 1 }).toBeGreaterThan(before)
      const outcome = await outcomeOf(commit(at, at.admin, stage))
      if (outcome === 'accepted') {
        committed += 1
        stage = await open(at, at.admin)
      } else {
        expect(outcome).toBe('stage-changed')
        refused += 1
      }
    }
    isOver = true
    await Promise.all(publishers)
    expect(committed).toBe(15)
    await commit(at, at.admin, stage)
    const there = new Set(await offered(at))
    expect(acknowledged.filter((release) => !there.has(release))).toEqual([])
    expect(acknowledged.length + refused).toBeGreaterThan(15)
  })
})

describe('a release that a member stages while its stage is committed', () => {
  /** Something happens while the commit looks at the blobs of its stage for the first time. */
  async function lateEngine(before: { act: () => Promise<unknown> }): Promise<Engine> {
    return await engine({
      wrap: (stores) => {
        const absent: Pool['absent'] = async (blobs) => {
          const { act } = before
          before.act = nothing
          await act()
          return await stores.pool.absent(blobs)
        }
        return { ...stores, pool: standIn(stores.pool, { absent }) }
      },
    })
  }

  it('is not committed without its blobs', async () => {
    const before: { act: () => Promise<unknown> } = { act: nothing }
    await using at = await lateEngine(before)
    const stage = await open(at, at.admin)
    await stageRelease(at, at.admin, stage, { version: '1.0.0' })
    const { text } = manifestOf({ version: '2.0.0', files: { 'b.txt': 'absent' } })
    const wish = { channel: 'stable', name: 'hello', version: '2.0.0' }
    before.act = async () => await at.depot.releases.put(at.admin, stage, wish, text)
    expect(await outcomeOf(commit(at, at.admin, stage))).toBe('blob-missing')
    expect(at.depot.head.now().record.number).toBe(0)
  })

  it('is not committed by somebody who may not publish there', async () => {
    const before: { act: () => Promise<unknown> } = { act: nothing }
    await using at = await lateEngine(before)
    const owner = await actorWith(at, 'publish:stable')
    const stage = await open(at, owner, { members: [at.admin.id] })
    await stageRelease(at, owner, stage, { version: '1.0.0' })
    before.act = async () => await stageRelease(at, at.admin, stage, { channel: 'secret' })
    expect(await outcomeOf(commit(at, owner, stage))).toBe('forbidden')
    expect(at.depot.head.now().record.number).toBe(0)
  })
})
