/**
 * Taking over another lineage that left the own log before its head (PROTOCOL §10): what is behind the fork is lost at once, also when
 * there is so much of it that its rows go later; and nothing else is ever lost.
 */
import { describe, expect, it } from 'vitest'
import type { Adoption, Flip } from '../../src/ledger/ledger.ts'
import type { OpenLedger } from '../../src/ledger/open.ts'
import { encodeRecord, type Generation, type Lineage, type LineageId } from '../../src/model/generation.ts'
import { instantOf } from '../../src/model/instant.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { FIRST_MS, flipAfter, flipped, LINEAGE, openedLedger, openedStore } from './a-ledger.ts'

const OTHER = 'bcdefghijklm' as LineageId
const THIRD = 'cdefghijklmn' as LineageId
const INIT: Lineage = { id: LINEAGE, parent: null, forkAt: null, reason: 'init' }

function generationOf({ gid, record }: Flip): Generation {
  return { gid, record, state: 'active', signatures: [] }
}

/** The first generation of a lineage that leaves `parent`, and some after it. */
function branch(parent: Generation, id: LineageId, first: number, length: number): readonly Flip[] {
  const { lineage, number } = parent.record
  const born: Lineage = { id, parent: lineage, forkAt: number, reason: 'fork' }
  const flips: Flip[] = [flipAfter(parent, { born, number: first, created: later(first) })]
  while (flips.length < length) {
    const before = generationOf(flips.at(-1)!)
    const next = before.record.number + 1
    flips.push(flipAfter(before, { lineage: id, number: next, created: later(next) }))
  }
  return flips
}

/** After all of the first lineage, however long that is. */
function later(number: number): string {
  return instantOf(FIRST_MS + 1_000_000_000 + number * 10_000)
}

function adoption(flips: readonly Flip[], more: readonly Lineage[] = []): Adoption {
  const born = flips.flatMap(({ lineage }) => (lineage === undefined ? [] : [lineage]))
  return { lineages: [INIT, ...more, ...born], records: flips }
}

async function outcomeOf(ledger: OpenLedger, wish: Adoption): Promise<string> {
  return await ledger.generations.adopt(wish).then(
    ({ gid }) => gid,
    (error: { code: string }) => error.code,
  )
}

function at(ledger: OpenLedger, number: number): Generation {
  const [found] = ledger.generations.list({ kind: 'number', atMost: number }, 1)
  expect(found?.record.number).toBe(number)
  return found!
}

function numbers(ledger: OpenLedger): readonly number[] {
  return ledger.generations.list({ kind: 'newest' }, 5_000).map(({ record }) => record.number)
}

describe('a lineage that forks before the head', () => {
  it('is taken over, and what is behind the fork is lost, also for the next process', async () => {
    await using folder = await temporaryFolder()
    const before = await openedLedger(folder.path)
    await flipped(before, 9)
    const [fifth, eighth] = [at(before, 5), at(before, 8)]
    const flips = branch(fifth, OTHER, 1_000, 3)
    expect(await outcomeOf(before, adoption(flips))).toBe(flips[2]!.gid)
    const expectIt = (ledger: OpenLedger): void => {
      const { generations } = ledger
      expect(generations.head()).toEqual(generationOf(flips[2]!))
      expect(numbers(ledger)).toEqual([1_002, 1_001, 1_000, 5, 4, 3, 2, 1, 0])
      expect(generations.get(eighth.gid)).toBeUndefined()
      expect(generations.isHeld(eighth.gid)).toBe(false)
      expect(generations.get(fifth.gid)).toEqual(fifth)
      const up = generations.list({ kind: 'above', number: 4 }, 10).map(({ record }) => record.number)
      expect(up).toEqual([5, 1_000, 1_001, 1_002])
      const atEight = generations.list({ kind: 'number', atMost: 8 }, 1)[0]
      expect(atEight).toEqual(fifth)
      const byTime = { kind: 'time', atMostMs: FIRST_MS + 85_000 } as const
      expect(generations.list(byTime, 1)[0]).toEqual(fifth)
      expect(generations.lineages().get(OTHER)).toMatchObject({ parent: LINEAGE, forkAt: 5 })
    }
    expectIt(before)
    await before[Symbol.asyncDispose]()
    await using after = await openedLedger(folder.path)
    expectIt(after)
    // And it goes on from there.
    const next = flipAfter(after.generations.head(), { lineage: OTHER, number: 1_003, created: later(1_003) })
    expect((await after.generations.flip(next)).gid).toBe(next.gid)
  })

  it('may have been forked again meanwhile', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    await flipped(ledger, 9)
    const once = branch(at(ledger, 5), OTHER, 1_000, 4)
    const twice = branch(generationOf(once[1]!), THIRD, 2_000, 2)
    const chain = [...once.slice(0, 2), ...twice]
    expect(await outcomeOf(ledger, adoption(chain))).toBe(twice[1]!.gid)
    expect(numbers(ledger)).toEqual([2_001, 2_000, 1_001, 1_000, 5, 4, 3, 2, 1, 0])
  })

  it('is refused when it says that it begins elsewhere than its records do, or nowhere', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const head = await flipped(ledger, 9)
    const flips = branch(at(ledger, 5), OTHER, 1_000, 1)
    for (const forkAt of [3, 4, 6, 8, 9]) {
      const lie: Lineage = { ...flips[0]!.lineage!, forkAt }
      expect(await outcomeOf(ledger, { lineages: [INIT, lie], records: flips })).toBe('origin-diverged')
    }
    // A second hop that lies, behind a first one that does not.
    const hop = branch(generationOf(flips[0]!), THIRD, 2_000, 1)
    const lie: Lineage = { ...hop[0]!.lineage!, forkAt: 1_007 }
    const chain = [...flips, ...hop]
    const lineages = [INIT, flips[0]!.lineage!, lie]
    expect(await outcomeOf(ledger, { lineages, records: chain })).toBe('origin-diverged')
    expect(await outcomeOf(ledger, { lineages: [INIT], records: flips })).not.toBe(flips[0]!.gid)
    expect(ledger.generations.head()).toEqual(head)
    expect(numbers(ledger)).toHaveLength(9)
  })

  it('is refused when its numbers are not above all that are known', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const head = await flipped(ledger, 9)
    const flips = branch(at(ledger, 5), OTHER, 8, 1)
    expect(await outcomeOf(ledger, adoption(flips))).toBe('origin-diverged')
    expect(ledger.generations.head()).toEqual(head)
  })

  it('does not lead back: the lineage that was left is refused', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    await flipped(ledger, 9)
    const own = ledger.generations.list({ kind: 'above', number: -1 }, 20)
    const flips = branch(at(ledger, 5), OTHER, 1_000, 2)
    await ledger.generations.adopt(adoption(flips))
    const old = own.map((generation) => flipFrom(generation))
    expect(await outcomeOf(ledger, adoption(old))).toBe('origin-diverged')
    expect(ledger.generations.head()?.gid).toBe(flips[1]!.gid)
  })
})

describe('much that is lost', () => {
  it('is seen by nobody from the flip on, and its rows go before the next one', async () => {
    await using folder = await temporaryFolder()
    const before = await openedLedger(folder.path)
    await flipped(before, 400)
    const flips = branch(at(before, 5), OTHER, 1_000, 300)
    await before.generations.adopt(adoption(flips.slice(0, 290)))
    expect(numbers(before)).toHaveLength(296)
    const page = before.generations.list({ kind: 'number', atMost: 1_001 }, 4)
    expect(page.map(({ record }) => record.number)).toEqual([1_001, 1_000, 5, 4])
    const up = before.generations.list({ kind: 'above', number: 3 }, 3)
    expect(up.map(({ record }) => record.number)).toEqual([4, 5, 1_000])
    await before[Symbol.asyncDispose]()
    expect(await rowsIn(folder.path)).toEqual([690, 690])

    const after = await openedLedger(folder.path)
    expect(numbers(after)).toHaveLength(296)
    await after.generations.adopt(adoption(flips))
    expect(numbers(after)).toHaveLength(306)
    await after[Symbol.asyncDispose]()
    expect(await rowsIn(folder.path)).toEqual([306, 306])
  })

  it('leaves alone what was made at the same time by another clock', async () => {
    await using folder = await temporaryFolder()
    const before = await openedLedger(folder.path)
    await flipped(before, 9)
    const [fifth, eighth] = [at(before, 5), at(before, 8)]
    const born: Lineage = { id: OTHER, parent: LINEAGE, forkAt: 5, reason: 'fork' }
    const first = flipAfter(fifth, { born, number: 1_000, created: eighth.record.created })
    await before.generations.adopt(adoption([first]))
    await before[Symbol.asyncDispose]()
    await using after = await openedLedger(folder.path)
    const then = { kind: 'time', atMostMs: Date.parse(eighth.record.created) } as const
    expect(after.generations.list(then, 1)[0]?.gid).toBe(first.gid)
  })
})

/** Of the log, and of its times. */
async function rowsIn(path: string): Promise<readonly number[]> {
  await using store = await openedStore(path)
  return [store.tables.log, store.tables.times].map((table) => table.getKeysCount())
}

function flipFrom({ gid, record }: Generation): Flip {
  return { expected: record.parent, gid, record, bytes: encodeRecord(record) }
}
