/**
 * Time: every generation stays what it was, is found by id, number or moment, and going back is a new generation
 * (PROTOCOL §9, I30).
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { differencesOf } from '../../src/depot/read/differences.ts'
import { findGeneration } from '../../src/depot/read/find-generation.ts'
import { digestOf } from '../../src/model/digest.ts'
import type { Generation } from '../../src/model/generation.ts'
import { instantOf } from '../../src/model/instant.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import {
  catalogOf,
  commit,
  type Engine,
  engine,
  offered,
  open,
  outcomeOf,
  published,
  stageRelease,
  viewOf,
} from './an-engine.ts'

const HOUR_MS = 3_600_000

let at: Engine
/** One an hour. */
let [first, second, third]: Generation[] = []

beforeEach(async () => {
  at = await engine()
  at.clock.advance(HOUR_MS)
  first = await published(at, { version: '1.0.0' })
  at.clock.advance(HOUR_MS)
  second = await published(at, { version: '1.1.0' }, { channel: 'other' })
  at.clock.advance(HOUR_MS)
  third = await published(at, { version: '2.0.0' })
})
afterEach(async () => {
  await at[Symbol.asyncDispose]()
})

function find(ref: string, head = at.depot.head): Generation {
  return findGeneration({ head, generations: at.depot.generations }, ref)
}

function created(generation: Generation | undefined, shiftMs = 0): string {
  return instantOf(Date.parse(generation!.record.created) + shiftMs)
}

describe('a generation is found', () => {
  it('by id, by number, with or without its g, and as the head', () => {
    expect(find(second!.gid)).toEqual(second)
    expect(find('2')).toEqual(second)
    expect(find('g2')).toEqual(second)
    expect(find('head')).toEqual(third)
    expect(find('0').record).toMatchObject({ parent: null, message: 'the empty depot' })
  })

  it('by a moment: the newest at or before it', () => {
    expect(find(created(second))).toEqual(second)
    expect(find(created(second, -1))).toEqual(first)
    expect(find(created(second, 1))).toEqual(second)
    expect(find('2999-01-01T00:00:00Z')).toEqual(third)
    expect(find(created(second).replace('Z', '+00:00'))).toEqual(second)
    const before = created(find('0'), -1)
    expect(() => find(before)).toThrow(/there is no generation/)
  })

  it('only up to the one that is looked from', () => {
    const from = { now: () => second! } as typeof at.depot.head
    expect(find('head', from)).toEqual(second)
    expect(find('2999-01-01T00:00:00Z', from)).toEqual(second)
    expect(() => find('3', from)).toThrow(/there is no generation/)
    expect(() => find(third!.gid, from)).toThrow(/there is no generation/)
  })

  it.each(['4', '999999999999999', 'g4', 'g2.aaaaaaaaaaaa.0123456789abcdef'])('%s is not there', (ref) => {
    expect(() => find(ref)).toThrow()
  })

  it.each(['', 'latest', '-1', '1.5', '01', '1e3', '2026-13-01T00:00:00Z', '2026-11-22', '0x1'])(
    '%j is none',
    (ref) => {
      expect(() => find(ref)).toThrow(/is not a generation/)
    },
  )
})

describe('an old generation', () => {
  it('is read as if nothing had come after it', async () => {
    expect(await offered(at, 'stable', first)).toEqual(['hello 1.0.0'])
    expect(await offered(at, 'stable', second)).toEqual(['hello 1.0.0', 'hello 1.1.0'])
    expect((await viewOf(at, first!)).channelNames()).toEqual(['stable'])
    expect((await viewOf(at, find('0'))).channelNames()).toEqual([])
  })

  it('is the same after a restart', async () => {
    await using folder = await temporaryFolder()
    const before: string[][] = []
    {
      await using own = await engine({ folder: folder.path })
      for (const version of ['1.0.0', '1.1.0', '2.0.0']) await published(own, { version })
      for (const generation of own.depot.generations.list({ kind: 'newest' }, 3))
        before.push([generation.gid, ...(await offered(own, 'stable', generation))])
    }
    await using again = await engine({ folder: folder.path })
    const after: string[][] = []
    for (const generation of again.depot.generations.list({ kind: 'newest' }, 3))
      after.push([generation.gid, ...(await offered(again, 'stable', generation))])
    expect(after).toEqual(before)
    expect(again.depot.head.now().gid).toBe(before[0]?.[0])
  })
})

describe('the difference of two generations', () => {
  async function changes(
    a: Generation | undefined,
    b: Generation | undefined,
    channel = 'stable',
  ): Promise<readonly string[]> {
    const [before, after] = [await viewOf(at, a!), await viewOf(at, b!)]
    const found: string[] = []
    for await (const { op, version, status } of differencesOf(
      at.depot.reader,
      before.known(channel),
      after.known(channel),
    ))
      found.push([op, version, status].filter(Boolean).join(' '))
    return found
  }

  it('names what was added, removed and changed, in either direction', async () => {
    const stage = await open(at, at.admin)
    await at.depot.releases.remove(at.admin, stage, { channel: 'stable', name: 'hello', version: '1.0.0' })
    await at.depot.releases.mark(
      at.admin,
      stage,
      { channel: 'stable', name: 'hello', version: '1.1.0' },
      { status: 'yanked' },
    )
    await stageRelease(at, at.admin, stage, { version: '3.0.0' })
    const { generation: fourth } = await commit(at, at.admin, stage)
    expect(await changes(third, fourth)).toEqual(['removed 1.0.0', 'changed 1.1.0 yanked', 'added 3.0.0'])
    expect(await changes(fourth, third)).toEqual(['added 1.0.0', 'changed 1.1.0', 'removed 3.0.0 '.trim()])
    expect(await changes(third, third)).toEqual([])
    expect(await changes(first, second, 'other')).toEqual(['added 1.0.0'])
    expect(await changes(second, first, 'other')).toEqual(['removed 1.0.0'])
    expect(await changes(first, second, 'constructor')).toEqual([])
  })
})

describe('a rollback', () => {
  async function rolledBack(to: Generation | undefined): Promise<Generation> {
    return (await at.depot.commits.rollback(at.admin, to!, { message: 'back' })).generation
  }

  it('is a new generation, greater than every earlier one, with the bytes of the old one', async () => {
    const fourth = await rolledBack(first)
    expect(fourth.record).toMatchObject({
      number: 4,
      parent: third!.gid,
      rollbackOf: third!.gid,
      message: 'back',
    })
    expect(await catalogOf(at, 'stable', fourth)).toEqual(await catalogOf(at, 'stable', first!))
    const [was, is] = [await viewOf(at, first!), await viewOf(at, fourth)]
    expect(is.channel('stable').releases).toEqual(was.channel('stable').releases)
    expect(is.channelNames()).toEqual(['stable'])
    expect(await offered(at, 'stable', third)).toEqual(['hello 1.0.0', 'hello 1.1.0', 'hello 2.0.0'])
  })

  it('keeps every name bound, also of channels that are gone with it', async () => {
    await rolledBack(first)
    const stage = await open(at, at.admin)
    const other = { files: { a: 'other bytes' } }
    expect(await outcomeOf(stageRelease(at, at.admin, stage, { ...other, version: '2.0.0' }))).toBe(
      'name-conflict',
    )
    expect(await outcomeOf(stageRelease(at, at.admin, stage, { ...other, channel: 'other' }))).toBe(
      'name-conflict',
    )
    expect(await outcomeOf(stageRelease(at, at.admin, stage, { version: '2.0.0' }))).toBe('accepted')
    await commit(at, at.admin, stage)
    expect(await offered(at)).toEqual(['hello 1.0.0', 'hello 2.0.0'])
  })

  it('can be rolled back, and back to the very beginning', async () => {
    const fourth = await rolledBack(find('0'))
    expect((await viewOf(at, fourth)).channelNames()).toEqual([])
    const fifth = await rolledBack(third)
    expect(await offered(at, 'stable', fifth)).toEqual(await offered(at, 'stable', third))
    expect(await offered(at, 'other', fifth)).toEqual(['hello 1.0.0'])
    expect(fifth.record.rollbackOf).toBe(fourth.gid)
  })

  it('to what the head has already makes no generation', async () => {
    const { commits } = at.depot
    expect(await commits.rollback(at.admin, third!, {})).toEqual({ generation: third, changed: false })
    const fourth = await rolledBack(second)
    expect(await commits.rollback(at.admin, second!, {})).toEqual({ generation: fourth, changed: false })
  })

  it('that had nothing to do is remembered as well, and undoes no later commit', async () => {
    const key = { text: 'key', bodyDigest: digestOf('body') }
    const { commits } = at.depot
    const answer = await commits.rollback(at.admin, third!, { key })
    const fourth = await published(at, { version: '3.0.0' })
    expect(await commits.rollback(at.admin, third!, { key })).toEqual(answer)
    expect([answer, at.depot.head.now()]).toEqual([{ generation: third, changed: false }, fourth])
  })

  it('that is sent again gets the same answer, whatever was committed meanwhile', async () => {
    const key = { text: 'key', bodyDigest: digestOf('body') }
    const { commits } = at.depot
    const fourth = await commits.rollback(at.admin, first!, { key })
    await published(at, { version: '3.0.0' })
    expect(await commits.rollback(at.admin, first!, { key })).toEqual(fourth)
    const other = { ...key, bodyDigest: digestOf('other') }
    expect(await outcomeOf(commits.rollback(at.admin, first!, { key: other }))).toBe('idempotency-mismatch')
    expect(at.depot.head.now().record.number).toBe(5)
  })

  it('is refused when it was meant for another head', async () => {
    const { gid } = second!
    expect(await outcomeOf(at.depot.commits.rollback(at.admin, first!, { onlyOn: gid }))).toBe('base-changed')
    expect(at.depot.head.now()).toEqual(third)
  })

  it('is a conflict for a stage that touches what went back, and none for others', async () => {
    const touched = await open(at, at.admin)
    await at.depot.releases.mark(
      at.admin,
      touched,
      { channel: 'stable', name: 'hello', version: '2.0.0' },
      { status: 'yanked' },
    )
    const untouched = await open(at, at.admin)
    await stageRelease(at, at.admin, untouched, { name: 'new' })
    await rolledBack(second)
    expect(await outcomeOf(commit(at, at.admin, touched))).toBe('conflict')
    await commit(at, at.admin, untouched)
    expect(await offered(at)).toEqual(['hello 1.0.0', 'hello 1.1.0', 'new 1.0.0'])
  })

  it('takes its turn among commits, and loses none of them', async () => {
    const stages = await Promise.all(
      [1, 2, 3].map(async (number) => {
        const stage = await open(at, at.admin)
        await stageRelease(at, at.admin, stage, { name: `package-${number}` })
        return stage
      }),
    )
    await Promise.all([
      ...stages.map(async (stage) => await commit(at, at.admin, stage)),
      rolledBack(second),
      rolledBack(third),
    ])
    const log = at.depot.generations.list({ kind: 'newest' }, 10)
    expect(log.map(({ record }) => record.number)).toEqual([8, 7, 6, 5, 4, 3, 2, 1, 0])
    expect(new Set(log.map(({ record }) => digestOf(JSON.stringify(record)))).size).toBe(9)
  })
})
