/**
 * How floors and pins stand at a node (PROTOCOL §1, §5): as tables, over the ledger of a replica that has passed over
 * some generations, and over logs that only a later ledger keeps.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { FloorHere, PinHere } from '../../src/depot/gate.ts'
import { floorHere, pinHere, type Standpoint } from '../../src/depot/standing.ts'
import type { Flip } from '../../src/ledger/ledger.ts'
import type { OpenLedger } from '../../src/ledger/open.ts'
import type { Generation, GenerationState, Gid, Lineage, LineageId } from '../../src/model/generation.ts'
import { flipAfter, LINEAGE, openedLedger } from '../ledger/a-ledger.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const NEWER = 'nnnnnnnnnnnn' as LineageId
const FOREIGN = 'aaaaaaaaaaaa' as LineageId
const DIGEST = '0123456789abcdef'

function gid(number: number, lineage: LineageId = LINEAGE): Gid {
  return `g${number}.${lineage}.${DIGEST}` as Gid
}

/** Of a replica: it has g0, and then g3 without what g1 and g2 name. */
let ledger: OpenLedger
let folder: Awaited<ReturnType<typeof temporaryFolder>>
let log: readonly Gid[] = []

beforeAll(async () => {
  folder = await temporaryFolder()
  ledger = await openedLedger(folder.path)
  const flips: Flip[] = []
  let parent: Generation | undefined
  for (let number = 0; number <= 3; number += 1) {
    const flip = flipAfter(parent)
    flips.push(flip)
    parent = { gid: flip.gid, record: flip.record, state: 'active', signatures: [] }
  }
  const lineages: Lineage[] = [{ id: LINEAGE, parent: null, forkAt: null, reason: 'init' }]
  await ledger.generations.adopt({ lineages, records: flips.slice(0, 1) })
  await ledger.generations.adopt({ lineages, records: flips.slice(1) })
  log = flips.map((flip) => flip.gid)
})
afterAll(async () => {
  await ledger[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

function at(known?: Gid): Standpoint {
  const { generations } = ledger
  const head = generations.head()!
  return { generations, head, known: known ?? head.gid }
}

describe('a floor', () => {
  it('is none, or the head of this moment', () => {
    expect(floorHere(at(), undefined)).toBe('none')
    expect(floorHere(at(), 'head')).toBe('head')
  })

  it('is met by the head and what came before it', () => {
    expect(log.map((floor) => floorHere(at(), floor))).toEqual(['met', 'met', 'met', 'met'])
  })

  it.each<[Gid, Gid | undefined, FloorHere]>([
    [gid(4), undefined, 'unannounced'],
    [gid(4), gid(4), 'announced'],
    [gid(4), gid(9), 'announced'],
    [gid(9), gid(4), 'unannounced'],
    // Another digest under a number that is known.
    [gid(3), undefined, 'unannounced'],
    [gid(3), gid(9), 'unannounced'],
    [`g4.${LINEAGE}.ffffffffffffffff` as Gid, gid(4), 'unannounced'],
    [gid(1, FOREIGN), undefined, 'foreign'],
    [gid(1, FOREIGN), gid(9), 'foreign'],
    // The newest is of a lineage that is not here: only the origin knows what came of the old one.
    [gid(4, NEWER), gid(4, NEWER), 'announced'],
    [gid(4, NEWER), gid(9, NEWER), 'announced'],
    [gid(9, NEWER), gid(4, NEWER), 'unannounced'],
    [gid(4), gid(5, NEWER), 'announced'],
    [gid(1, FOREIGN), gid(5, NEWER), 'announced'],
  ])('%s is, where %s was heard of, %s', (floor, known, expected) => {
    expect(floorHere(at(known), floor)).toBe(expected)
  })
})

describe('a pin', () => {
  it('is here when it is held, and away when only its record is known', () => {
    expect(log.map((pin) => pinHere(at(), pin))).toEqual(['here', 'away', 'away', 'here'])
  })

  it.each<[Gid, Gid | undefined, PinHere]>([
    [gid(4), undefined, 'unannounced'],
    [gid(4), gid(4), 'away'],
    [gid(4), gid(9), 'away'],
    [gid(9), gid(4), 'unannounced'],
    // The log has every generation up to the head, so nobody was ever given these.
    [gid(1), gid(9), 'unannounced'],
    [gid(3), gid(9), 'unannounced'],
    [gid(1, FOREIGN), undefined, 'foreign'],
    [gid(4, NEWER), gid(4, NEWER), 'away'],
    [gid(9, NEWER), gid(4, NEWER), 'unannounced'],
    [gid(4), gid(5, NEWER), 'away'],
    [gid(1, FOREIGN), gid(5, NEWER), 'away'],
  ])('%s is, where %s was heard of, %s', (pin, known, expected) => {
    expect(pinHere(at(known), pin)).toBe(expected)
  })

  it.each<[GenerationState, boolean, PinHere]>([
    ['active', true, 'here'],
    ['active', false, 'away'],
    ['sealed', true, 'sealed'],
    ['sealed', false, 'sealed'],
    ['retired', true, 'retired'],
    ['retired', false, 'retired'],
    ['aborted', true, 'unannounced'],
    ['aborted', false, 'unannounced'],
  ])('that is %s, held: %s, is %s', (state, isHeld, expected) => {
    const generations: Standpoint['generations'] = {
      get: (wanted) => ({ ...at().head, gid: wanted, state }),
      isHeld: () => isHeld,
      lineages: () => ledger.generations.lineages(),
    }
    expect(pinHere({ ...at(), generations }, gid(2))).toBe(expected)
  })
})

describe('after a fork of g2', () => {
  const lineages = new Map<LineageId, Lineage>([
    [LINEAGE, { id: LINEAGE, parent: null, forkAt: null, reason: 'init' }],
    [NEWER, { id: NEWER, parent: LINEAGE, forkAt: 2, reason: 'fork' }],
  ])
  const forked = (known: Gid): Standpoint => ({
    generations: { get: () => undefined, isHeld: () => false, lineages: () => lineages },
    head: { ...at().head, gid: gid(4, NEWER) },
    known,
  })

  it.each<[Gid, FloorHere, PinHere]>([
    [gid(2), 'met', 'unannounced'],
    [gid(3), 'lost', 'lost'],
    [gid(99), 'lost', 'lost'],
    [gid(4, NEWER), 'met', 'here'],
    [gid(5, NEWER), 'announced', 'away'],
    [gid(6, NEWER), 'unannounced', 'unannounced'],
    [gid(2, FOREIGN), 'foreign', 'foreign'],
  ])('%s is as a floor %s, and as a pin %s', (wanted, floor, pin) => {
    const standpoint = forked(gid(5, NEWER))
    expect([floorHere(standpoint, wanted), pinHere(standpoint, wanted)]).toEqual([floor, pin])
  })
})
