/** Which generation answers a request on an origin that stands alone (PROTOCOL §2, §5). */
import { describe, expect, it } from 'vitest'
import { type Demand, resolveGeneration } from '../../src/depot/freshness.ts'
import type { Gid, Lineage, LineageId } from '../../src/model/generation.ts'
import { refusalOf } from '../model/refusal.ts'
import { generation } from './a-generation.ts'

const ROOT = 'rootaaaaaaaa' as LineageId
const RESTORED = 'restoredaaaa' as LineageId

/** Restored from a backup at 40: what came after it on the old lineage is lost. The head is 1002. */
const OLD = generation(12, ROOT, 'retired')
const FORK_POINT = generation(40, ROOT)
const FIRST = generation(1000, RESTORED)
const ABORTED = generation(1001, RESTORED, 'aborted')
const HEAD = generation(1002, RESTORED)
const SEALED = generation(1003, RESTORED, 'sealed')
const KNOWN = [OLD, FORK_POINT, FIRST, ABORTED, HEAD, SEALED]

/** What nobody here has. */
const LOST = generation(41, ROOT).gid
const AHEAD = generation(1004, RESTORED).gid
const FORGED = `g999999999999999.${RESTORED}.0123456789abcdef` as Gid
const FOREIGN = generation(1, 'foreignaaaaa' as LineageId).gid
const DIVERGED = HEAD.gid.replace(/[0-9a-f]{16}$/, '0123456789abcdef') as Gid
const MISSPELT = FIRST.gid.replace(/[0-9a-f]{16}$/, '0123456789abcdef') as Gid

const lineages: readonly Lineage[] = [
  { id: ROOT, parent: null, forkAt: null, reason: 'init' },
  { id: RESTORED, parent: ROOT, forkAt: 40, reason: 'restore' },
]

const generations = {
  get: (gid: Gid) => KNOWN.find((known) => known.gid === gid),
  isHeld: () => true,
  lineages: () => new Map(lineages.map((lineage) => [lineage.id, lineage])),
}

function answering(demand: Demand): Gid {
  return resolveGeneration(generations, HEAD, demand).gid
}

function refusing(demand: Demand): { code: string; details: unknown } {
  const { code, details } = refusalOf(() => answering(demand))
  return { code, details }
}

/** What is lost was lost at a fork, and its refusal says which one. */
function forkOf(code: string): { readonly forkAt?: number } {
  return code === 'generation-lost' ? { forkAt: 40 } : {}
}

describe('a request without a pin', () => {
  it('is answered from the head', () => {
    expect(answering({})).toBe(HEAD.gid)
  })

  it.each<[string, Gid | 'head']>([
    ['the head itself', HEAD.gid],
    ['an older generation', FIRST.gid],
    ['one before the restore', FORK_POINT.gid],
    ['one that is retired', OLD.gid],
    ['whatever the head is: an origin confirms it itself', 'head'],
  ])('and with a floor is answered from the head when the floor is %s', (_, floor) => {
    expect(answering({ floor })).toBe(HEAD.gid)
  })

  it.each([
    ['one that is not there yet', AHEAD, 'generation-unknown'],
    ['one that is sealed and not active', SEALED.gid, 'generation-unknown'],
    ['a forged huge number, for which it never waits', FORGED, 'generation-unknown'],
    ['one that was lost in the restore', LOST, 'generation-lost'],
    ['one with the number of the head and another digest', DIVERGED, 'generation-unknown'],
    ['one of another depot', FOREIGN, 'lineage-foreign'],
  ])('is refused when the floor is %s', (_, floor, code) => {
    expect(refusing({ floor })).toEqual({
      code,
      details: { wanted: floor, generation: HEAD.gid, floor: true, ...forkOf(code) },
    })
  })
})

describe('a request with a pin', () => {
  it.each([
    ['the head', HEAD.gid],
    ['an older generation', FIRST.gid],
    ['a generation before the restore', FORK_POINT.gid],
  ])('is answered from exactly that: %s (I7)', (_, pin) => {
    expect(answering({ pin })).toBe(pin)
  })

  it('is refused for ever when the generation is retired', () => {
    expect(refusing({ pin: OLD.gid })).toEqual({ code: 'generation-retired', details: { wanted: OLD.gid } })
  })

  it.each([
    ['not there yet', AHEAD, 'generation-unknown'],
    ['sealed and not active (I11)', SEALED.gid, 'generation-unknown'],
    ['aborted', ABORTED.gid, 'generation-unknown'],
    ['one with another digest than the one of that number', MISSPELT, 'generation-unknown'],
    ['a forged huge number', FORGED, 'generation-unknown'],
    ['lost in the restore', LOST, 'generation-lost'],
    ['one with the number of the head and another digest', DIVERGED, 'generation-unknown'],
    ['of another depot', FOREIGN, 'lineage-foreign'],
  ])('is refused when the generation is %s', (_, pin, code) => {
    const details = { wanted: pin, generation: HEAD.gid, floor: false, ...forkOf(code) }
    expect(refusing({ pin })).toEqual({ code, details })
  })
})

describe('a request with a pin and a floor', () => {
  it.each<[string, Gid, Gid | 'head']>([
    ['the same', FIRST.gid, FIRST.gid],
    ['an older floor', HEAD.gid, FIRST.gid],
    ['a floor before the restore', FIRST.gid, FORK_POINT.gid],
    ['the head, and the head as floor', HEAD.gid, 'head'],
  ])('is answered from the pin: %s', (_, pin, floor) => {
    expect(answering({ pin, floor })).toBe(pin)
  })

  it.each([
    ['a newer floor', FIRST.gid, HEAD.gid],
    ['a floor after the restore and a pin before it', FORK_POINT.gid, FIRST.gid],
  ])('is refused when the pin does not satisfy the floor: %s', (_, pin, floor) => {
    expect(refusing({ pin, floor })).toEqual({ code: 'pin-below-floor', details: { pin, floor } })
  })

  it('is refused when the pin is older than the head and the floor is `head` (I6)', () => {
    expect(refusing({ pin: FIRST.gid, floor: 'head' })).toEqual({
      code: 'pin-below-floor',
      details: { pin: FIRST.gid, floor: HEAD.gid },
    })
  })

  it.each([
    ['newer than the head', AHEAD, 'generation-unknown'],
    ['of the number of the head, with another digest', DIVERGED, 'generation-unknown'],
    ['of an older number, with another digest', MISSPELT, 'generation-unknown'],
    ['lost in the restore', LOST, 'generation-lost'],
  ])('and `head` as floor is refused for the pin when that is %s', (_, pin, code) => {
    expect(refusing({ pin, floor: 'head' })).toEqual({
      code,
      details: { wanted: pin, generation: HEAD.gid, floor: false, ...forkOf(code) },
    })
  })

  it.each([
    [AHEAD, 'generation-unknown'],
    [LOST, 'generation-lost'],
    [FOREIGN, 'lineage-foreign'],
  ])('is refused for the floor when nothing satisfies it: %s is %s', (floor, code) => {
    expect(refusing({ pin: FIRST.gid, floor })).toEqual({
      code,
      details: { wanted: floor, generation: HEAD.gid, floor: true, ...forkOf(code) },
    })
  })

  it('is refused for the pin first when neither can be had', () => {
    expect(refusing({ pin: FOREIGN, floor: LOST })).toMatchObject({
      code: 'lineage-foreign',
      details: { floor: false },
    })
  })
})
