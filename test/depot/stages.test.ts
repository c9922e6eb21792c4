/**
 * The life of a stage: who may use it, when it ends, and what becomes of what was in it.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/model/limits.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import {
  actorWith,
  commit,
  type Engine,
  engine,
  IDLE_MS,
  manifestOf,
  offered,
  open,
  outcomeOf,
  published,
  stageRelease,
} from './an-engine.ts'

let at: Engine

beforeEach(async () => {
  at = await engine()
})
afterEach(async () => {
  await at[Symbol.asyncDispose]()
})

describe('a stage', () => {
  it('opens on the head, for whoever may publish somewhere', async () => {
    const publisher = await actorWith(at, 'publish:stable')
    const stage = await open(at, publisher)
    expect(stage).toMatchObject({
      state: 'open',
      owner: publisher.id,
      base: at.depot.head.now().gid,
      edition: 0,
    })
    expect(at.depot.stages.list(publisher)).toEqual([stage])
    for (const scope of ['read', 'replicate'])
      expect(await outcomeOf(open(at, await actorWith(at, scope)))).toBe('forbidden')
  })

  it('belongs to the token that opened it, to its members and to admins', async () => {
    const owner = await actorWith(at, 'publish:stable')
    const member = await actorWith(at, 'publish:stable')
    const stranger = await actorWith(at, 'publish:*')
    const stage = await open(at, owner, { members: [member.id] })
    for (const actor of [owner, member, at.admin]) {
      expect(at.depot.stages.show(actor, stage.id).id).toBe(stage.id)
      expect(at.depot.stages.list(actor).length).toBe(1)
    }
    expect(at.depot.stages.list(stranger)).toEqual([])
    expect(() => at.depot.stages.show(stranger, stage.id)).toThrow(/lacks the scope member/)
    expect(() => at.depot.stages.use(stranger, stage.id)).toThrow(/lacks the scope/)
    expect(await outcomeOf(at.depot.stages.abort(stranger, stage.id))).toBe('forbidden')
    await stageRelease(at, member, stage, { name: 'of-the-member' })
    await stageRelease(at, owner, stage, { name: 'of-the-owner' })
    await commit(at, member, stage)
    expect(await offered(at)).toEqual(['of-the-member 1.0.0', 'of-the-owner 1.0.0'])
    expect(at.depot.head.now().record.publisher).toBe(member.label)
  })

  it('takes releases only for channels that the token covers', async () => {
    const publisher = await actorWith(at, 'publish:stable')
    const stage = await open(at, publisher)
    expect(await outcomeOf(stageRelease(at, publisher, stage, { channel: 'other' }))).toBe('forbidden')
    expect(await outcomeOf(stageRelease(at, publisher, stage))).toBe('accepted')
    expect(await outcomeOf(at.depot.releases.setChannel(publisher, stage, 'stable', true))).toBe('forbidden')
    expect(await outcomeOf(at.depot.releases.removeChannel(publisher, stage, 'stable'))).toBe('forbidden')
  })

  it('that nobody touches expires, and one that is used does not', async () => {
    const idle = await open(at, at.admin)
    const used = await open(at, at.admin)
    at.clock.advance(IDLE_MS - 1)
    at.depot.stages.use(at.admin, used.id)
    at.clock.advance(1)
    // It may not be used from that moment on, whether or not anybody has swept it yet.
    expect(() => at.depot.stages.use(at.admin, idle.id)).toThrow(/is expired/)
    expect(await at.depot.stages.expire()).toEqual([idle.id])
    expect(at.depot.stages.show(at.admin, idle.id).state).toBe('expired')
    expect(at.depot.stages.use(at.admin, used.id).state).toBe('open')
    expect(await outcomeOf(commit(at, at.admin, idle))).toBe('stage-expired')
    expect(await outcomeOf(stageRelease(at, at.admin, idle))).toBe('stage-expired')
    at.clock.advance(IDLE_MS)
    expect(await at.depot.stages.expire()).toEqual([used.id])
  })

  it('in which something is under way does not expire, however long that takes', async () => {
    const [busy, idle] = [await open(at, at.admin), await open(at, at.admin)]
    const gate = Promise.withResolvers<void>()
    const work = at.depot.stages.during(at.admin, busy.id, async () => await gate.promise)
    at.clock.advance(2 * IDLE_MS)
    expect(await at.depot.stages.expire()).toEqual([idle.id])
    gate.resolve()
    await work
    at.clock.advance(IDLE_MS - 1)
    expect(await at.depot.stages.expire()).toEqual([])
    at.clock.advance(1)
    expect(await at.depot.stages.expire()).toEqual([busy.id])
  })

  it('in which pieces come has its time moved at most once a second', async () => {
    const { id } = await open(at, at.admin)
    const expires = (): number => at.depot.stages.show(at.admin, id).expiresMs - at.clock.now()
    await at.depot.stages.during(at.admin, id, async (_stage, alive) => {
      at.clock.advance(999)
      alive()
      expect(expires()).toBe(IDLE_MS - 999)
      at.clock.advance(1)
      alive()
      expect(expires()).toBe(IDLE_MS)
      await Promise.resolve()
    })
  })

  it('that expired keeps nobody from opening it anew, and leaves nothing visible', async () => {
    const stage = await open(at, at.admin)
    await stageRelease(at, at.admin, stage)
    at.clock.advance(IDLE_MS)
    await at.depot.stages.expire()
    expect(at.depot.views.at(at.depot.head.now())?.channelNames()).toEqual([])
    expect(await published(at, {})).toMatchObject({ record: { number: 1 } })
  })

  it('that is aborted is gone, once and for all', async () => {
    const stage = await open(at, at.admin)
    await stageRelease(at, at.admin, stage)
    await at.depot.stages.abort(at.admin, stage.id)
    expect(at.depot.stages.show(at.admin, stage.id).state).toBe('aborted')
    expect(at.depot.stages.list(at.admin)).toEqual([])
    expect(await outcomeOf(at.depot.stages.abort(at.admin, stage.id))).toBe('accepted')
    expect(await outcomeOf(commit(at, at.admin, stage))).toBe('stage-expired')
    expect(() => at.depot.stages.use(at.admin, stage.id)).toThrow(/is aborted/)
  })

  it('that is committed cannot be aborted or added to', async () => {
    const stage = await open(at, at.admin)
    await stageRelease(at, at.admin, stage)
    await commit(at, at.admin, stage)
    expect(await outcomeOf(at.depot.stages.abort(at.admin, stage.id))).toBe('stage-expired')
    expect(await outcomeOf(stageRelease(at, at.admin, stage, { version: '2.0.0' }))).toBe('stage-expired')
    expect(at.depot.stages.show(at.admin, stage.id)).toMatchObject({
      state: 'committed',
      committed: at.depot.head.now().gid,
    })
  })

  it('that is unknown is unknown to everybody', () => {
    for (const id of ['', 's0', 'nonsense', `s${'0'.repeat(30)}`, 'a'.repeat(10_000)])
      expect(() => at.depot.stages.show(at.admin, id)).toThrow(/there is no stage/)
  })

  it('takes its uploads with it', async () => {
    const [kept, ended] = [await open(at, at.admin), await open(at, at.admin)]
    for (const stage of [kept, ended])
      await at.depot.blobs.upload(at.admin, stage, {
        digest: manifestOf().digest,
        offset: 0,
        bytes: (async function* () {
          yield Buffer.alloc(1000)
        })(),
        size: 2000,
        complete: false,
      })
    await at.depot.stages.abort(at.admin, ended.id)
    await at.depot.stages.expire()
    const ids: string[] = []
    for await (const { id } of at.stores.incoming.list()) ids.push(id)
    expect(ids.map((id) => id.slice(0, id.indexOf('-')))).toEqual([kept.id])
  })

  it('is one of a bounded number that its token may have open, however many are opened at once', async () => {
    const opening = Array.from({ length: LIMITS.openStagesPerToken }, async () => await open(at, at.admin))
    const [first] = await Promise.all(opening)
    expect(await outcomeOf(open(at, at.admin))).toBe('limit-exceeded')
    await at.depot.stages.abort(at.admin, first!.id)
    expect(await outcomeOf(open(at, at.admin))).toBe('accepted')
  })
})

describe('a stage over a restart', () => {
  it('goes on with all that was in it, and its time goes on too', async () => {
    await using folder = await temporaryFolder()
    const { clock } = at
    let id = ''
    {
      await using before = await engine({ folder: folder.path, clock })
      const stage = await open(before, before.admin)
      await stageRelease(before, before.admin, stage)
      id = stage.id
    }
    await using after = await engine({ folder: folder.path, clock })
    const stage = after.depot.stages.use(after.admin, id)
    await stageRelease(after, after.admin, stage, { version: '1.1.0' })
    clock.advance(IDLE_MS - 1)
    expect(await after.depot.stages.expire()).toEqual([])
    await commit(after, after.admin, stage)
    expect(await offered(after)).toEqual(['hello 1.0.0', 'hello 1.1.0'])
  })
})
