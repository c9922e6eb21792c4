/**
 * What a stage does to releases and channels, and what is refused when it is staged already: a bound name, a frozen
 * channel, something that is not there.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Stage } from '../../src/ledger/ledger.ts'
import { keyOf } from '../../src/metaset/key.ts'
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
} from './an-engine.ts'

let at: Engine
let stage: Stage

beforeEach(async () => {
  at = await engine()
  await published(at, { version: '1.0.0' }, { version: '1.1.0' })
  stage = await open(at, at.admin)
})
afterEach(async () => {
  await at[Symbol.asyncDispose]()
})

function release(version = '1.0.0', name = 'hello', channel = 'stable') {
  return { channel, name, version }
}

describe('putting a release', () => {
  it('makes its channel when there is none', async () => {
    await stageRelease(at, at.admin, stage, { channel: 'new' })
    await commit(at, at.admin, stage)
    expect(at.depot.views.at(at.depot.head.now())?.channelNames()).toEqual(['new', 'stable'])
    expect(await offered(at, 'new')).toEqual(['hello 1.0.0'])
  })

  it('again, with the same bytes in another form, is nothing', async () => {
    const { text } = manifestOf()
    const pretty = Buffer.from(JSON.stringify(JSON.parse(text.toString()), null, 2))
    const { manifest } = await at.depot.releases.put(at.admin, stage, release(), pretty)
    expect(manifest).toBe(manifestOf().digest)
    const { changed, generation } = await commit(at, at.admin, stage)
    expect([changed, generation]).toEqual([false, at.depot.head.now()])
  })

  it('with other bytes under a committed version is refused, in every way there is', async () => {
    const other = { files: { 'a.txt': 'other' } }
    expect(await outcomeOf(stageRelease(at, at.admin, stage, other))).toBe('name-conflict')
    const many = at.depot.releases.putAll(at.admin, stage, 'stable', [
      manifestOf({ version: '3.0.0' }).text,
      manifestOf(other).text,
    ])
    expect(await outcomeOf(many)).toBe('name-conflict')
    expect(at.depot.ledger.changes.count(stage.id)).toBe(0)
    expect(await outcomeOf(stageRelease(at, at.admin, stage, { ...other, channel: 'elsewhere' }))).toBe(
      'accepted',
    )
  })

  it('twice in one stage keeps the last', async () => {
    await stageRelease(at, at.admin, stage, { version: '2.0.0', files: { a: 'first' } })
    const last = await stageRelease(at, at.admin, stage, { version: '2.0.0', files: { a: 'last' } })
    const { generation } = await commit(at, at.admin, stage)
    const view = await at.depot.views.of(generation)
    expect((await view.release(release('2.0.0'))).manifest).toBe(last)
  })

  it('whose manifest disagrees with the URL is refused', async () => {
    for (const wish of [release('1.0.1'), release('1.0.0', 'other')])
      expect(await outcomeOf(at.depot.releases.put(at.admin, stage, wish, manifestOf().text))).toBe(
        'manifest-invalid',
      )
  })

  it.each([
    ['is not JSON', '{', 'manifest-invalid'],
    ['is empty', '', 'manifest-invalid'],
    [
      'has a path twice',
      JSON.stringify({ name: 'n', version: '1.0.0', files: twice('a', 'a') }),
      'path-invalid',
    ],
    [
      'has a path that leaves',
      JSON.stringify({ name: 'n', version: '1.0.0', files: twice('a', '../b') }),
      'path-invalid',
    ],
    ['has no semver', JSON.stringify({ name: 'n', version: '1.0', files: [] }), 'version-invalid'],
    ['has a name that is none', JSON.stringify({ name: '', version: '1.0.0', files: [] }), 'name-invalid'],
  ])('that %s is refused, and nothing is staged', async (_, text, problem) => {
    const wish = { channel: 'stable', name: 'n', version: '1.0.0' }
    expect(await outcomeOf(at.depot.releases.put(at.admin, stage, wish, Buffer.from(text)))).toBe(problem)
    expect(at.depot.ledger.changes.count(stage.id)).toBe(0)
  })

  it('many at once: all of them or none', async () => {
    const texts = ['3.0.0', '3.1.0', '3.2.0'].map((version) => manifestOf({ version }).text)
    expect(
      await outcomeOf(at.depot.releases.putAll(at.admin, stage, 'stable', [...texts, Buffer.from('{}')])),
    ).toBe('manifest-invalid')
    expect(at.depot.ledger.changes.count(stage.id)).toBe(0)
    await at.depot.releases.putAll(at.admin, stage, 'stable', texts)
    await commit(at, at.admin, stage)
    expect(await offered(at)).toEqual(['1.0.0', '1.1.0', '3.0.0', '3.1.0', '3.2.0'].map((v) => `hello ${v}`))
  })
})

describe('removing a release', () => {
  it('takes it out of the catalog and leaves its name bound', async () => {
    await at.depot.releases.remove(at.admin, stage, release())
    await commit(at, at.admin, stage)
    expect(await offered(at)).toEqual(['hello 1.1.0'])
    const next = await open(at, at.admin)
    expect(await outcomeOf(stageRelease(at, at.admin, next, { files: { a: 'other' } }))).toBe('name-conflict')
    expect(await outcomeOf(stageRelease(at, at.admin, next))).toBe('accepted')
    await commit(at, at.admin, next)
    expect(await offered(at)).toEqual(['hello 1.0.0', 'hello 1.1.0'])
  })

  it('that is not there is refused, also when it was removed in this stage', async () => {
    expect(await outcomeOf(at.depot.releases.remove(at.admin, stage, release('9.0.0')))).toBe('not-found')
    expect(await outcomeOf(at.depot.releases.remove(at.admin, stage, release('1.0.0', 'none')))).toBe(
      'not-found',
    )
    expect(
      await outcomeOf(at.depot.releases.remove(at.admin, stage, release('1.0.0', 'hello', 'none'))),
    ).toBe('not-found')
    await at.depot.releases.remove(at.admin, stage, release())
    expect(await outcomeOf(at.depot.releases.remove(at.admin, stage, release()))).toBe('not-found')
  })

  it('that was only staged is as if it had never been', async () => {
    await stageRelease(at, at.admin, stage, { version: '2.0.0' })
    await at.depot.releases.remove(at.admin, stage, release('2.0.0'))
    expect((await commit(at, at.admin, stage)).changed).toBe(false)
    const next = await open(at, at.admin)
    // It was never committed, so it is bound to nothing.
    expect(await outcomeOf(stageRelease(at, at.admin, next, { version: '2.0.0', files: { a: 'b' } }))).toBe(
      'accepted',
    )
  })

  it('and putting it back in the same stage is nothing', async () => {
    await at.depot.releases.remove(at.admin, stage, release())
    await stageRelease(at, at.admin, stage)
    expect((await commit(at, at.admin, stage)).changed).toBe(false)
  })
})

describe('marking a release', () => {
  it('shows in the catalog, changes nothing else, and can be taken back', async () => {
    await at.depot.releases.mark(at.admin, stage, release(), { status: 'yanked', reason: 'it bites' })
    const before = (await at.depot.views.of(at.depot.head.now())).metaset.channels['stable']
    await commit(at, at.admin, stage)
    expect(await offered(at)).toEqual(['hello 1.0.0 yanked', 'hello 1.1.0'])
    const view = await at.depot.views.of(at.depot.head.now())
    expect(await view.release(release())).toMatchObject({ status: 'yanked', reason: 'it bites' })
    expect(view.metaset.channels['stable']?.bound).toEqual(before?.bound)
    const next = await open(at, at.admin)
    await at.depot.releases.mark(at.admin, next, release(), { status: null })
    await commit(at, at.admin, next)
    expect(await offered(at)).toEqual(['hello 1.0.0', 'hello 1.1.0'])
    expect((await at.depot.views.of(at.depot.head.now())).metaset.channels['stable']).toEqual(before)
  })

  it('that was only staged marks what is staged', async () => {
    await stageRelease(at, at.admin, stage, { version: '2.0.0' })
    await at.depot.releases.mark(at.admin, stage, release('2.0.0'), { status: 'deprecated' })
    await commit(at, at.admin, stage)
    expect(await offered(at)).toEqual(['hello 1.0.0', 'hello 1.1.0', 'hello 2.0.0 deprecated'])
  })

  it('that is not there is refused', async () => {
    expect(
      await outcomeOf(at.depot.releases.mark(at.admin, stage, release('9.0.0'), { status: 'yanked' })),
    ).toBe('not-found')
  })
})

describe('a frozen channel', () => {
  beforeEach(async () => {
    await at.depot.releases.setChannel(at.admin, stage, 'stable', true)
    await commit(at, at.admin, stage)
    stage = await open(at, at.admin)
  })

  it('takes no change, from nobody', async () => {
    const publisher = await actorWith(at, 'publish:stable')
    const own = await open(at, publisher)
    for (const [actor, opened] of [
      [publisher, own],
      [at.admin, stage],
    ] as const) {
      expect(await outcomeOf(stageRelease(at, actor, opened, { version: '2.0.0' }))).toBe('channel-frozen')
      expect(await outcomeOf(at.depot.releases.remove(actor, opened, release()))).toBe('channel-frozen')
      expect(await outcomeOf(at.depot.releases.mark(actor, opened, release(), { status: 'yanked' }))).toBe(
        'channel-frozen',
      )
    }
    expect(await offered(at)).toEqual(['hello 1.0.0', 'hello 1.1.0'])
  })

  it('takes changes again when it is unfrozen, also in the same stage', async () => {
    await at.depot.releases.setChannel(at.admin, stage, 'stable', false)
    await stageRelease(at, at.admin, stage, { version: '2.0.0' })
    await commit(at, at.admin, stage)
    expect(await offered(at)).toEqual(['hello 1.0.0', 'hello 1.1.0', 'hello 2.0.0'])
  })

  it('is frozen with what the stage had put before', async () => {
    await at.depot.releases.setChannel(at.admin, stage, 'stable', false)
    await stageRelease(at, at.admin, stage, { version: '2.0.0' })
    await at.depot.releases.setChannel(at.admin, stage, 'stable', true)
    await commit(at, at.admin, stage)
    expect(await offered(at)).toContain('hello 2.0.0')
    const next = await open(at, at.admin)
    expect(await outcomeOf(stageRelease(at, at.admin, next, { version: '3.0.0' }))).toBe('channel-frozen')
  })
})

describe('a channel that is taken away', () => {
  beforeEach(async () => {
    await at.depot.releases.removeChannel(at.admin, stage, 'stable')
    await commit(at, at.admin, stage)
    stage = await open(at, at.admin)
  })

  it('is gone from the head and stays in older generations', async () => {
    const { generations, views, head } = at.depot
    expect(views.at(head.now())?.channelNames()).toEqual([])
    const [, before] = generations.list({ kind: 'newest' }, 2)
    expect(await offered(at, 'stable', before)).toEqual(['hello 1.0.0', 'hello 1.1.0'])
    expect(await outcomeOf(at.depot.releases.removeChannel(at.admin, stage, 'stable'))).toBe('not-found')
    expect(await outcomeOf(at.depot.releases.remove(at.admin, stage, release()))).toBe('not-found')
  })

  it('keeps its names bound when it comes again', async () => {
    expect(await outcomeOf(stageRelease(at, at.admin, stage, { files: { a: 'other' } }))).toBe(
      'name-conflict',
    )
    await stageRelease(at, at.admin, stage)
    await commit(at, at.admin, stage)
    expect(await offered(at)).toEqual(['hello 1.0.0'])
  })
})

describe('names of channels', () => {
  it.each(['', '.', '..', 'Stable', 'a b', '../x', '__proto__', 'a/b', 'é', 'x'.repeat(65)])(
    '%j is refused',
    async (channel) => {
      expect(await outcomeOf(stageRelease(at, at.admin, stage, { channel }))).toBe('name-invalid')
      expect(await outcomeOf(at.depot.releases.setChannel(at.admin, stage, channel, false))).toBe(
        'name-invalid',
      )
    },
  )

  it('that mean something to JavaScript are names like others', async () => {
    for (const channel of ['constructor', 'tostring', 'valueof'])
      await stageRelease(at, at.admin, stage, { channel, name: channel })
    await commit(at, at.admin, stage)
    expect(await offered(at, 'constructor')).toEqual(['constructor 1.0.0'])
    const view = await at.depot.views.of(at.depot.head.now())
    expect(() => view.channel('toString')).toThrow(/there is no channel/)
    expect(() => view.channel('__proto__')).toThrow(/there is no channel/)
  })
})

function twice(...paths: readonly string[]): readonly object[] {
  return paths.map((path) => ({ path, digest: manifestOf().digest, size: 1 }))
}

describe('two who change the same release of a stage at once', () => {
  const wish = { channel: 'stable', name: 'hello', version: '1.0.0' }

  it('are as if one came after the other: a mark brings nothing back that was taken away', async () => {
    await using own = await engine()
    await published(own, { version: '1.0.0' })
    const stage = await open(own, own.admin)
    const { releases } = own.depot
    const [removed, marked] = await Promise.all([
      outcomeOf(releases.remove(own.admin, stage, wish)),
      outcomeOf(releases.mark(own.admin, stage, wish, { status: 'yanked' })),
    ])
    await commit(own, own.admin, stage)
    expect([removed, marked, await offered(own)]).toEqual(['accepted', 'not-found', []])
  })

  it('lose no manifest to a mark that was made of the one before', async () => {
    await using own = await engine()
    const stage = await open(own, own.admin)
    await stageRelease(own, own.admin, stage, { version: '1.0.0' })
    const { text, digest, blobs } = manifestOf({ version: '1.0.0', files: { b: 'other' } })
    await own.depot.blobs.putAll(own.admin, stage, blobs)
    for (let round = 0; round < 20; round += 1)
      await Promise.all([
        own.depot.releases.mark(own.admin, stage, wish, { status: round % 2 === 0 ? 'yanked' : null }),
        own.depot.releases.put(own.admin, stage, wish, text),
      ])
    const row = own.stores.ledger.changes.get(
      stage.id,
      'stable',
      keyOf(wish.name as never, wish.version as never),
    )
    expect(JSON.parse(row ?? '{}')).toMatchObject({ release: { manifest: digest } })
  })
})
