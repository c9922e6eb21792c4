/**
 * The log, the head and the flip: L1 to L3 on one machine that does not fail.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { IdempotencyRecord } from '../../src/ledger/ledger.ts'
import { digestOf } from '../../src/model/digest.ts'
import type { Gid, LineageId } from '../../src/model/generation.ts'
import { instantOf } from '../../src/model/instant.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { FIRST_MS, flipAfter, flipped, openedLedger, openStage, StandingClock } from './a-ledger.ts'

describe('a new ledger', () => {
  it('has no head, no generation and no lineage', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    expect(ledger.generations.head()).toBeUndefined()
    expect(ledger.generations.list({ kind: 'newest' }, 10)).toEqual([])
    expect(ledger.generations.lineages().size).toBe(0)
  })

  it('takes the first generation with its lineage', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const first = flipAfter(undefined)
    const generation = await ledger.generations.flip(first)
    expect(generation).toEqual({ gid: first.gid, record: first.record, state: 'active', signatures: [] })
    expect(ledger.generations.head()).toEqual(generation)
    expect([...ledger.generations.lineages().values()]).toEqual([first.lineage])
  })
})

describe('the log', () => {
  it('gives a generation by its id, and nothing for an id that shares only its number', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const head = await flipped(ledger, 3)
    expect(ledger.generations.get(head.gid)).toEqual(head)
    expect(ledger.generations.get(flipAfter(head, { number: 2, message: 'other' }).gid)).toBeUndefined()
    expect(ledger.generations.get(`g9${head.gid.slice(2)}` as Gid)).toBeUndefined()
  })

  it('lists as a filter over all generations would, by number and by time', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    await flipped(ledger, 12)
    const all = [...ledger.generations.list({ kind: 'newest' }, 100)]
    expect(all.map((generation) => generation.record.number)).toEqual([11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0])
    fc.assert(
      fc.property(fc.integer({ min: -2, max: 14 }), fc.nat(13), fc.nat(19_999), (number, limit, ms) => {
        expect(ledger.generations.list({ kind: 'number', atMost: number }, limit)).toEqual(
          all.filter((generation) => generation.record.number <= number).slice(0, limit),
        )
        expect(ledger.generations.list({ kind: 'above', number }, limit)).toEqual(
          all
            .filter((generation) => generation.record.number > number)
            .reverse()
            .slice(0, limit),
        )
        const atMostMs = FIRST_MS + number * 10_000 + ms
        expect(ledger.generations.list({ kind: 'time', atMostMs }, limit)).toEqual(
          all.filter((generation) => Date.parse(generation.record.created) <= atMostMs).slice(0, limit),
        )
      }),
    )
  })

  it('lists over numbers that were burnt', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const head = await flipped(ledger, 2)
    await ledger.generations.flip(flipAfter(head, { number: 1_000 }))
    const numbers = ledger.generations
      .list({ kind: 'number', atMost: 999 }, 5)
      .map((one) => one.record.number)
    expect(numbers).toEqual([1, 0])
    const above = ledger.generations.list({ kind: 'above', number: 0 }, 5)
    expect(above.map((one) => one.record.number)).toEqual([1, 1_000])
  })

  it('is the same after a restart', async () => {
    await using folder = await temporaryFolder()
    const before = await openedLedger(folder.path)
    const head = await flipped(before, 5)
    const log = before.generations.list({ kind: 'newest' }, 10)
    const lineages = new Map(before.generations.lineages())
    await before[Symbol.asyncDispose]()

    await using after = await openedLedger(folder.path)
    expect(after.generations.head()).toEqual(head)
    expect(after.generations.list({ kind: 'newest' }, 10)).toEqual(log)
    expect(after.generations.lineages()).toEqual(lineages)
  })
})

describe('a flip', () => {
  it('on a head that has moved fails with `base-changed` and changes nothing (L2)', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const old = await flipped(ledger, 1)
    const head = await flipped(ledger, 1)
    const stage = await openStage(ledger)
    const idempotency = outcome('key', flipAfter(old).gid)
    const late = flipAfter(old, { message: 'late', stage: { id: stage, edition: 0 }, idempotency })
    await expect(ledger.generations.flip(late)).rejects.toMatchObject({
      code: 'base-changed',
      details: { expected: old.gid, generation: head.gid },
    })
    expect(ledger.generations.head()).toEqual(head)
    expect(ledger.generations.get(late.gid)).toBeUndefined()
    expect(ledger.stages.get(stage)?.state).toBe('open')
    expect(ledger.outcomes.recall('token-1', stage, 'key')).toBeUndefined()
  })

  it('wins alone when twenty start at once on one base', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    for (let round = 0; round < 5; round += 1) {
      const base = ledger.generations.head()
      const flips = Array.from({ length: 20 }, (_, at) => flipAfter(base, { message: `${round}/${at}` }))
      const settled = await Promise.allSettled(flips.map(async (flip) => await ledger.generations.flip(flip)))
      const won = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
      const lost = settled.flatMap((one) =>
        one.status === 'rejected' ? [one.reason as { code: string }] : [],
      )
      expect(won).toHaveLength(1)
      expect(lost.map((error) => error.code)).toEqual(Array(19).fill('base-changed'))
      expect(ledger.generations.head()).toEqual(won[0])
      expect(ledger.generations.list({ kind: 'newest' }, 100)).toHaveLength(round + 1)
    }
  })

  it('ends its stage as committed, and keeps the outcome for the key (L2)', async () => {
    await using folder = await temporaryFolder()
    const clock = new StandingClock()
    const before = await openedLedger(folder.path, clock)
    const head = await flipped(before, 1)
    const id = await openStage(before)
    await before.changes.write(id, [{ channel: 'stable', key: 'left-pad\u00001.0.0', value: '{}' }])
    const stage = { id, edition: 1 }
    const flip = flipAfter(head, { stage, idempotency: outcome('key', flipAfter(head).gid) })
    const { gid } = await before.generations.flip(flip)
    await before[Symbol.asyncDispose]()

    await using after = await openedLedger(folder.path, clock)
    expect(after.generations.head()?.gid).toBe(gid)
    expect(after.stages.get(id)).toMatchObject({ state: 'committed', committed: gid, edition: 1 })
    expect(after.stages.listOpen()).toEqual([])
    expect(after.outcomes.recall('token-1', id, 'key')).toEqual(flip.idempotency)
    await expect(after.changes.write(id, [])).rejects.toMatchObject({ code: 'stage-expired' })
  })

  it('of a stage that was added to since it was planned fails with `stage-changed`', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const head = await flipped(ledger, 1)
    const id = await openStage(ledger)
    const write = ledger.changes.write(id, [{ channel: 'stable', key: 'a\u00001', value: '{}' }])
    const flip = ledger.generations.flip(flipAfter(head, { stage: { id, edition: 0 } }))
    await expect(flip).rejects.toMatchObject({ code: 'stage-changed' })
    await write
    expect(ledger.stages.get(id)).toMatchObject({ state: 'open', edition: 1 })
    expect(ledger.generations.head()).toEqual(head)
  })

  it('of a stage that is not there or has ended fails as it should', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const head = await flipped(ledger, 1)
    const id = await openStage(ledger)
    await ledger.stages.close(id, 'aborted')
    const ended = ledger.generations.flip(flipAfter(head, { stage: { id, edition: 0 } }))
    await expect(ended).rejects.toMatchObject({ code: 'stage-expired', details: { state: 'aborted' } })
    const unknown = { id: 'nobody' as typeof id, edition: 0 }
    const absent = ledger.generations.flip(flipAfter(head, { stage: unknown }))
    await expect(absent).rejects.toMatchObject({ code: 'stage-unknown' })
  })

  it('refuses what would break the log: a used number, a time that stands still, a foreign lineage, other bytes', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const head = await flipped(ledger, 3)
    const bad = [
      flipAfter(head, { number: 2, message: 'again', created: instantOf(FIRST_MS + 90_000) }),
      flipAfter(head, { created: head.record.created }),
      flipAfter(head, { lineage: 'zzzzzzzzzzzz' as LineageId }),
      { ...flipAfter(head), bytes: Buffer.from(JSON.stringify(flipAfter(head).record)) },
    ]
    for (const flip of bad)
      await expect(ledger.generations.flip(flip)).rejects.toThrow(/generation|lineage|bytes/)
    expect(ledger.generations.head()).toEqual(head)
    expect(ledger.generations.list({ kind: 'newest' }, 10)).toHaveLength(3)
  })

  it('into a new lineage makes both known at once', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const head = await flipped(ledger, 3)
    const fork = {
      id: 'forkforkfork' as LineageId,
      parent: head.record.lineage,
      forkAt: 2,
      reason: 'fork',
    } as const
    const forked = await ledger.generations.flip(flipAfter(head, { number: 1_000, born: fork }))
    expect(forked.gid).toMatch(/^g1000\.forkforkfork\./)
    expect(ledger.generations.lineages().get(fork.id)).toEqual(fork)
    expect(ledger.generations.get(head.gid)).toEqual(head)
  })
})

function outcome(key: string, gid: Gid): IdempotencyRecord {
  return {
    token: 'token-1',
    stage: 's1' as IdempotencyRecord['stage'],
    key,
    bodyDigest: digestOf(key),
    gid,
    changed: true,
    atMs: FIRST_MS,
  }
}
