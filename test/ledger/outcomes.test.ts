/**
 * The outcome of a commit is recalled for the same token, stage and key, until it is forgotten.
 */
import { describe, expect, it } from 'vitest'
import type { IdempotencyRecord, StageId } from '../../src/ledger/ledger.ts'
import type { OpenLedger } from '../../src/ledger/open.ts'
import { digestOf } from '../../src/model/digest.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { FIRST_MS, flipAfter, openedLedger, openStage, StandingClock } from './a-ledger.ts'

describe('an outcome', () => {
  it('is recalled for its token, stage and key, and for no others', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const outcome = await committed(ledger, 's1', 'key', FIRST_MS)
    expect(ledger.outcomes.recall('token-1', outcome.stage, 'key')).toEqual(outcome)
    expect(ledger.outcomes.recall('token-2', outcome.stage, 'key')).toBeUndefined()
    expect(ledger.outcomes.recall('token-1', 's2' as StageId, 'key')).toBeUndefined()
    expect(ledger.outcomes.recall('token-1', outcome.stage, 'other')).toBeUndefined()
    expect(ledger.outcomes.recall('token-1s', '1' as StageId, 'key')).toBeUndefined()
  })

  it('may have a key of any characters and the longest length', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const key = '"\u0000ü☃'.padEnd(255, '/')
    const outcome = await committed(ledger, 's1', key, FIRST_MS)
    expect(ledger.outcomes.recall('token-1', outcome.stage, key)).toEqual(outcome)
  })

  it('is forgotten when it is old, a bounded number at a time, with the stages that ended then', async () => {
    await using folder = await temporaryFolder()
    const clock = new StandingClock()
    await using ledger = await openedLedger(folder.path, clock)
    for (let at = 0; at < 5; at += 1) {
      await committed(ledger, `s${at}`, 'key', clock.now())
      clock.advance(1_000)
    }
    const remembered = (): readonly string[] =>
      ['s0', 's1', 's2', 's3', 's4'].filter(
        (id) =>
          ledger.outcomes.recall('token-1', id as StageId, 'key') !== undefined &&
          ledger.stages.get(id as StageId) !== undefined,
      )
    expect(await ledger.outcomes.forget(FIRST_MS, 100)).toBe(0)
    expect(await ledger.outcomes.forget(FIRST_MS + 3_000, 4)).toBe(4)
    expect(remembered()).toEqual(['s2', 's3', 's4'])
    expect(await ledger.outcomes.forget(FIRST_MS + 3_000, 4)).toBe(2)
    expect(remembered()).toEqual(['s3', 's4'])
    expect(await ledger.outcomes.forget(FIRST_MS + 60_000, 100)).toBe(4)
    expect(await ledger.outcomes.forget(FIRST_MS + 60_000, 100)).toBe(0)
  })
})

async function committed(
  ledger: OpenLedger,
  stage: string,
  key: string,
  atMs: number,
): Promise<IdempotencyRecord> {
  const id = await openStage(ledger, stage)
  const flip = flipAfter(ledger.generations.head(), { stage: { id, edition: 0 } })
  const bodyDigest = digestOf(key)
  const idempotency = { token: 'token-1', stage: id, key, bodyDigest, gid: flip.gid, changed: true, atMs }
  await ledger.generations.flip({ ...flip, idempotency })
  return idempotency
}
