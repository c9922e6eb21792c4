/**
 * Who has the id of a node: a restart takes it over at once, and of two that live at one time the first keeps it.
 */
import { beforeEach, describe, expect, it } from 'vitest'
import { type NodeReport, Roster } from '../../src/depot/roster.ts'
import { isFailure } from '../../src/model/errors.ts'
import { LIMITS } from '../../src/model/limits.ts'
import { type StillClock, stillClock } from '../support/still-clock.ts'

const REPORT: NodeReport = { role: 'replica', state: 'fresh', head: null, known: null }

let clock: StillClock
let roster: Roster

beforeEach(() => {
  clock = stillClock()
  roster = new Roster(clock)
})

/** Whether a process may speak for r1. */
function beats(instance: string | undefined, more: Partial<NodeReport> = {}): boolean {
  try {
    roster.hear('r1', { ...REPORT, ...more }, instance)
    return true
  } catch (error) {
    if (isFailure(error, 'node-id-taken')) return false
    throw error
  }
}

function second(): void {
  clock.advance(LIMITS.heartbeatMs)
}

describe('a depot that has heard of as many nodes as it may', () => {
  function fill(): void {
    for (let at = 0; at < LIMITS.nodes; at += 1) roster.hear(`n${at}`, REPORT)
  }

  it('takes no other one while all of them are alive', () => {
    fill()
    clock.advance(LIMITS.leaseMs - 1)
    expect(() => {
      roster.hear('more', REPORT)
    }).toThrow(expect.objectContaining({ code: 'limit-exceeded' }) as Error)
    roster.hear('n0', REPORT)
  })

  it('forgets for it the one that was silent for the longest time', () => {
    fill()
    clock.advance(LIMITS.leaseMs)
    roster.hear('n0', REPORT)
    roster.hear('more', REPORT)
    const ids = roster.nodes().map(({ id }) => id)
    expect(ids).toHaveLength(LIMITS.nodes)
    expect(['n0', 'n1', 'more'].map((id) => ids.includes(id))).toEqual([true, false, true])
  })
})

describe('a node that starts again', () => {
  it('is heard at once, and stays', () => {
    expect(beats('old')).toBe(true)
    second()
    for (let beat = 0; beat < 10; beat += 1) {
      expect(beats('new')).toBe(true)
      second()
    }
    expect(roster.nodes()).toEqual([{ ...REPORT, id: 'r1', seenMsAgo: LIMITS.heartbeatMs }])
  })

  it('is heard while its last process still drains, which hears of the head as before', () => {
    expect(beats('old')).toBe(true)
    for (let beat = 0; beat < 10; beat += 1) {
      expect(beats('old', { state: 'drain' })).toBe(true)
      expect(beats('new', { state: 'boot' })).toBe(true)
      second()
    }
    expect(roster.nodes()).toEqual([{ ...REPORT, state: 'boot', id: 'r1', seenMsAgo: LIMITS.heartbeatMs }])
    // When it goes, the new one stays.
    roster.forget('r1', 'old')
    expect(roster.nodes()).toHaveLength(1)
  })

  it('as often as it likes is heard', () => {
    for (let at = 0; at < 10; at += 1) expect(beats(`i${at}`)).toBe(true)
  })
})

describe('two that live under one id', () => {
  function contest(): void {
    expect(beats('first')).toBe(true)
    second()
    expect(beats('second')).toBe(true)
    second()
    expect(beats('first')).toBe(true)
  }

  it('are told apart when the first is heard again: it keeps the id, and the second is refused', () => {
    contest()
    for (let beat = 0; beat < 20; beat += 1) {
      expect(beats('second', { state: 'boot' })).toBe(false)
      second()
      expect(beats('first')).toBe(true)
    }
    expect(roster.nodes()).toEqual([{ ...REPORT, id: 'r1', seenMsAgo: 0, isContested: true }])
  })

  it('are one again when the first has been silent for a lease', () => {
    contest()
    clock.advance(LIMITS.leaseMs - 1)
    expect(beats('second')).toBe(false)
    clock.advance(1)
    expect(beats('second')).toBe(true)
    expect(roster.nodes()[0]).not.toHaveProperty('isContested')
    // Whoever comes back later is the newcomer then.
    expect(beats('first')).toBe(true)
    expect(beats('second')).toBe(true)
    expect(beats('first')).toBe(false)
  })

  it('are one again when the second has given up for a lease: then the first may start again', () => {
    contest()
    for (let ms = 0; ms < LIMITS.leaseMs; ms += LIMITS.heartbeatMs) {
      second()
      expect(beats('first')).toBe(true)
    }
    expect(roster.nodes()[0]).not.toHaveProperty('isContested')
    expect(beats('first again')).toBe(true)
    expect(beats('first again')).toBe(true)
  })

  it('are one again when the first drains', () => {
    contest()
    expect(beats('second')).toBe(false)
    expect(beats('first', { state: 'drain' })).toBe(true)
    expect(beats('second')).toBe(true)
    expect(beats('first', { state: 'drain' })).toBe(true)
    expect(beats('second')).toBe(true)
    expect(roster.nodes()[0]).not.toHaveProperty('isContested')
  })

  it('do not disturb those of other ids', () => {
    contest()
    roster.hear('r2', REPORT, 'second')
    expect(beats('second')).toBe(false)
    expect(roster.nodes().map(({ id, isContested }) => [id, isContested])).toEqual([
      ['r1', true],
      ['r2', undefined],
    ])
  })

  it('cannot be told apart where they do not say who they are', () => {
    for (let beat = 0; beat < 3; beat += 1) expect(beats(undefined)).toBe(true)
    expect(beats('new')).toBe(true)
    expect(beats(undefined)).toBe(true)
  })
})
