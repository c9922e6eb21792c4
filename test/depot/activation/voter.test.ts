/**
 * The replica's side of an activation, step by step: when it answers, what it marks before what it says, and what it
 * knows after a restart.
 */
import { describe, expect, it } from 'vitest'
import { stepVoter, type VoterEffect, type VoterEvent } from '../../../src/depot/activation/voter.ts'
import {
  isReady,
  modeOf,
  restoreVoter,
  type VoterNow,
  type VoterState,
} from '../../../src/depot/activation/voter-state.ts'
import type { Fence, Report, Word } from '../../../src/depot/activation/words.ts'
import type { NodeMode } from '../../../src/depot/gate.ts'
import type { Gid } from '../../../src/model/generation.ts'
import { LIMITS } from '../../../src/model/limits.ts'
import { gidOf } from './a-generation.ts'

const [G0, G1, G2] = [gidOf(0), gidOf(1), gidOf(2)]

/** A voter at generation 0, whose clocks go when a test says so. */
class Voter {
  state: VoterState
  now: VoterNow = { monotonicMs: 50_000, wallMs: 1_795_000_000_000 }
  effects: VoterEffect[] = []
  order = 0

  constructor(whenCut: 'refuse' | 'serve' = 'refuse', mark: Fence | null = null, head: Gid | null = G0) {
    this.state = restoreVoter({ node: 'r1', instance: 'i', whenCut }, { head, mark }, this.now)
    this.tell({ kind: 'tick' })
  }

  tell(event: VoterEvent): void {
    const { state, effects } = stepVoter(this.state, event, this.now)
    this.state = state
    this.effects.push(...effects)
  }

  /** Both clocks go on, and the machine with them. */
  pass(milliseconds: number, isAwake = true): void {
    for (let left = milliseconds; left > 0; left -= 500) {
      const stepMs = Math.min(left, 500)
      this.now = { monotonicMs: this.now.monotonicMs + stepMs, wallMs: this.now.wallMs + stepMs }
      if (isAwake) this.tell({ kind: 'tick' })
    }
  }

  hear(more: Partial<Word> = {}): void {
    this.order += 1
    const word = { order: this.order, head: G0, announced: null, fence: null, answers: null, isLease: false }
    this.tell({ kind: 'word', word: { ...word, ...more } })
  }

  /** A lease, by the report that is sent at this moment. */
  lease(more: Partial<Word> = {}): void {
    this.hear({ answers: { instance: 'i', sentMs: this.state.elapsedMs }, isLease: true, ...more })
  }

  taken(): readonly VoterEffect[] {
    const effects = this.effects
    this.effects = []
    return effects
  }

  kinds(): readonly string[] {
    return this.taken().map(({ kind }) => kind)
  }

  reports(): readonly Report[] {
    return this.taken().flatMap((effect) => (effect.kind === 'report' ? [effect.report] : []))
  }

  mode(): NodeMode {
    return modeOf(this.state, this.now)
  }
}

function leased(whenCut: 'refuse' | 'serve' = 'refuse'): Voter {
  const voter = new Voter(whenCut)
  voter.lease()
  voter.taken()
  return voter
}

/** Fenced for generation 1, marked, with the report of it taken. */
function fenced(whenCut: 'refuse' | 'serve' = 'refuse'): Voter {
  const voter = leased(whenCut)
  voter.hear({ announced: G1 })
  voter.tell({ kind: 'copied', gid: G1 })
  const fence = { order: voter.order + 1, gid: G1 }
  voter.hear({ announced: G1, fence })
  voter.tell({ kind: 'marked', mark: fence })
  voter.taken()
  return voter
}

describe('a voter', () => {
  it('is fresh while its lease holds, counted from when its report was sent', () => {
    const voter = new Voter()
    expect(voter.mode()).toBe('boot')
    const sentMs = voter.state.elapsedMs
    voter.pass(3_000)
    voter.hear({ answers: { instance: 'i', sentMs }, isLease: true })
    expect(voter.mode()).toBe('fresh')
    voter.pass(1_999)
    expect(voter.mode()).toBe('fresh')
    voter.pass(1)
    expect(voter.mode()).toBe('cut')
  })

  it('believes no lease of another process of its node', () => {
    const voter = new Voter()
    voter.lease({ answers: { instance: 'j', sentMs: 0 } })
    expect(voter.mode()).toBe('boot')
  })

  it('reports every second', () => {
    const voter = leased()
    voter.pass(3_000)
    expect(voter.reports()).toHaveLength(3)
  })

  it.each([
    ['the wall clock went on while the other one stood still', 0, 2_000],
    ['the wall clock was set back', 100, -2_000],
  ])('has no lease when %s', (_name, monotonic, wall) => {
    const voter = leased()
    const { monotonicMs, wallMs } = voter.now
    voter.now = { monotonicMs: monotonicMs + monotonic, wallMs: wallMs + wall }
    expect(voter.mode()).not.toBe('fresh')
    voter.tell({ kind: 'tick' })
    expect(voter.mode()).not.toBe('fresh')
  })

  it('counts a short sleep of its machine, also when its wall clock is set back afterwards', () => {
    const voter = leased()
    voter.pass(4_000)
    voter.now = { ...voter.now, wallMs: voter.now.wallMs + 900 }
    voter.tell({ kind: 'tick' })
    voter.now = { ...voter.now, wallMs: voter.now.wallMs - 900 }
    voter.pass(99)
    expect(voter.mode()).toBe('fresh')
    voter.pass(1)
    expect(voter.mode()).not.toBe('fresh')
  })

  it('heeds no word that is older than one that it has heard: UNFENCE overtakes FENCE', () => {
    const voter = leased()
    voter.hear({ order: 9 })
    voter.hear({ order: 8, fence: { order: 8, gid: G1 } })
    expect(voter.mode()).toBe('fresh')
    voter.hear({ order: 10, fence: { order: 10, gid: G1 } })
    expect(voter.mode()).toBe('fenced')
  })
})

describe('a generation that is announced', () => {
  it('is copied, and reported when it is complete', () => {
    const voter = leased()
    voter.hear({ announced: G1 })
    voter.hear({ announced: G1 })
    expect(voter.taken()).toEqual([{ kind: 'copy', gid: G1 }])
    voter.tell({ kind: 'copied', gid: G1 })
    expect(voter.reports()).toMatchObject([{ ready: G1, head: G0 }])
    expect(voter.mode()).toBe('fresh')
  })
})

describe('a fence', () => {
  it('stops the answers at once, and is acknowledged when its mark is durable', () => {
    const voter = leased()
    const fence = { order: 7, gid: G1 }
    voter.hear({ order: 7, fence })
    expect(voter.mode()).toBe('fenced')
    expect(voter.taken()).toEqual(
      [
        { kind: 'copy', gid: G1 },
        { kind: 'mark', mark: fence },
      ].slice(1),
    )
    voter.tell({ kind: 'marked', mark: fence })
    expect(voter.reports()).toMatchObject([{ fence: 7 }])
    expect(voter.state.lease).toBeNull()
  })

  it('is acknowledged again when it is told of again', () => {
    const voter = fenced()
    const { fence } = voter.state
    voter.hear({ fence })
    expect(voter.reports()).toMatchObject([{ fence: fence?.order }])
    voter.hear({ fence, answers: { instance: 'i', sentMs: 0 } })
    expect(voter.reports()).toEqual([])
  })

  it('ends with the new head, which is durable before it is answered (A5)', () => {
    const voter = fenced()
    voter.lease({ head: G1 })
    voter.lease({ head: G1 })
    expect(voter.mode()).toBe('lag')
    expect(voter.taken()).toEqual([{ kind: 'adopt', gid: G1 }])
    voter.tell({ kind: 'adopted', gid: G1 })
    expect(voter.mode()).toBe('fresh')
    expect(voter.kinds()).toEqual(['release', 'report'])
  })

  it('ends with the old head (A6), and asks for a lease at once', () => {
    const voter = fenced()
    voter.hear({})
    expect(voter.kinds()).toEqual(['mark', 'release', 'report'])
    expect(voter.mode()).toBe('lag')
    voter.lease()
    expect(voter.mode()).toBe('fresh')
  })

  it('stands after a restart, until the origin is heard', () => {
    const mark = { order: 5, gid: G1 }
    const voter = new Voter('serve', mark)
    voter.pass(LIMITS.bootGraceMs)
    expect(voter.mode()).toBe('fenced')
    voter.hear({ order: 4 })
    expect(voter.mode()).toBe('fenced')
    voter.lease({ order: 5, fence: mark })
    expect(voter.reports().at(-1)).toMatchObject({ fence: 5 })
    voter.lease({ order: 6 })
    expect(voter.mode()).toBe('fresh')
  })

  it('is void when the head has come as far', () => {
    const voter = new Voter('serve', { order: 5, gid: G1 }, G1)
    voter.pass(LIMITS.bootGraceMs)
    expect(voter.mode()).toBe('cut')
  })
})

describe('a voter that has heard of a newer head', () => {
  it('never answers from its own, whatever lease it has, nor after a restart (A7)', () => {
    const voter = leased('serve')
    voter.lease({ head: G1 })
    expect(voter.mode()).toBe('lag')
    const marks = voter.taken().flatMap((effect) => (effect.kind === 'mark' ? [effect.mark] : []))
    expect(marks).toMatchObject([{ gid: G1 }])
    voter.pass(60_000)
    expect(voter.mode()).toBe('lag')
    const restarted = new Voter('serve', marks[0] ?? null)
    restarted.pass(60_000)
    expect(restarted.mode()).toBe('fenced')
  })

  it('keeps that mark when a fence for the next one is lifted', () => {
    const voter = leased()
    voter.hear({ head: G1 })
    const fence = { order: voter.order + 1, gid: G2 }
    voter.hear({ head: G1, fence })
    voter.taken()
    voter.hear({ head: G1 })
    expect(voter.taken()).toMatchObject([{ kind: 'mark', mark: { gid: G1 } }])
  })

  it('copies that before what is announced', () => {
    const voter = leased()
    voter.hear({ head: G1, announced: G2 })
    expect(voter.taken()).toContainEqual({ kind: 'copy', gid: G1 })
  })
})

describe('a voter that is cut off', () => {
  it('goes on in the mode that serves when its lease has run out, and is not ready', () => {
    const voter = leased('serve')
    expect(isReady(voter.state, voter.now)).toBe(true)
    voter.pass(LIMITS.leaseMs)
    expect(voter.mode()).toBe('cut')
    expect(isReady(voter.state, voter.now)).toBe(false)
  })

  it('waits for the balancer first when it was ready without a lease', () => {
    const voter = fenced('serve')
    voter.pass(4_900)
    expect(isReady(voter.state, voter.now)).toBe(true)
    voter.hear({})
    expect(isReady(voter.state, voter.now)).toBe(false)
    voter.pass(LIMITS.lbDetectMs - 1)
    expect(voter.mode()).toBe('lag')
    voter.pass(1)
    expect(voter.mode()).toBe('cut')
  })

  it('waits for the balancer when its process stood still: what comes then is old', () => {
    const voter = leased('serve')
    voter.pass(60_000, false)
    expect(voter.mode()).toBe('lag')
    voter.tell({ kind: 'tick' })
    expect(voter.mode()).toBe('lag')
    voter.pass(LIMITS.lbDetectMs)
    expect(voter.mode()).toBe('cut')
  })

  it('says nothing for itself while it boots, as long as there is hope', () => {
    const voter = new Voter('serve')
    voter.pass(LIMITS.bootGraceMs - 1)
    expect(voter.mode()).toBe('boot')
    expect(isReady(voter.state, voter.now)).toBe(false)
    voter.pass(1)
    expect(voter.mode()).toBe('cut')
  })
})

describe('a voter whose origin was set back', () => {
  it('keeps its head, and follows again when the origin is as new (PROTOCOL §10)', () => {
    const voter = fenced()
    voter.lease({ head: G1 })
    voter.tell({ kind: 'adopted', gid: G1 })
    voter.pass(100)
    voter.lease({ order: 1, head: G0 })
    voter.pass(LIMITS.leaseMs)
    expect(voter.mode()).toBe('diverged')
    expect(voter.state.head).toBe(G1)
    voter.lease({ head: G1 })
    expect(voter.mode()).toBe('fresh')
  })

  it('does not take an answer for that which was asked for before it had its head', () => {
    const voter = fenced()
    const sentMs = voter.state.elapsedMs
    voter.pass(100)
    voter.lease({ head: G1 })
    voter.tell({ kind: 'adopted', gid: G1 })
    voter.hear({ order: 1, head: G0, answers: { instance: 'i', sentMs } })
    expect(voter.mode()).toBe('fresh')
  })
})

describe('a voter that has no generation yet', () => {
  it('copies the first one and shows it', () => {
    const voter = new Voter('refuse', null, null)
    voter.lease({ head: G1 })
    expect(voter.mode()).toBe('boot')
    voter.tell({ kind: 'copied', gid: G1 })
    expect(voter.taken()).toContainEqual({ kind: 'adopt', gid: G1 })
    voter.tell({ kind: 'adopted', gid: G1 })
    expect(voter.mode()).toBe('fresh')
  })
})
