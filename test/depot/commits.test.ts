/**
 * Committing: stages rebase by themselves, every real conflict is listed, one request makes one generation however
 * often it is sent, and what was acknowledged is never lost (PROTOCOL §8, I28, I29).
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { channelsOf, releaseChangesOf } from '../../src/depot/commit/rows.ts'
import type { Stage } from '../../src/ledger/ledger.ts'
import { encodeMetaset } from '../../src/metaset/metaset.ts'
import { digestOf } from '../../src/model/digest.ts'
import { DepotError } from '../../src/model/errors.ts'
import type { Conflict } from '../../src/model/failures.ts'
import { encodeRecord, gidOf } from '../../src/model/generation.ts'
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
  published,
  stageRelease,
  type Wished,
} from './an-engine.ts'

let at: Engine

beforeEach(async () => {
  at = await engine()
  await published(at, { version: '1.0.0' }, { version: '1.1.0' })
})
afterEach(async () => {
  await at[Symbol.asyncDispose]()
})

async function staged(wish: Wished): Promise<Stage> {
  const stage = await open(at, at.admin)
  await stageRelease(at, at.admin, stage, wish)
  return stage
}

async function conflictsOf(stage: Stage): Promise<readonly Conflict[]> {
  try {
    await commit(at, at.admin, stage)
  } catch (error) {
    if (error instanceof DepotError && error.code === 'conflict')
      return error.details['conflicts'] as readonly Conflict[]
    throw error
  }
  throw new Error('there was no conflict')
}

const KEY = { text: 'key', bodyDigest: digestOf('body') }
const RELEASE = { channel: 'stable', name: 'hello', version: '1.0.0' }

describe('a commit', () => {
  it('makes a record that names its parent and hashes to its id', async () => {
    const parent = at.depot.head.now()
    at.clock.advance(5)
    const { generation } = await commit(at, at.admin, await staged({ version: '2.0.0' }), { message: 'two' })
    expect(generation.record).toMatchObject({
      v: 1,
      number: parent.record.number + 1,
      lineage: parent.record.lineage,
      parent: parent.gid,
      parentDigest: digestOf(encodeRecord(parent.record)),
      publisher: 'admin',
      message: 'two',
    })
    expect(gidOf(generation.record)).toBe(generation.gid)
    expect(at.depot.head.now()).toEqual(generation)
    expect(at.depot.generations.get(generation.gid)).toEqual(generation)
  })

  it('is younger than its parent although the clock stands still or goes back', async () => {
    const first = await published(at, { version: '2.0.0' })
    const second = await published(at, { version: '2.1.0' })
    at.clock.advance(-86_400_000)
    const third = await published(at, { version: '2.2.0' })
    const times = [first, second, third].map(({ record }) => Date.parse(record.created))
    expect([times[1]! - times[0]!, times[2]! - times[1]!]).toEqual([1, 1])
  })

  it('of an empty stage makes no generation, and the stage ends with the head', async () => {
    const head = at.depot.head.now()
    const stage = await open(at, at.admin)
    expect(await commit(at, at.admin, stage, { key: KEY })).toEqual({ generation: head, changed: false })
    expect(await commit(at, at.admin, stage, { key: KEY })).toEqual({ generation: head, changed: false })
    const other = commit(at, at.admin, stage, { key: { ...KEY, bodyDigest: digestOf('other') } })
    expect(await outcomeOf(other)).toBe('idempotency-mismatch')
    expect(at.depot.head.now()).toEqual(head)
    expect(at.depot.stages.show(at.admin, stage.id)).toMatchObject({
      state: 'committed',
      committed: head.gid,
    })
  })

  it('that changed nothing says so again when it is sent again, whatever was committed meanwhile', async () => {
    const stage = await open(at, at.admin)
    await published(at, { version: '2.0.0' })
    const first = await commit(at, at.admin, stage, { key: KEY })
    expect(first.changed).toBe(false)
    await published(at, { version: '2.1.0' })
    expect(await commit(at, at.admin, stage, { key: KEY })).toEqual(first)
    expect(await commit(at, at.admin, stage)).toEqual(first)
  })

  it('by a token that does not own the stage is refused', async () => {
    const stage = await staged({ version: '2.0.0' })
    const stranger = await actorWith(at, 'publish:*')
    expect(await outcomeOf(commit(at, stranger, stage))).toBe('forbidden')
  })
})

describe('a commit that is sent again', () => {
  it('with the same key gets the same generation, also after others have committed', async () => {
    const stage = await staged({ version: '2.0.0' })
    const first = await commit(at, at.admin, stage, { key: KEY })
    await published(at, { version: '3.0.0' })
    expect(await commit(at, at.admin, stage, { key: KEY })).toEqual(first)
    expect(at.depot.head.now().record.number).toBe(3)
  })

  it('with the same key and another body is refused', async () => {
    const stage = await staged({ version: '2.0.0' })
    await commit(at, at.admin, stage, { key: KEY })
    const other = commit(at, at.admin, stage, { key: { ...KEY, bodyDigest: digestOf('other') } })
    expect(await outcomeOf(other)).toBe('idempotency-mismatch')
  })

  it('with another key, or with none, gets the same generation: a stage is committed once', async () => {
    const stage = await staged({ version: '2.0.0' })
    const first = await commit(at, at.admin, stage, { key: KEY })
    expect(await commit(at, at.admin, stage, { key: { ...KEY, text: 'another' } })).toEqual(first)
    expect(await commit(at, at.admin, stage)).toEqual(first)
  })

  it('with If-Match gets the same generation although the head is another one by now', async () => {
    const stage = await staged({ version: '2.0.0' })
    const onlyOn = at.depot.head.now().gid
    const first = await commit(at, at.admin, stage, { key: KEY, onlyOn })
    expect(await commit(at, at.admin, stage, { key: KEY, onlyOn })).toEqual(first)
  })

  it('ten times at once makes one generation (I28)', async () => {
    const stage = await staged({ version: '2.0.0' })
    const before = at.depot.head.now().record.number
    const outcomes = await Promise.all(
      Array.from({ length: 10 }, async () => await commit(at, at.admin, stage, { key: KEY })),
    )
    expect(new Set(outcomes.map(({ generation }) => generation.gid)).size).toBe(1)
    expect(outcomes.every(({ changed }) => changed)).toBe(true)
    expect(at.depot.head.now().record.number).toBe(before + 1)
  })

  it('with one key for two stages makes two generations: the key belongs to the stage', async () => {
    const stages = [await staged({ version: '2.0.0' }), await staged({ version: '2.1.0' })]
    for (const stage of stages) expect((await commit(at, at.admin, stage, { key: KEY })).changed).toBe(true)
    expect(at.depot.head.now().record.number).toBe(3)
  })

  it('after it was refused is tried anew', async () => {
    const stage = await open(at, at.admin)
    const { text, blobs } = manifestOf({ version: '2.0.0', files: { a: 'not there yet' } })
    await at.depot.releases.put(at.admin, stage, { ...RELEASE, version: '2.0.0' }, text)
    expect(await outcomeOf(commit(at, at.admin, stage, { key: KEY }))).toBe('blob-missing')
    await at.depot.blobs.putAll(at.admin, stage, blobs)
    expect((await commit(at, at.admin, stage, { key: KEY })).changed).toBe(true)
  })
})

describe('If-Match', () => {
  it('lets exactly one of two win (I29)', async () => {
    const stages = [await staged({ version: '2.0.0' }), await staged({ version: '2.1.0' })]
    const onlyOn = at.depot.head.now().gid
    const outcomes = await Promise.all(
      stages.map(async (stage) => await outcomeOf(commit(at, at.admin, stage, { onlyOn }))),
    )
    expect(outcomes.sort()).toEqual(['accepted', 'base-changed'])
    const [loser] = stages.filter((stage) => at.depot.stages.show(at.admin, stage.id).state === 'open')
    const again = { onlyOn: at.depot.head.now().gid }
    expect((await commit(at, at.admin, loser!, again)).changed).toBe(true)
  })

  it('with a generation that is not the head is refused, whichever it is', async () => {
    const stage = await staged({ version: '2.0.0' })
    const [, parent] = at.depot.generations.list({ kind: 'newest' }, 2)
    expect(await outcomeOf(commit(at, at.admin, stage, { onlyOn: parent!.gid }))).toBe('base-changed')
    const foreign = 'g7.aaaaaaaaaaaa.0123456789abcdef' as never
    expect(await outcomeOf(commit(at, at.admin, stage, { onlyOn: foreign }))).toBe('base-changed')
  })
})

describe('stages that were opened on one base', () => {
  it('both win when they touch different releases', async () => {
    const [one, two] = [await staged({ version: '2.0.0' }), await staged({ channel: 'other' })]
    await commit(at, at.admin, two)
    await commit(at, at.admin, one)
    expect(await offered(at)).toEqual(['hello 1.0.0', 'hello 1.1.0', 'hello 2.0.0'])
    expect(await offered(at, 'other')).toEqual(['hello 1.0.0'])
  })

  it('both win when they put the same release with the same bytes', async () => {
    const [one, two] = [await staged({ version: '2.0.0' }), await staged({ version: '2.0.0' })]
    expect((await commit(at, at.admin, one)).changed).toBe(true)
    expect((await commit(at, at.admin, two)).changed).toBe(false)
  })

  it('win all when twenty are committed at once, one generation each', async () => {
    const stages = await Promise.all(
      Array.from({ length: 20 }, async (_, number) => await staged({ name: `package-${number}` })),
    )
    const outcomes = await Promise.all(stages.map(async (stage) => await commit(at, at.admin, stage)))
    const numbers = outcomes.map(({ generation }) => generation.record.number)
    expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, number) => number + 2))
    expect((await offered(at)).length).toBe(22)
    const log = at.depot.generations.list({ kind: 'newest' }, 100)
    for (const [index, { record }] of log.entries()) expect(record.parent).toBe(log[index + 1]?.gid ?? null)
  })
})

describe('a conflict', () => {
  it('is told of a release that got other bytes meanwhile', async () => {
    const [mine, theirs] = [
      await staged({ version: '2.0.0', files: { a: 'mine' } }),
      await staged({ version: '2.0.0', files: { a: 'theirs' } }),
    ]
    await commit(at, at.admin, theirs)
    const conflicts = await conflictsOf(mine)
    for (const conflict of conflicts) expect(conflict).toMatchObject({ ...RELEASE, version: '2.0.0' })
    expect(conflicts.map(({ reason }) => reason).sort()).toEqual(['bound', 'changed'])
    expect(at.depot.stages.show(at.admin, mine.id).state).toBe('open')
  })

  it('is told of a name that was bound and taken away again meanwhile', async () => {
    const mine = await staged({ version: '2.0.0', files: { a: 'mine' } })
    await published(at, { version: '2.0.0', files: { a: 'theirs' } })
    const removal = await open(at, at.admin)
    await at.depot.releases.remove(at.admin, removal, { ...RELEASE, version: '2.0.0' })
    await commit(at, at.admin, removal)
    expect(await conflictsOf(mine)).toEqual([{ ...RELEASE, version: '2.0.0', reason: 'bound' }])
  })

  it('is told of a release that was marked or removed meanwhile', async () => {
    for (const act of ['mark', 'remove'] as const) {
      const [mine, theirs] = [await open(at, at.admin), await open(at, at.admin)]
      await at.depot.releases.mark(at.admin, mine, RELEASE, { status: 'deprecated' })
      if (act === 'mark') await at.depot.releases.mark(at.admin, theirs, RELEASE, { status: 'yanked' })
      else await at.depot.releases.remove(at.admin, theirs, RELEASE)
      await commit(at, at.admin, theirs)
      expect(await conflictsOf(mine)).toEqual([{ ...RELEASE, reason: 'changed' }])
    }
  })

  it('is none where both made the same of a release', async () => {
    const [mine, theirs] = [await open(at, at.admin), await open(at, at.admin)]
    for (const stage of [mine, theirs])
      await at.depot.releases.mark(at.admin, stage, RELEASE, { status: 'yanked', reason: 'both' })
    await commit(at, at.admin, theirs)
    expect((await commit(at, at.admin, mine)).changed).toBe(false)
  })

  it('is told of a channel that was frozen meanwhile', async () => {
    const mine = await staged({ version: '2.0.0' })
    const theirs = await open(at, at.admin)
    await at.depot.releases.setChannel(at.admin, theirs, 'stable', true)
    await commit(at, at.admin, theirs)
    expect(await conflictsOf(mine)).toEqual([{ channel: 'stable', reason: 'frozen' }])
  })

  it('is told of settings that were changed meanwhile', async () => {
    const [mine, theirs] = [await open(at, at.admin), await open(at, at.admin)]
    await at.depot.releases.setChannel(at.admin, mine, 'stable', false)
    await stageRelease(at, at.admin, mine, { version: '2.0.0' })
    await at.depot.releases.setChannel(at.admin, theirs, 'stable', true)
    await commit(at, at.admin, theirs)
    expect(await conflictsOf(mine)).toEqual([{ channel: 'stable', reason: 'settings' }])
  })

  it('is told of a channel that was taken away meanwhile', async () => {
    const mine = await staged({ version: '2.0.0' })
    const theirs = await open(at, at.admin)
    await at.depot.releases.removeChannel(at.admin, theirs, 'stable')
    await commit(at, at.admin, theirs)
    expect(await conflictsOf(mine)).toEqual([{ channel: 'stable', reason: 'deleted' }])
  })

  it('is told to who would take a channel away in which something was published meanwhile', async () => {
    const mine = await open(at, at.admin)
    await at.depot.releases.removeChannel(at.admin, mine, 'stable')
    await published(at, { version: '2.0.0' })
    expect(await conflictsOf(mine)).toEqual([{ channel: 'stable', reason: 'changed' }])
    expect(await offered(at)).toContain('hello 2.0.0')
  })

  it('lists every key, of every channel, and commits nothing of the stage', async () => {
    const mine = await open(at, at.admin)
    const names = ['a', 'b', 'c']
    for (const channel of ['stable', 'other'])
      for (const name of names)
        await stageRelease(at, at.admin, mine, { channel, name, files: { a: 'mine' } })
    await stageRelease(at, at.admin, mine, { name: 'innocent' })
    await published(
      at,
      ...['stable', 'other'].flatMap((channel) =>
        names.map((name) => ({ channel, name, files: { a: 'theirs' } })),
      ),
    )
    const head = at.depot.head.now()
    const conflicts = await conflictsOf(mine)
    const keys = new Set(conflicts.map(({ channel, name }) => `${channel} ${name}`))
    expect([...keys].sort()).toEqual(['other a', 'other b', 'other c', 'stable a', 'stable b', 'stable c'])
    expect(at.depot.head.now()).toEqual(head)
    expect(await outcomeOf(at.depot.commits.preview(at.depot.stages.show(at.admin, mine.id)))).toBe(
      'conflict',
    )
  })
})

describe('a preview', () => {
  it('is byte for byte what is then committed', async () => {
    const stage = await staged({ version: '2.0.0' })
    await stageRelease(at, at.admin, stage, { channel: 'new', name: 'other' })
    await at.depot.releases.mark(at.admin, stage, RELEASE, { status: 'yanked' })
    // The stage is rebased in the preview as it is in the commit.
    await published(at, { name: 'from-others' })
    const preview = await at.depot.commits.preview(at.depot.stages.show(at.admin, stage.id))
    const { generation } = await commit(at, at.admin, stage)
    expect(digestOf(encodeMetaset(preview))).toBe(generation.record.metaset)
    expect((await at.depot.views.of(generation)).metaset).toEqual(preview)
  })

  it('changes nothing', async () => {
    const stage = await staged({ version: '2.0.0' })
    const head = at.depot.head.now()
    await at.depot.commits.preview(at.depot.stages.show(at.admin, stage.id))
    expect(at.depot.head.now()).toEqual(head)
    expect(await offered(at)).toEqual(['hello 1.0.0', 'hello 1.1.0'])
  })
})

describe('a stage of many channels', () => {
  async function stageOf(channels: number): Promise<Stage> {
    const stage = await open(at, at.admin)
    const rows = Array.from({ length: channels }, (_, number) => ({
      channel: `channel-${number}`,
      key: '',
      value: JSON.stringify({ kind: 'settings', format: 'semver', frozen: false }),
    }))
    await at.stores.ledger.changes.write(stage.id, rows)
    return stage
  }

  it('is refused before anything is planned when they are too many', async () => {
    const nodes = vi.spyOn(at.depot.nodes, 'pack')
    expect(await outcomeOf(commit(at, at.admin, await stageOf(LIMITS.channels)))).toBe('limit-exceeded')
    expect(nodes).not.toHaveBeenCalled()
  })

  it('reads few rows for each of them', async () => {
    const stage = await stageOf(LIMITS.channels - 1)
    let read = 0
    const { changes } = at.stores.ledger
    const counting: Pick<typeof changes, 'list'> = {
      list: (...how) => {
        const rows = changes.list(...how)
        read += rows.length
        return rows
      },
    }
    const names = channelsOf(counting, stage.id)
    for (const name of names) expect([...releaseChangesOf(counting, stage.id, name)]).toEqual([])
    expect(names).toHaveLength(LIMITS.channels - 1)
    expect(read).toBeLessThan(6 * LIMITS.channels)
  })
})
