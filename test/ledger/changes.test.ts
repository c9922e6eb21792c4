/**
 * The changes of a stage: a map from (channel, key) to a value, counted, in order of bytes, whoever writes at once.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { stageKey } from '../../src/ledger/keys.ts'
import type { ChangeRow, StageId } from '../../src/ledger/ledger.ts'
import { LIMITS } from '../../src/model/limits.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { openedLedger, openedStore, openStage } from './a-ledger.ts'

const CHANNELS = ['0', 'a', 'a-b', 'a.b', 'ab', 'b', 'z'.repeat(LIMITS.channelNameBytes)]
const byte = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code))
const row: fc.Arbitrary<ChangeRow> = fc.record({
  channel: fc.constantFrom(...CHANNELS),
  key: fc.oneof(
    fc.constantFrom('', 'a\u00001', 'a\u00002', '\u00ff\u0000\u00ff'),
    fc.string({ unit: byte, maxLength: 3 }),
  ),
  value: fc.option(fc.json(), { nil: undefined }),
})

describe('the changes of a stage', () => {
  it('are what a map would hold, in order of bytes, when many write at once', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    let runs = 0
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(row, { maxLength: 8 }), { maxLength: 8 }), async (writes) => {
        runs += 1
        const stage = await openStage(ledger, `s${runs}`)
        await Promise.all(writes.map(async (rows) => await ledger.changes.write(stage, rows)))
        const model = modelOf(writes.flat())
        expect(ledger.changes.list(stage, undefined, 1_000)).toEqual(model)
        expect(ledger.changes.count(stage)).toBe(model.length)
        expect(ledger.stages.get(stage)?.edition).toBe(writes.length)
        for (const { channel, key, value } of model)
          expect(ledger.changes.get(stage, channel, key)).toBe(value)
        await ledger.stages.close(stage, 'aborted')
      }),
      { numRuns: 60 },
    )
  })

  it('are listed in pages, from the one after the last', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const stage = await openStage(ledger)
    const rows = Array.from({ length: 25 }, (_, at) => ({
      channel: CHANNELS[at % 7]!,
      key: `k\0${at}`,
      value: `${at}`,
    }))
    await ledger.changes.write(stage, rows)
    const paged: ChangeRow[] = []
    for (let page = ledger.changes.list(stage, undefined, 4); page.length > 0; ) {
      paged.push(...page)
      page = ledger.changes.list(stage, page.at(-1), 4)
    }
    expect(paged).toEqual(ledger.changes.list(stage, undefined, 100))
    expect(paged).toHaveLength(25)
  })

  it('do not run into those of a stage whose id begins like its own', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const short = await openStage(ledger, 's')
    const long = await openStage(ledger, 'ss')
    await ledger.changes.write(short, [{ channel: 's', key: 's\0s', value: 'short' }])
    await ledger.changes.write(long, [{ channel: 's', key: 's\0s', value: 'long' }])
    expect(ledger.changes.list(short, undefined, 10).map((one) => one.value)).toEqual(['short'])
    expect(ledger.changes.list(long, undefined, 10).map((one) => one.value)).toEqual(['long'])
  })

  it('take the longest names there may be', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const stage = await openStage(ledger, 's'.repeat(64))
    const channel = 'c'.repeat(LIMITS.channelNameBytes)
    const key = `${'n'.repeat(LIMITS.releaseNameBytes)}\0${'1'.repeat(LIMITS.versionBytes)}`
    await ledger.changes.write(stage, [{ channel, key, value: '{}' }])
    expect(ledger.changes.list(stage, undefined, 2)).toEqual([{ channel, key, value: '{}' }])
  })

  it('are still there after a restart', async () => {
    await using folder = await temporaryFolder()
    const before = await openedLedger(folder.path)
    const stage = await openStage(before)
    await before.changes.write(stage, [{ channel: 'a', key: 'b\u00001', value: '{"ü":1}' }])
    await before[Symbol.asyncDispose]()

    await using after = await openedLedger(folder.path)
    expect(after.changes.get(stage, 'a', 'b\u00001')).toBe('{"ü":1}')
    expect(after.changes.count(stage)).toBe(1)
  })

  it('end with their stage', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const stage = await openStage(ledger)
    await ledger.changes.write(stage, [{ channel: 'a', key: 'b\u00001', value: '{}' }])
    await ledger.stages.close(stage, 'aborted')
    expect(ledger.changes.get(stage, 'a', 'b\u00001')).toBeUndefined()
    expect(ledger.changes.list(stage, undefined, 10)).toEqual([])
    expect(ledger.changes.count(stage)).toBe(0)
  })
})

describe('writing changes', () => {
  it('counts right when a hundred writers add, replace and remove the same rows', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const stage = await openStage(ledger)
    const writes = Array.from({ length: 100 }, (_, at) =>
      Array.from({ length: 50 }, (_unused, n) => ({
        channel: 'stable',
        key: `name-${(at * n) % 37}\u00001.0.0`,
        value: (at + n) % 3 === 0 ? undefined : `${at}`,
      })),
    )
    await Promise.all(writes.map(async (rows) => await ledger.changes.write(stage, rows)))
    const listed = ledger.changes.list(stage, undefined, 1_000)
    expect(listed).toEqual(modelOf(writes.flat()))
    expect(ledger.changes.count(stage)).toBe(listed.length)
    expect(ledger.stages.get(stage)?.edition).toBe(100)
  })

  it('counts right when writers come while others are at it, and has them in the order in which they came', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const stage = await openStage(ledger)
    const came: ChangeRow[] = []
    const writer = async (_unused: unknown, at: number): Promise<void> => {
      for (let time = 0; time < 20; time += 1) {
        const value = (at + time) % 3 === 0 ? undefined : `${at}/${time}`
        const rows = [1, 2, 3].map((n) => ({
          channel: 'a',
          key: `name-${(at * time * n) % 17}\u00001`,
          value,
        }))
        came.push(...rows)
        await ledger.changes.write(stage, rows)
        for (let turn = 0; turn < (at * time) % 5; turn += 1)
          await new Promise((resolve) => setImmediate(resolve))
      }
    }
    await Promise.all(Array.from({ length: 12 }, writer))
    expect(ledger.changes.list(stage, undefined, 1_000)).toEqual(modelOf(came))
    expect(ledger.changes.count(stage)).toBe(modelOf(came).length)
    expect(ledger.stages.get(stage)?.edition).toBe(240)
  })

  it('lets others have their turn while it takes 20,000 rows, and shows all of them at once', async () => {
    await using folder = await temporaryFolder()
    const clock = { now: () => Date.now(), monotonic: () => performance.now() }
    await using ledger = await openedLedger(folder.path, clock)
    const stage = await openStage(ledger)
    const rows = Array.from({ length: 20_000 }, (_, at) => ({
      channel: 'a',
      key: `name-${at}\u00001.0.0`,
      value: '{}',
    }))
    const seen = new Set<number>()
    let turns = 0
    let writing = true
    const look = (): void => {
      if (!writing) return
      turns += 1
      seen.add(ledger.changes.list(stage, undefined, 20_001).length)
      setImmediate(look)
    }
    setImmediate(look)
    await ledger.changes.write(stage, rows)
    writing = false
    expect(ledger.changes.count(stage)).toBe(20_000)
    expect(turns).toBeGreaterThan(5)
    expect([...seen].filter((count) => count !== 0 && count !== 20_000)).toEqual([])
  })

  it('refuses a call that would go over the limit, and only that one', async () => {
    await using folder = await temporaryFolder()
    const before = await openedLedger(folder.path)
    const stage = await openStage(before)
    await before[Symbol.asyncDispose]()
    await pretendCount(folder.path, stage, LIMITS.stageChanges - 2)

    await using again = await openedLedger(folder.path)
    const write = async (key: string, count: number): Promise<void> =>
      await again.changes.write(
        stage,
        Array.from({ length: count }, (_, at) => ({ channel: 'a', key: `${key}\0${at}`, value: '{}' })),
      )
    const settled = await Promise.allSettled([write('a', 1), write('b', 2), write('c', 1), write('d', 1)])
    expect(settled.map((one) => one.status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'rejected'])
    expect(settled[1]).toMatchObject({ reason: { code: 'limit-exceeded' } })
    expect(again.changes.count(stage)).toBe(LIMITS.stageChanges)
    expect(again.changes.list(stage, undefined, 10).map((one) => one.key)).toEqual(['a\u00000', 'c\u00000'])
  })

  it('refuses a key that is not made of bytes, and writes nothing of that call', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const stage = await openStage(ledger)
    const good = { channel: 'a', key: 'a\u00001', value: '{}' }
    await expect(ledger.changes.write(stage, [good, { ...good, key: '☃\u00001' }])).rejects.toThrow(/bytes/)
    expect(ledger.changes.count(stage)).toBe(0)
    await ledger.changes.write(stage, [good])
    expect(ledger.changes.count(stage)).toBe(1)
  })
})

/** What is left of rows that were written one after the other, in the order of the ledger. */
function modelOf(rows: readonly ChangeRow[]): readonly ChangeRow[] {
  const left = new Map<string, ChangeRow>()
  for (const one of rows) {
    if (one.value === undefined) left.delete(`${one.channel}\0${one.key}`)
    else left.set(`${one.channel}\0${one.key}`, one)
  }
  return [...left.values()].sort(
    (a, b) =>
      compare(Buffer.from(a.channel), Buffer.from(b.channel)) || compare(bytesOf(a.key), bytesOf(b.key)),
  )
}

function compare(a: Buffer, b: Buffer): number {
  return Buffer.compare(a, b)
}

function bytesOf(key: string): Buffer {
  return Buffer.from(key, 'latin1')
}

/** Writes a count into the stored stage, as if so many changes were there. */
async function pretendCount(path: string, id: StageId, changes: number): Promise<void> {
  await using store = await openedStore(path)
  const { stages } = store.tables
  const stored = JSON.parse(stages.get(stageKey(id))!.toString()) as object
  await store.write([[stages, stageKey(id), Buffer.from(JSON.stringify({ ...stored, changes }))]])
}
