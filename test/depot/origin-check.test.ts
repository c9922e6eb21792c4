/**
 * Whether an origin may commit, by what those tell who follow it (PROTOCOL §10, I32, I34), over a real ledger.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { forkLineage } from '../../src/depot/lineage/fork.ts'
import { GRACE_MS, OriginCheck, type Testimony } from '../../src/depot/lineage/origin-check.ts'
import type { OpenLedger } from '../../src/ledger/open.ts'
import type { Gid, Lineage, LineageId } from '../../src/model/generation.ts'
import { LIMITS } from '../../src/model/limits.ts'
import { flipAfter, flipped, LINEAGE, openedLedger, StandingClock } from '../ledger/a-ledger.ts'
import { realRandom } from '../support/real-world.ts'
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts'

const OTHER = 'bcdefghijklm' as LineageId
const BORN: Lineage = { id: OTHER, parent: LINEAGE, forkAt: 3, reason: 'takeover' }

let folder: TemporaryFolder
let ledger: OpenLedger
let clock: StandingClock
let gids: readonly Gid[]

beforeEach(async () => {
  folder = await temporaryFolder()
  clock = new StandingClock()
  ledger = await openedLedger(folder.path, clock)
  await flipped(ledger, 4)
  gids = ledger.generations.list({ kind: 'above', number: -1 }, 10).map(({ gid }) => gid)
})
afterEach(async () => {
  await ledger[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

function started(allowUnverified = false): OriginCheck {
  const { generations, notes } = ledger
  return new OriginCheck({ generations, notes, clock, allowUnverified })
}

/** As it is after the process that serves has ended, and another one has started. */
async function restarted(allowUnverified = false): Promise<OriginCheck> {
  await ledger[Symbol.asyncDispose]()
  ledger = await openedLedger(folder.path, clock)
  return started(allowUnverified)
}

function from(id: string, head: Gid | null, more: Partial<Testimony> = {}): Testimony {
  return { id, head, ...more }
}

/** A generation that this origin does not have; `number` is the one after its head where nothing is said. */
function unknown(number = 4, lineage: LineageId = LINEAGE): Gid {
  return `g${number}.${lineage}.0123456789abcdef` as Gid
}

describe('an origin', () => {
  it('that nobody ever followed is sure at once', () => {
    expect(started().verdict()).toEqual({ kind: 'sure' })
  })

  it('that a node followed which has nothing yet need not ask it', async () => {
    await started().hear(from('r1', null))
    expect((await restarted()).verdict()).toEqual({ kind: 'sure' })
  })

  it('asks after a restart, until all are heard', async () => {
    const before = started()
    await before.hear(from('r1', gids[3]!, { publicUrl: 'http://r1' }))
    await before.hear(from('r2', gids[2]!))
    expect(before.verdict()).toEqual({ kind: 'sure' })
    const check = await restarted()
    expect(check.verdict()).toEqual({ kind: 'asking' })
    expect(check.unheard()).toEqual([{ id: 'r1', publicUrl: 'http://r1' }, { id: 'r2' }])
    expect(await check.hear(from('r1', gids[3]!))).toBe(false)
    expect(check.verdict()).toEqual({ kind: 'asking' })
    expect(await check.hear(from('r2', gids[0]!))).toBe(true)
    expect(check.verdict()).toEqual({ kind: 'sure' })
  })

  it('waits no longer for some of them than a lease', async () => {
    const before = started()
    for (const id of ['r1', 'r2']) await before.hear(from(id, gids[3]!))
    const check = await restarted()
    await check.hear(from('r1', gids[3]!))
    clock.advance(GRACE_MS - 1)
    expect(check.verdict()).toEqual({ kind: 'asking' })
    clock.advance(1)
    expect(check.verdict()).toEqual({ kind: 'sure' })
  })

  it('that hears nobody is unverified, unless it is to commit all the same, and until somebody comes', async () => {
    await started().hear(from('r1', gids[3]!))
    const check = await restarted()
    clock.advance(GRACE_MS)
    expect(check.verdict()).toEqual({ kind: 'unverified' })
    const allowed = started(true)
    expect(allowed.verdict()).toEqual({ kind: 'asking' })
    clock.advance(GRACE_MS)
    expect(allowed.verdict()).toEqual({ kind: 'sure' })
    await check.hear(from('r1', gids[1]!))
    expect(check.verdict()).toEqual({ kind: 'sure' })
  })

  it('does not ask a node that has left', async () => {
    const check = started()
    await check.hear(from('r1', gids[3]!))
    await check.left('r1')
    expect((await restarted()).verdict()).toEqual({ kind: 'sure' })
  })

  it('forgets who is silent only while it is sure', async () => {
    for (const id of ['r1', 'r2']) await started().hear(from(id, gids[3]!))
    const check = await restarted()
    clock.advance(GRACE_MS)
    await check.forgetSilent()
    expect(ledger.notes.followers()).toHaveLength(2)
    await check.hear(from('r1', gids[3]!))
    await check.forgetSilent()
    expect(ledger.notes.followers()).toEqual([{ id: 'r1' }])
  })

  it('remembers so many nodes and no more: who is silent makes way', async () => {
    const check = started()
    for (let at = 0; at < LIMITS.nodes; at += 1) await check.hear(from(`r${at}`, gids[3]!))
    const again = await restarted()
    await again.hear(from('r0', gids[3]!))
    await again.hear(from('new', gids[3]!))
    const ids = ledger.notes.followers().map(({ id }) => id)
    expect([ids.length, ids.includes('new'), ids.includes('r0')]).toEqual([LIMITS.nodes, true, true])
    // Also when all of them were heard since: a new node is never refused for it.
    const heard = [...ids].reverse()
    for (const id of heard) await again.hear(from(id, gids[3]!))
    await again.hear(from('newer', gids[3]!))
    const later = ledger.notes.followers().map(({ id }) => id)
    expect([later.length, later.includes('newer'), later.includes(heard[0]!)]).toEqual([
      LIMITS.nodes,
      true,
      false,
    ])
  })
})

describe('lost generations', () => {
  it.each<[string, () => Gid]>([
    ['a higher number', () => unknown()],
    ['a much higher number', () => unknown(70)],
    ['the same number with another digest', () => unknown(3)],
    ['an older number with another digest', () => unknown(1)],
  ])('are told of by %s, at any time', async (_what, seen) => {
    const check = started()
    expect(await check.hear(from('r1', seen()))).toBe(true)
    expect(check.verdict()).toEqual({ kind: 'diverged', seen: seen() })
    expect(check.highest()).toBe(Math.max(3, Number(/\d+/.exec(seen())?.[0])))
  })

  it('are not forgotten when who has told of them leaves, or the process ends', async () => {
    const check = started()
    await check.hear(from('r1', unknown()))
    await check.left('r1')
    expect(check.verdict().kind).toBe('diverged')
    const again = await restarted()
    expect(again.verdict()).toEqual({ kind: 'asking' })
    clock.advance(GRACE_MS)
    expect(again.verdict()).toEqual({ kind: 'unverified' })
  })

  it('are told of by what was announced, where a replica says that it finds another history', async () => {
    const check = started()
    await check.hear(from('r1', gids[3]!, { known: unknown() }))
    expect(check.verdict()).toEqual({ kind: 'sure' })
    await check.hear(from('r1', gids[3]!, { known: unknown(), isDiverged: true }))
    expect(check.verdict()).toEqual({ kind: 'diverged', seen: unknown() })
  })

  it('are the newest of all that are told of', async () => {
    const check = started()
    for (const [id, number] of [
      ['r1', 5],
      ['r2', 7],
      ['r3', 6],
    ] as const)
      await check.hear(from(id, unknown(number)))
    expect(check.verdict()).toEqual({ kind: 'diverged', seen: unknown(7) })
  })

  it('are remembered of so many nodes and no more, and the newest of them always', async () => {
    const check = started()
    await check.hear(from('newest', unknown(9_000)))
    for (let at = 0; at <= LIMITS.nodes; at += 1) await check.hear(from(`r${at}`, unknown(5 + at)))
    expect(check.verdict()).toEqual({ kind: 'diverged', seen: unknown(9_000) })
  })

  it('are brought back by an adoption, and then it is sure', async () => {
    const check = started()
    const next = flipAfter(ledger.generations.head())
    await check.hear(from('r1', next.gid))
    expect(check.verdict().kind).toBe('diverged')
    await ledger.generations.adopt({ lineages: [], records: [next] })
    await check.adopted()
    expect(check.verdict()).toEqual({ kind: 'sure' })
    await check.hear(from('r2', unknown(9)))
    expect(check.verdict().kind).toBe('diverged')
  })

  it('are given up by a fork, whose numbers begin above all that was told of', async () => {
    const check = started()
    await check.hear(from('r1', unknown(1_203)))
    const wish = { reason: 'fork', highest: check.highest(), publisher: 'admin' } as const
    const { generations } = ledger
    const forked = await forkLineage({ generations, clock, random: realRandom }, wish)
    await check.forked()
    expect(forked.record).toMatchObject({ number: 2_000, parent: gids[3], message: `fork of ${gids[3]}` })
    expect(generations.lineages().get(forked.record.lineage)).toEqual({
      id: forked.record.lineage,
      parent: LINEAGE,
      forkAt: 3,
      reason: 'fork',
    })
    expect(check.verdict()).toEqual({ kind: 'sure' })
    // It goes on telling of it, until it has followed.
    await check.hear(from('r1', unknown(1_203)))
    expect(check.verdict()).toEqual({ kind: 'sure' })
    expect((await restarted()).verdict()).toEqual({ kind: 'asking' })
  })
})

describe('numbers', () => {
  it('that no depot comes to are not believed, and neither are those of another depot', async () => {
    const check = started()
    await check.hear(from('r1', unknown(999_999_999_999_999)))
    await check.hear(from('r2', unknown(5_000, OTHER)))
    expect(check.highest()).toBe(3)
  })
})

describe('a lineage that descends from the own one', () => {
  it('ends the time of this origin, for good, whoever is there later', async () => {
    const check = started()
    const seen = unknown(1_001, OTHER)
    await check.hear(from('r1', seen, { lineages: [BORN] }))
    expect(check.verdict()).toEqual({ kind: 'superseded', seen })
    const again = await restarted(true)
    expect(again.verdict()).toEqual({ kind: 'superseded', seen })
    await again.hear(from('r1', gids[3]!))
    expect(again.verdict()).toEqual({ kind: 'superseded', seen })
  })

  it('is one of another depot as long as nobody tells where it comes from', async () => {
    const check = started()
    await check.hear(from('r1', unknown(1_001, OTHER)))
    expect(check.verdict()).toEqual({ kind: 'sure' })
    const foreign: Lineage = { ...BORN, parent: 'zzzzzzzzzzzz' as LineageId }
    await check.hear(from('r1', unknown(1_001, OTHER), { lineages: [foreign] }))
    expect(check.verdict()).toEqual({ kind: 'sure' })
  })

  it('keeps who follows it from vouching for this depot, also where nobody knows it', async () => {
    await started().hear(from('r1', gids[3]!))
    const check = await restarted()
    await check.hear(from('r1', unknown(1_001, OTHER)))
    clock.advance(GRACE_MS)
    expect(check.verdict()).toEqual({ kind: 'unverified' })
  })

  it('weighs more than generations that are lost', async () => {
    const check = started()
    await check.hear(from('r1', unknown(9_000)))
    await check.hear(from('r2', unknown(1_001, OTHER), { lineages: [BORN] }))
    expect(check.verdict().kind).toBe('superseded')
  })

  it('is followed by this depot itself when it has become a replica of it: then its time may come again', async () => {
    const check = started()
    const next = flipAfter(ledger.generations.head(), { number: 1_000, born: BORN })
    await check.hear(from('r1', next.gid, { lineages: [BORN] }))
    await ledger.generations.adopt({ lineages: [BORN], records: [next] })
    expect((await restarted()).verdict().kind).not.toBe('superseded')
  })
})

describe('a restored folder', () => {
  it('that nobody can vouch for is unverified, until it is allowed once', async () => {
    await ledger.notes.write('restored', 'same')
    expect(started().verdict()).toEqual({ kind: 'unverified' })
    const allowed = await restarted(true)
    await allowed.begin()
    expect(allowed.verdict()).toEqual({ kind: 'sure' })
    expect((await restarted()).verdict()).toEqual({ kind: 'sure' })
  })

  it('is like any other when those have nothing newer who followed it', async () => {
    await ledger.notes.write('restored', 'same')
    await ledger.notes.keep({ id: 'r1' })
    const check = await restarted()
    expect(check.verdict()).toEqual({ kind: 'asking' })
    await check.hear(from('r1', gids[3]!))
    expect(check.verdict()).toEqual({ kind: 'sure' })
    expect(ledger.notes.note('restored')).toBeUndefined()
  })

  it('that is to fork commits nothing before it has, and forks when all were heard', async () => {
    await ledger.notes.write('restored', 'fork')
    await ledger.notes.keep({ id: 'r1' })
    const check = await restarted()
    expect([check.isForkDue(), check.verdict()]).toEqual([false, { kind: 'asking' }])
    await check.hear(from('r1', unknown(8)))
    expect([check.isForkDue(), check.highest()]).toEqual([true, 8])
    expect(check.verdict().kind).toBe('diverged')
    await check.forked()
    expect([check.isForkDue(), ledger.notes.note('restored')]).toEqual([false, undefined])
  })

  it('that is to fork does so after a lease at the latest, and at once when nobody is known', async () => {
    await ledger.notes.write('restored', 'fork')
    expect([started().isForkDue(), started().verdict()]).toEqual([true, { kind: 'asking' }])
    await ledger.notes.keep({ id: 'r1' })
    const check = await restarted()
    expect(check.isForkDue()).toBe(false)
    clock.advance(GRACE_MS)
    expect(check.isForkDue()).toBe(true)
  })
})
