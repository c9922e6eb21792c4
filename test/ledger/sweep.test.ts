/**
 * The rows of ended stages go away in the background, whatever happens in between.
 */
import { describe, expect, it } from 'vitest'
import type { StageId } from '../../src/ledger/ledger.ts'
import type { OpenLedger } from '../../src/ledger/open.ts'
import { digestOf } from '../../src/model/digest.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { flipAfter, flipped, openedLedger, openedStore, openStage } from './a-ledger.ts'

const ROWS = 4_500

describe('the rows of an ended stage', () => {
  it('are gone after the sweep, and those of an open one are not', async () => {
    await using folder = await temporaryFolder()
    const ledger = await openedLedger(folder.path)
    const ended = await fullStage(ledger, 's1')
    await fullStage(ledger, 's2')
    await ledger.stages.close(ended, 'aborted')
    await ledger.swept()
    await ledger[Symbol.asyncDispose]()
    expect(await counts(folder.path)).toEqual({
      changes: ROWS,
      wanted: 1,
      leases: ROWS,
      leased: ROWS,
      sweeps: 0,
    })
  })

  it('are not dropped by the flip itself, but after it, and by the next process when this one stops', async () => {
    await using folder = await temporaryFolder()
    const before = await openedLedger(folder.path)
    const head = await flipped(before, 1)
    const id = await fullStage(before, 's1')
    const next = await before.generations.flip(flipAfter(head, { stage: { id, edition: 1 } }))
    await before[Symbol.asyncDispose]()
    const left = await counts(folder.path)
    expect(left.changes).toBeGreaterThan(0)
    expect(left.sweeps).toBe(1)

    const after = await openedLedger(folder.path)
    expect(after.stages.get(id)).toMatchObject({ state: 'committed', committed: next.gid })
    expect(after.changes.list(id, undefined, 10)).toEqual([])
    await after.swept()
    await after[Symbol.asyncDispose]()
    expect(await counts(folder.path)).toEqual({ changes: 0, wanted: 0, leases: 0, leased: 0, sweeps: 0 })
  })

  it('are swept in as many starts as it takes', async () => {
    await using folder = await temporaryFolder()
    const first = await openedLedger(folder.path)
    await first.stages.close(await fullStage(first, 's1'), 'aborted')
    await first[Symbol.asyncDispose]()
    let starts = 0
    for (let left = await counts(folder.path); left.sweeps > 0; left = await counts(folder.path)) {
      starts += 1
      const ledger = await openedLedger(folder.path)
      await openStage(ledger, `other-${starts}`) // time enough for a part of the work
      await ledger[Symbol.asyncDispose]()
    }
    expect(starts).toBeGreaterThan(1)
    expect(await counts(folder.path)).toMatchObject({ changes: 0, leases: 0, leased: 0 })
  })

  it('are swept for stages that end while the sweep is at work', async () => {
    await using folder = await temporaryFolder()
    const ledger = await openedLedger(folder.path)
    const ids: StageId[] = []
    for (let at = 0; at < 5; at += 1) ids.push(await fullStage(ledger, `s${at}`, 300))
    for (const id of ids) {
      await ledger.stages.close(id, 'aborted')
      if (id === 's2') await ledger.swept()
    }
    await ledger.swept()
    await ledger[Symbol.asyncDispose]()
    expect(await counts(folder.path)).toMatchObject({ changes: 0, leases: 0, leased: 0, sweeps: 0 })
  })
})

async function fullStage(ledger: OpenLedger, id: string, count = ROWS): Promise<StageId> {
  const stage = await openStage(ledger, id)
  const numbers = Array.from({ length: count }, (_, at) => at)
  await ledger.changes.write(
    stage,
    numbers.map((at) => ({ channel: 'a', key: `name-${at}\u00001`, value: '{}' })),
  )
  await ledger.blobs.lease(
    stage,
    numbers.map((at) => digestOf(`${at}`)),
  )
  await ledger.blobs.want(stage, digestOf('manifest'), [{ digest: digestOf('1'), size: 1 }])
  return stage
}

type Counted = 'changes' | 'wanted' | 'leases' | 'leased' | 'sweeps'

async function counts(path: string): Promise<Record<Counted, number>> {
  await using store = await openedStore(path)
  const { changes, wanted, leases, leased, sweeps } = store.tables
  const tables = Object.entries({ changes, wanted, leases, leased, sweeps })
  return Object.fromEntries(tables.map(([name, table]) => [name, table.getKeysCount()])) as Record<
    Counted,
    number
  >
}
