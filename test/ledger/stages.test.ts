/**
 * The life of a stage: open, touched, ended; a stage that is in use never expires.
 */
import { describe, expect, it } from 'vitest'
import type { StageId } from '../../src/ledger/ledger.ts'
import { digestOf } from '../../src/model/digest.ts'
import { LIMITS } from '../../src/model/limits.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { FIRST_MS, flipped, openedLedger, openStage, StandingClock, stageOn } from './a-ledger.ts'

const DAY_MS = 86_400_000

describe('a stage', () => {
  it('is what was opened, also after a restart', async () => {
    await using folder = await temporaryFolder()
    const before = await openedLedger(folder.path)
    const stage = stageOn((await flipped(before, 1)).gid, 's1', { members: ['token-2'], message: 'spring' })
    await before.stages.open(stage)
    expect(before.stages.get(stage.id)).toEqual(stage)
    await before[Symbol.asyncDispose]()

    await using after = await openedLedger(folder.path)
    expect(after.stages.get(stage.id)).toEqual({ ...stage, expiresMs: stage.expiresMs + 60_000 })
  })

  it('is unknown under an id that nobody has, whatever characters it is made of', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    for (const id of ['', 's2', 'ä', 'a b', 'x'.repeat(1_000), 'a\0b'] as StageId[]) {
      expect(ledger.stages.get(id)).toBeUndefined()
      expect(ledger.changes.list(id, undefined, 10)).toEqual([])
      ledger.stages.touch(id, FIRST_MS)
      await expect(ledger.changes.write(id, [])).rejects.toMatchObject({ code: 'stage-unknown' })
      await expect(ledger.blobs.lease(id, [])).rejects.toMatchObject({ code: 'stage-unknown' })
      await expect(ledger.stages.close(id, 'aborted')).rejects.toMatchObject({ code: 'stage-unknown' })
    }
  })

  it('is listed while it is open, oldest first', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    await openStage(ledger, 'a', { createdMs: 3 })
    await openStage(ledger, 'b', { createdMs: 1 })
    await openStage(ledger, 'c', { createdMs: 2 })
    await ledger.stages.close('c' as StageId, 'aborted')
    expect(ledger.stages.listOpen().map((stage) => stage.id)).toEqual(['b', 'a'])
    expect(ledger.stages.get('c' as StageId)?.state).toBe('aborted')
  })

  it('ends once', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const id = await openStage(ledger)
    const ends = [ledger.stages.close(id, 'aborted'), ledger.stages.close(id, 'aborted')]
    const settled = await Promise.allSettled(ends)
    expect(settled.map((one) => one.status)).toEqual(['fulfilled', 'rejected'])
    expect(settled[1]).toMatchObject({ reason: { code: 'stage-expired', details: { state: 'aborted' } } })
  })

  it('that had nothing to change ends with the head as its generation', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const { gid } = await flipped(ledger, 1)
    const id = await openStage(ledger)
    const outcome = {
      token: 'token-1',
      stage: id,
      key: 'key',
      bodyDigest: digestOf('body'),
      gid,
      changed: true,
      atMs: FIRST_MS,
    }
    await ledger.stages.close(id, 'committed', { committed: gid, idempotency: outcome })
    expect(ledger.stages.get(id)).toMatchObject({ state: 'committed', committed: gid })
    expect(ledger.outcomes.recall('token-1', id, 'key')).toEqual(outcome)
  })

  it('beyond the limit is refused, and fits again when one has ended', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    await Promise.all(
      Array.from({ length: LIMITS.openStages }, async (_, at) => await openStage(ledger, `s${at}`)),
    )
    await expect(openStage(ledger, 'more')).rejects.toMatchObject({ code: 'limit-exceeded' })
    await ledger.stages.close('s7' as StageId, 'aborted')
    await openStage(ledger, 'more')
    expect(ledger.stages.listOpen()).toHaveLength(LIMITS.openStages)
  })
})

describe('a stage in use', () => {
  it('does not expire when it was touched after somebody decided so', async () => {
    await using folder = await temporaryFolder()
    const clock = new StandingClock()
    await using ledger = await openedLedger(folder.path, clock)
    const id = await openStage(ledger)
    clock.advance(DAY_MS + 1)
    const idle = ledger.stages.listOpen().filter((stage) => stage.expiresMs <= clock.now())
    expect(idle.map((stage) => stage.id)).toEqual([id])
    ledger.stages.touch(id, clock.now() + DAY_MS)
    await ledger.stages.close(id, 'expired')
    expect(ledger.stages.get(id)?.state).toBe('open')

    clock.advance(DAY_MS)
    await ledger.stages.close(id, 'expired')
    expect(ledger.stages.get(id)?.state).toBe('expired')
  })

  it('shows at once when it was touched, and keeps that over a restart', async () => {
    await using folder = await temporaryFolder()
    const clock = new StandingClock()
    const before = await openedLedger(folder.path, clock)
    const id = await openStage(before)
    for (let minute = 0; minute < 10; minute += 1) {
      clock.advance(30_000)
      before.stages.touch(id, clock.now() + DAY_MS)
      expect(before.stages.get(id)?.expiresMs).toBe(clock.now() + DAY_MS)
    }
    await before[Symbol.asyncDispose]()

    await using after = await openedLedger(folder.path, clock)
    expect(after.stages.get(id)?.expiresMs).toBe(clock.now() + DAY_MS + 60_000)
  })

  it('has a minute at least after a start, however long the depot was down', async () => {
    await using folder = await temporaryFolder()
    const clock = new StandingClock()
    const before = await openedLedger(folder.path, clock)
    const id = await openStage(before)
    await before[Symbol.asyncDispose]()
    clock.advance(30 * DAY_MS)

    await using after = await openedLedger(folder.path, clock)
    await after.stages.close(id, 'expired')
    expect(after.stages.get(id)?.state).toBe('open')
    clock.advance(60_000)
    await after.stages.close(id, 'expired')
    expect(after.stages.get(id)?.state).toBe('expired')
  })

  it('keeps its time and its count when it is written to and touched at once', async () => {
    await using folder = await temporaryFolder()
    const clock = new StandingClock()
    await using ledger = await openedLedger(folder.path, clock)
    const id = await openStage(ledger)
    const writes = Array.from({ length: 20 }, async (_, at) => {
      clock.advance(60_000)
      ledger.stages.touch(id, clock.now() + DAY_MS)
      await ledger.changes.write(id, [{ channel: 'stable', key: `a\u00001.0.${at}`, value: '{}' }])
    })
    await Promise.all(writes)
    expect(ledger.stages.get(id)).toMatchObject({ expiresMs: clock.now() + DAY_MS, edition: 20 })
    expect(ledger.changes.count(id)).toBe(20)
  })
})
