/**
 * Leases keep blobs from the sweep as long as a stage is open; wanted blobs are those a commit waits for.
 */
import { describe, expect, it } from 'vitest'
import { stageKey } from '../../src/ledger/keys.ts'
import type { StageId } from '../../src/ledger/ledger.ts'
import { type Digest, digestOf } from '../../src/model/digest.ts'
import { LIMITS } from '../../src/model/limits.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { openedLedger, openedStore, openStage } from './a-ledger.ts'

const [A, B, C] = ['a', 'b', 'c'].map((text) => digestOf(text)).sort() as [Digest, Digest, Digest]

describe('a lease', () => {
  it('holds as long as one of the stages that took it is open', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const one = await openStage(ledger, 's1')
    const two = await openStage(ledger, 's2')
    await ledger.blobs.lease(one, [A, B])
    await ledger.blobs.lease(two, [B, B])
    expect([A, B, C].map((digest) => ledger.blobs.isLeased(digest))).toEqual([true, true, false])
    await ledger.stages.close(one, 'aborted')
    expect([A, B, C].map((digest) => ledger.blobs.isLeased(digest))).toEqual([false, true, false])
    await ledger.stages.close(two, 'expired').catch(() => undefined)
    await ledger.stages.close(two, 'aborted')
    await ledger.swept()
    expect([A, B, C].map((digest) => ledger.blobs.isLeased(digest))).toEqual([false, false, false])
  })

  it('outlives a restart', async () => {
    await using folder = await temporaryFolder()
    const before = await openedLedger(folder.path)
    await before.blobs.lease(await openStage(before), [A])
    await before[Symbol.asyncDispose]()
    await using after = await openedLedger(folder.path)
    expect(after.blobs.isLeased(A)).toBe(true)
  })

  it('is taken on 50,000 digests, and again for nothing', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const stage = await openStage(ledger)
    const digests = Array.from({ length: 50_000 }, (_, at) => digestOf(`${at}`))
    await ledger.blobs.lease(stage, digests)
    expect(digests.every((digest) => ledger.blobs.isLeased(digest))).toBe(true)
    await ledger.blobs.lease(stage, digests)
  })

  it('is refused beyond the limit of a stage, which counts each blob once, also after a restart', async () => {
    await using folder = await temporaryFolder()
    const before = await openedLedger(folder.path)
    const stage = await openStage(before)
    await before.blobs.lease(stage, [A])
    await before.blobs.lease(stage, [A, B])
    await before.changes.write(stage, [{ channel: 'a', key: 'a\u00001', value: '{}' }])
    await before[Symbol.asyncDispose]()
    expect(await leasesIn(folder.path, stage)).toBe(2)
    await pretendLeases(folder.path, stage, LIMITS.stageLeases - 1)

    await using after = await openedLedger(folder.path)
    const outcomes = await Promise.allSettled([
      after.blobs.lease(stage, [A, B]),
      after.blobs.lease(stage, [C]),
      after.blobs.lease(stage, [digestOf('d')]),
    ])
    expect(outcomes.map((one) => one.status)).toEqual(['fulfilled', 'fulfilled', 'rejected'])
    expect(outcomes[2]).toMatchObject({ reason: { code: 'limit-exceeded' } })
    expect([C, digestOf('d')].map((digest) => after.blobs.isLeased(digest))).toEqual([true, false])
    expect(after.changes.count(stage)).toBe(1)
    await after.blobs.lease(await openStage(after, 's2'), [digestOf('d')])
  })

  it('of a stage that an older depot opened is counted from nothing', async () => {
    await using folder = await temporaryFolder()
    const before = await openedLedger(folder.path)
    const stage = await openStage(before)
    await before[Symbol.asyncDispose]()
    await pretendLeases(folder.path, stage, undefined)
    await using after = await openedLedger(folder.path)
    await after.blobs.lease(stage, [A])
    expect(after.blobs.isLeased(A)).toBe(true)
  })

  it('is refused to a stage that has ended, also when it ends while the lease waits', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const stage = await openStage(ledger)
    const close = ledger.stages.close(stage, 'aborted')
    await expect(ledger.blobs.lease(stage, [A])).rejects.toMatchObject({ code: 'stage-expired' })
    await close
    await expect(ledger.blobs.lease('s9' as StageId, [A])).rejects.toMatchObject({ code: 'stage-unknown' })
    expect(ledger.blobs.isLeased(A)).toBe(false)
  })
})

describe('the wanted blobs of a stage', () => {
  const blobs = [A, B, C].map((digest, at) => ({ digest, size: at + 1 }))

  it('are listed by manifest, then digest, in pages', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const stage = await openStage(ledger)
    await ledger.blobs.want(stage, B, [...blobs].reverse())
    await ledger.blobs.want(stage, A, blobs.slice(0, 1))
    const all = [{ manifest: A, ...blobs[0]! }, ...blobs.map((blob) => ({ manifest: B, ...blob }))]
    expect(ledger.blobs.wanted(stage, undefined, 10)).toEqual(all)
    expect(ledger.blobs.wanted(stage, all[1], 2)).toEqual(all.slice(2, 4))
    expect(ledger.blobs.wanted(stage, all[3], 2)).toEqual([])
  })

  it('are what was said last, and none when the list is empty', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const stage = await openStage(ledger)
    const said = [blobs, blobs.slice(1), [], blobs.slice(0, 2)]
    await Promise.all(said.map(async (list) => await ledger.blobs.want(stage, A, list)))
    expect(ledger.blobs.wanted(stage, undefined, 10).map((one) => one.digest)).toEqual([A, B])
    await ledger.blobs.want(stage, A, [])
    expect(ledger.blobs.wanted(stage, undefined, 10)).toEqual([])
  })

  it('may be more than fit one transaction', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const stage = await openStage(ledger)
    const many = Array.from({ length: 3_500 }, (_, at) => ({ digest: digestOf(`${at}`), size: at }))
    await ledger.blobs.want(stage, A, many)
    expect(ledger.blobs.wanted(stage, undefined, 10_000)).toHaveLength(3_500)
    await ledger.blobs.want(stage, A, many.slice(0, 10))
    expect(ledger.blobs.wanted(stage, undefined, 10_000)).toHaveLength(10)
  })

  it('end with their stage', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const stage = await openStage(ledger)
    await ledger.blobs.want(stage, A, blobs)
    await ledger.stages.close(stage, 'aborted')
    expect(ledger.blobs.wanted(stage, undefined, 10)).toEqual([])
    await expect(ledger.blobs.want(stage, A, blobs)).rejects.toMatchObject({ code: 'stage-expired' })
  })
})

interface Counted {
  readonly leases?: number
}

async function leasesIn(path: string, id: StageId): Promise<number | undefined> {
  await using store = await openedStore(path)
  return (JSON.parse(store.tables.stages.get(stageKey(id))!.toString()) as Counted).leases
}

/** Writes a count into the stored stage, as if so many leases were there. */
async function pretendLeases(path: string, id: StageId, leases: number | undefined): Promise<void> {
  await using store = await openedStore(path)
  const { stages } = store.tables
  const stored = JSON.parse(stages.get(stageKey(id))!.toString()) as Counted
  await store.write([[stages, stageKey(id), Buffer.from(JSON.stringify({ ...stored, leases }))]])
}
