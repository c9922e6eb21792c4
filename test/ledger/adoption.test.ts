/**
 * Taking over what an upstream has committed: L1 and L2, and never a step back.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, vi } from 'vitest'
import type { AdoptedRecord, Adoption, Flip } from '../../src/ledger/ledger.ts'
import type { OpenLedger } from '../../src/ledger/open.ts'
import { Store } from '../../src/ledger/store.ts'
import { encodeRecord, type Generation, type Gid, type LineageId } from '../../src/model/generation.ts'
import { instantOf } from '../../src/model/instant.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { FIRST_MS, flipAfter, flipped, LINEAGE, openedLedger } from './a-ledger.ts'

const CHILD = fileURLToPath(new URL('./adopting-child.ts', import.meta.url))
const INIT = { id: LINEAGE, parent: null, forkAt: null, reason: 'init' } as const

/** As many generations as are asked for, each after the one before. */
function chain(length: number, message = ''): readonly Flip[] {
  const flips: Flip[] = []
  for (let at = 0; at < length; at += 1) flips.push(flipAfter(generationOf(flips.at(-1)), { message }))
  return flips
}

function generationOf(flip: Flip | undefined): Generation | undefined {
  return flip && { gid: flip.gid, record: flip.record, state: 'active', signatures: [] }
}

function adoption(records: readonly AdoptedRecord[]): Adoption {
  return { lineages: [INIT], records }
}

async function adopted(ledger: OpenLedger, records: readonly AdoptedRecord[]): Promise<string> {
  return await ledger.generations.adopt(adoption(records)).then(
    ({ gid }) => gid,
    (error: { code: string }) => error.code,
  )
}

describe('an empty ledger', () => {
  it('adopts a whole chain: the last is the head and held, the others are known', async () => {
    await using folder = await temporaryFolder()
    const flips = chain(5)
    const before = await openedLedger(folder.path)
    expect(await adopted(before, flips)).toBe(flips[4]!.gid)
    expect(before.generations.head()).toEqual(generationOf(flips[4]))
    await before[Symbol.asyncDispose]()

    await using after = await openedLedger(folder.path)
    const { generations } = after
    expect(generations.head()).toEqual(generationOf(flips[4]))
    const log = generations.list({ kind: 'newest' }, 10).map(({ gid }) => gid)
    expect(log).toEqual(flips.map(({ gid }) => gid).reverse())
    expect(flips.map(({ gid }) => generations.isHeld(gid))).toEqual([false, false, false, false, true])
    expect(generations.get(flips[2]!.gid)).toEqual(generationOf(flips[2]))
    expect([...generations.lineages().values()]).toEqual([INIT])
  })

  it('holds one that was passed over as soon as it is told to, for good, and the others not', async () => {
    await using folder = await temporaryFolder()
    const flips = chain(4)
    const before = await openedLedger(folder.path)
    await adopted(before, flips)
    await before.generations.hold(flips[1]!.gid)
    const isHeld = (at: OpenLedger): boolean[] => flips.map(({ gid }) => at.generations.isHeld(gid))
    expect(isHeld(before)).toEqual([false, true, false, true])
    await before[Symbol.asyncDispose]()
    await using after = await openedLedger(folder.path)
    expect(isHeld(after)).toEqual([false, true, false, true])
    expect(after.generations.get(flips[1]!.gid)).toEqual(generationOf(flips[1]))
    expect(after.generations.head()).toEqual(generationOf(flips[3]))
    // The chain goes on as if nothing had been.
    expect(await adopted(after, chain(6))).toBe(chain(6)[5]!.gid)
  })

  it('refuses a chain that does not begin at the beginning', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    expect(await adopted(ledger, chain(3).slice(1))).toBe('origin-diverged')
    expect(ledger.generations.head()).toBeUndefined()
  })
})

describe('a ledger with a head', () => {
  it('adopts what follows it, passes over what it has, and keeps what it holds', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const flips = chain(9)
    await adopted(ledger, flips.slice(0, 3))
    expect(await adopted(ledger, flips.slice(3, 6))).toBe(flips[5]!.gid)
    expect(await adopted(ledger, flips.slice(1))).toBe(flips[8]!.gid)
    expect(await adopted(ledger, flips.slice(8))).toBe(flips[8]!.gid)
    const held = flips.filter(({ gid }) => ledger.generations.isHeld(gid)).map(({ record }) => record.number)
    expect(held).toEqual([2, 5, 8])
    expect(ledger.generations.isHeld(chain(3, 'other')[2]!.gid)).toBe(false)
  })

  it('that has committed itself goes on as a replica of who has the same history', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const head = await flipped(ledger, 3)
    const next = flipAfter(head)
    expect(await adopted(ledger, [next])).toBe(next.gid)
    expect(ledger.generations.isHeld(head.gid)).toBe(true)
  })

  it('never goes back, and never to the side', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const flips = chain(4)
    const other = chain(6, 'other')
    await adopted(ledger, flips)
    const head = ledger.generations.head()!
    expect(await adopted(ledger, flips.slice(0, 3))).toBe('origin-diverged')
    expect(await adopted(ledger, other.slice(0, 4))).toBe('origin-diverged')
    expect(await adopted(ledger, other.slice(3))).toBe('origin-diverged')
    expect(await adopted(ledger, other.slice(4))).toBe('origin-diverged')
    expect(await adopted(ledger, other.slice(5))).toBe('origin-diverged')
    expect(ledger.generations.head()).toEqual(head)
    expect(ledger.generations.list({ kind: 'newest' }, 10)).toHaveLength(4)
  })

  it('refuses what is not what it says, and keeps nothing of it (L2)', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const flips = chain(6)
    await adopted(ledger, flips.slice(0, 2))
    const head = ledger.generations.head()!
    const [, , third, fourth] = flips
    const changed = { gid: third!.gid, bytes: encodeRecord({ ...third!.record, message: 'changed' }) }
    const young = flipAfter(generationOf(third), { created: instantOf(FIRST_MS) })
    const foreign = flipAfter(head, { lineage: 'zzzzzzzzzzzz' as LineageId })
    const bad: readonly (readonly [readonly AdoptedRecord[], string])[] = [
      [[changed], 'digest-mismatch'],
      [[{ gid: third!.gid, bytes: Buffer.from('no JSON') }], 'bad-request'],
      [[{ gid: third!.gid, bytes: Buffer.from('{"v":1}') }], 'bad-request'],
      [[third!, flips[4]!], 'origin-diverged'],
      [[fourth!, third!], 'origin-diverged'],
      [[third!, young], 'origin-diverged'],
      [[foreign], 'lineage-foreign'],
    ]
    for (const [records, code] of bad) expect(await adopted(ledger, records)).toBe(code)
    expect(ledger.generations.head()).toEqual(head)
    expect(ledger.generations.list({ kind: 'number', atMost: 100 }, 10)).toHaveLength(2)
    expect(ledger.generations.get(third!.gid)).toBeUndefined()
    expect(await adopted(ledger, flips.slice(2))).toBe(flips[5]!.gid)
  })

  it('adopts a new lineage with the generation that begins it', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const flips = chain(3)
    await adopted(ledger, flips)
    const born = { id: 'forkforkfork' as LineageId, parent: LINEAGE, forkAt: 2, reason: 'takeover' } as const
    const first = flipAfter(generationOf(flips[2]), { number: 1_000, born })
    await ledger.generations.adopt({ lineages: [INIT, born], records: [first] })
    expect(ledger.generations.lineages().get(born.id)).toEqual(born)
    expect(ledger.generations.head()?.gid).toBe(first.gid)
  })

  it('lets one of two adoptions win, and takes the other for what it has', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const flips = chain(8)
    const both = [flips.slice(0, 4), flips].map(async (records) => await adopted(ledger, records))
    expect(await Promise.all(both)).toEqual([flips[3]!.gid, flips[7]!.gid])
    expect(ledger.generations.head()?.gid).toBe(flips[7]!.gid)
  })
})

describe('a long chain', () => {
  it('becomes true all at once, however many transactions it takes', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const { generations } = ledger
    const flips = chain(1_000)
    const head = flips[2]!.gid
    await adopted(ledger, flips.slice(0, 3))
    let isOver = false
    let looks = 0
    const adopting = adopted(ledger, flips).finally(() => {
      isOver = true
    })
    // Between the rows that are written and the head there are turns in which others read.
    for (; !isOver; looks += 1) {
      if (generations.head()?.gid === head) {
        for (const { gid } of [flips[3]!, flips[500]!, flips[998]!]) {
          expect(generations.get(gid)).toBeUndefined()
          expect(generations.isHeld(gid)).toBe(false)
        }
        expect(generations.list({ kind: 'newest' }, 1)[0]?.gid).toBe(head)
        expect(generations.list({ kind: 'above', number: 2 }, 10)).toEqual([])
        const ofTime = generations.list({ kind: 'time', atMostMs: Number.MAX_SAFE_INTEGER }, 1)
        expect(ofTime[0]?.gid).toBe(head)
      }
      await new Promise(setImmediate)
    }
    expect(looks).toBeGreaterThan(5)
    expect(await adopting).toBe(flips[999]!.gid)
    const log = generations.list({ kind: 'newest' }, 2_000).map(({ gid }) => gid)
    expect(log).toEqual(flips.map(({ gid }) => gid).reverse())
    const held = flips.filter(({ gid }) => generations.isHeld(gid)).map(({ record }) => record.number)
    expect(held).toEqual([2, 999])
  })

  it('leaves nothing when its adoption was cut off and another one is told', async () => {
    await using folder = await temporaryFolder()
    const left = chain(400, 'left')
    {
      await using ledger = await openedLedger(folder.path)
      // All that goes ahead is written, and the head cannot move.
      const full = vi.spyOn(Store.prototype, 'transact').mockRejectedValueOnce(new Error('no more'))
      await expect(ledger.generations.adopt(adoption(left))).rejects.toThrow('no more')
      full.mockRestore()
    }
    await using ledger = await openedLedger(folder.path)
    expect(ledger.generations.head()).toBeUndefined()
    expect(ledger.generations.get(left[5]!.gid)).toBeUndefined()
    const flips = chain(3)
    expect(await adopted(ledger, flips)).toBe(flips[2]!.gid)
    const born = { id: 'forkforkfork' as LineageId, parent: LINEAGE, forkAt: 2, reason: 'takeover' } as const
    const first = flipAfter(generationOf(flips[2]), { number: 1_000, born })
    await ledger.generations.adopt({ lineages: [INIT, born], records: [first] })
    expect(ledger.generations.list({ kind: 'newest' }, 1_000)).toHaveLength(4)
    expect(left.filter(({ gid }) => ledger.generations.get(gid) !== undefined)).toEqual([])
  })
})

describe('a replica whose process is killed while it adopts', () => {
  it.each([7, 500])(
    'has all that was acknowledged, and every chain of %i whole or not at all',
    async (atOnce) => {
      await using folder = await temporaryFolder()
      let acknowledged = -1
      for (let round = 0; round < 5; round += 1) {
        acknowledged = Math.max(
          acknowledged,
          await killedAfter(folder.path, atOnce, 1 + Math.floor(Math.random() * (200 / atOnce + 2))),
        )
        await using ledger = await openedLedger(folder.path)
        const log = ledger.generations.list({ kind: 'newest' }, 100_000)
        const head = ledger.generations.head()!
        expect(head).toEqual(log[0])
        expect(head.record.number).toBeGreaterThanOrEqual(acknowledged)
        expect(log).toHaveLength(head.record.number + 1)
        expect(log.length % atOnce).toBe(0)
        for (const [at, { gid, record }] of log.entries()) {
          expect(record.parent).toBe(log[at + 1]?.gid ?? null)
          expect(ledger.generations.isHeld(gid)).toBe(record.number % atOnce === atOnce - 1)
        }
      }
    },
  )
})

/** The number of the last head that the child has acknowledged. */
async function killedAfter(path: string, atOnce: number, lines: number): Promise<number> {
  const child = spawn(process.execPath, [CHILD, path, String(atOnce)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const died = once(child, 'exit')
  let text = ''
  for await (const piece of child.stdout as AsyncIterable<Buffer>) {
    text += piece.toString()
    if (text.split('\n').length > lines) child.kill('SIGKILL')
  }
  expect(await died).toEqual([null, 'SIGKILL'])
  const last = text.split('\n').at(-2) as Gid | undefined
  return last === undefined ? -1 : Number(/^g(\d+)\./.exec(last)?.[1])
}
