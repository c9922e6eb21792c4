/**
 * Blobs of a stage: declared, uploaded, wanted by manifests, and demanded by the commit.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { missingBlobs } from '../../src/depot/commit/closure.ts'
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
    expect([asked, used()]).toEqual([3, 100])
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
})

describe('uploads', () => {
  it('are bounded in number', async () => {
    const gate = Promise.withResolvers<void>()
    async function* waiting(): AsyncGenerator<Uint8Array> {
      await gate.promise
      yield Buffer.from('x')
    }
    const upload = async (text: string, bytes: AsyncIterable<Uint8Array>) =>
      await at.depot.blobs.upload(at.admin, stage, {
        digest: digestOf(text),
        offset: 0,
        bytes,
        complete: false,
      })
    const held = Array.from(
      { length: LIMITS.parallelUploads },
      async (_, number) => await upload(`${number}`, waiting()),
    )
    expect(await outcomeOf(upload('one more', pieces('x')))).toBe('hold-limit')
    gate.resolve()
    await Promise.all(held)
    expect(await outcomeOf(upload('one more', pieces('x')))).toBe('accepted')
  })
})
