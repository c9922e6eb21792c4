/**
 * The origin's side of an activation, step by step: who is waited for and for how long, what is durable before what is
 * sent, and what is left of it after a crash.
 */
import { describe, expect, it } from 'vitest'
import { startCoordinator, stepCoordinator } from '../../../src/depot/activation/coordinator.ts'
import type { CoordinatorEffect, CoordinatorEvent } from '../../../src/depot/activation/coordinator-events.ts'
import {
  type CoordinatorRow,
  type CoordinatorSettings,
  type CoordinatorState,
  isFenced,
  restoreCoordinator,
} from '../../../src/depot/activation/coordinator-state.ts'
import { lapseMs, type Report, type Word } from '../../../src/depot/activation/words.ts'
import type { Gid } from '../../../src/model/generation.ts'
import { LIMITS } from '../../../src/model/limits.ts'
import { gidOf } from './a-generation.ts'

const [G0, G1, G2] = [gidOf(0), gidOf(1), gidOf(2)]
const STRICT: CoordinatorSettings = { mode: 'strict', whenSlow: 'expel', prepareMs: 10_000 }

/** An origin whose writes are durable when a test says so, and whose clock goes when a test says so. */
class Origin {
  state: CoordinatorState
  nowMs = 1_000
  wakeMs = Number.POSITIVE_INFINITY
  effects: CoordinatorEffect[] = []

  constructor(settings: Partial<CoordinatorSettings> = {}, row: CoordinatorRow | null = null) {
    this.state = restoreCoordinator({ ...STRICT, ...settings }, { head: G0, row }, this.nowMs)
    this.effects = [...startCoordinator(this.state).effects]
  }

  tell(event: CoordinatorEvent): void {
    const { state, effects, wakeMs } = stepCoordinator(this.state, event, this.nowMs)
    this.state = state
    this.wakeMs = wakeMs
    this.effects.push(...effects)
  }

  /** Goes on, waking the machine whenever it wants to be. */
  pass(milliseconds: number): void {
    const untilMs = this.nowMs + milliseconds
    while (this.wakeMs <= untilMs) {
      this.nowMs = Math.max(this.nowMs, this.wakeMs)
      this.tell({ kind: 'tick' })
    }
    this.nowMs = untilMs
  }

  /** What was asked to be written becomes durable. */
  write(): void {
    for (const effect of this.taken()) {
      if (effect.kind === 'store') this.tell({ kind: 'stored', row: effect.row })
      if (effect.kind === 'flip') this.tell({ kind: 'flipped', gid: effect.gid })
    }
  }

  /** The effects since the last time. */
  taken(): readonly CoordinatorEffect[] {
    const effects = this.effects
    this.effects = []
    return effects
  }

  kinds(): readonly string[] {
    return this.taken().map(({ kind }) => kind)
  }

  /** The words since the last time, by who gets them. */
  words(): Readonly<Record<string, Word>> {
    const sent = this.taken().flatMap((effect) =>
      effect.kind === 'send' ? [[effect.to, effect.word] as const] : [],
    )
    return Object.fromEntries(sent)
  }

  report(node: string, more: Partial<Report> = {}): void {
    const stamp = { instance: 'i', sentMs: this.nowMs }
    this.tell({
      kind: 'report',
      report: { node, stamp, head: this.state.head, ready: null, fence: null, ...more },
    })
  }

  fenceOrder(): number {
    const { phase } = this.state
    return phase.kind === 'fencing' ? phase.fence.order : -1
  }
}

/** With these voters, each with a lease of this moment. */
function originWith(voters: readonly string[], settings: Partial<CoordinatorSettings> = {}): Origin {
  const origin = new Origin(settings)
  origin.write()
  for (const voter of voters) origin.report(voter)
  origin.write()
  origin.taken()
  return origin
}

function readied(origin: Origin, voters: readonly string[], gid: Gid): void {
  for (const voter of voters) origin.report(voter, { ready: gid })
}

function acknowledged(origin: Origin, voters: readonly string[], gid: Gid): void {
  const fence = origin.fenceOrder()
  for (const voter of voters) origin.report(voter, { ready: gid, fence })
}

describe('an origin without voters', () => {
  it('activates at once, and says so only when that is durable', () => {
    const origin = originWith([])
    origin.tell({ kind: 'activate', gid: G1 })
    expect(origin.taken()).toEqual([{ kind: 'flip', gid: G1 }])
    expect(origin.state.head).toBe(G0)
    expect(isFenced(origin.state)).toBe(true)
    origin.tell({ kind: 'flipped', gid: G1 })
    expect(origin.kinds()).toEqual(['active', 'release'])
    expect(origin.state.head).toBe(G1)
  })

  it('fences nobody in the mode that has no fence, and leases to all who ask', () => {
    const origin = new Origin({ mode: 'none' })
    origin.write()
    origin.tell({ kind: 'activate', gid: G1 })
    expect(isFenced(origin.state)).toBe(false)
    origin.taken()
    origin.report('r1')
    expect(origin.words()['r1/i']).toMatchObject({ isLease: true, fence: null })
  })
})

describe('a process that reports', () => {
  it('is answered by nobody before the term of the origin is durable', () => {
    const origin = new Origin()
    const [store] = origin.taken()
    expect(store).toEqual({ kind: 'store', row: { term: 1, voters: [] } })
    origin.report('r1')
    expect(origin.taken()).toEqual([])
  })

  it('gets its first lease when it is durable that it may have one', () => {
    const origin = new Origin()
    origin.write()
    origin.report('r1')
    const effects = origin.taken()
    expect(effects.map(({ kind }) => kind)).toEqual(['store', 'send'])
    expect(effects[1]).toMatchObject({ word: { isLease: false } })
    origin.tell({ kind: 'stored', row: { term: 1, voters: ['r1/i'] } })
    expect(origin.words()['r1/i']?.isLease).toBe(true)
  })

  it('gets none under an older head', () => {
    const origin = originWith([])
    origin.tell({ kind: 'activate', gid: G1 })
    origin.write()
    origin.taken()
    origin.report('r1', { head: G0 })
    origin.write()
    origin.report('r1', { head: G0 })
    expect(origin.words()['r1/i']).toMatchObject({ isLease: false, head: G1 })
    expect(origin.state.voters.size).toBe(0)
  })

  it('is not answered when it was sent before one that was', () => {
    const origin = originWith(['r1'])
    origin.report('r1', { stamp: { instance: 'i', sentMs: 10 }, fence: 99 })
    expect(origin.taken()).toEqual([])
  })

  it('is a voter of its own under the id of another one', () => {
    const origin = originWith(['r1'])
    origin.report('r1', { stamp: { instance: 'j', sentMs: 1 } })
    origin.write()
    expect([...origin.state.voters.keys()]).toEqual(['r1/i', 'r1/j'])
  })

  it('does not vote when there are as many as there may be', () => {
    const origin = originWith([])
    for (let at = 0; at <= LIMITS.nodes; at += 1) origin.report(`n${at}`)
    origin.write()
    expect(origin.state.voters.size).toBe(LIMITS.nodes)
  })
})

describe('an activation', () => {
  it('is announced, prepared, fenced and flipped, in that order, by what the voters report', () => {
    const origin = originWith(['r1', 'r2'])
    origin.tell({ kind: 'activate', gid: G1 })
    expect(origin.words()['r2/i']).toMatchObject({ announced: G1, fence: null, head: G0 })
    readied(origin, ['r1'], G1)
    expect(isFenced(origin.state)).toBe(false)
    origin.taken()
    readied(origin, ['r2'], G1)
    expect(origin.words()['r1/i']).toMatchObject({ fence: { gid: G1 }, isLease: false })
    acknowledged(origin, ['r1'], G1)
    expect(origin.kinds()).not.toContain('flip')
    acknowledged(origin, ['r2'], G1)
    expect(origin.kinds()).toContain('flip')
    origin.nowMs += 3
    origin.tell({ kind: 'flipped', gid: G1 })
    const told = origin.words()
    expect(told['r1/i']).toMatchObject({ head: G1, fence: null, isLease: true, answers: { sentMs: 1_000 } })
    expect(told['r2/i']).toMatchObject({ head: G1, isLease: true })
  })

  it('gives no lease under a fence, and sends the fence again to who has not acknowledged it', () => {
    const origin = originWith(['r1', 'r2'])
    origin.tell({ kind: 'activate', gid: G1 })
    readied(origin, ['r1', 'r2'], G1)
    acknowledged(origin, ['r1'], G1)
    origin.taken()
    origin.report('r2', { ready: G1 })
    expect(origin.words()).toMatchObject({ 'r2/i': { isLease: false, fence: { gid: G1 } } })
    origin.pass(LIMITS.fenceResendMs)
    expect(Object.keys(origin.words())).toEqual(['r2/i'])
  })

  it('does not count the ack of another fence', () => {
    const origin = originWith(['r1'])
    origin.tell({ kind: 'activate', gid: G1 })
    readied(origin, ['r1'], G1)
    origin.report('r1', { ready: G1, fence: origin.fenceOrder() - 1 })
    expect(origin.kinds()).not.toContain('flip')
  })

  it.each([
    ['strict' as const, 5_300],
    ['available' as const, 8_300],
  ])(
    'waits in %s for the lease of a dead voter %i ms after it was granted, and not longer',
    (mode, milliseconds) => {
      expect(lapseMs(mode)).toBe(milliseconds)
      const origin = originWith(['r1', 'r2'], { mode, prepareMs: 100 })
      origin.tell({ kind: 'activate', gid: G1 })
      readied(origin, ['r1', 'r2'], G1)
      acknowledged(origin, ['r1'], G1)
      origin.pass(milliseconds - 1)
      expect(origin.kinds()).not.toContain('flip')
      origin.pass(1)
      expect(origin.kinds()).toContain('flip')
    },
  )

  it('ends within its bound with a voter that is heard and does not hear (I20)', () => {
    const origin = originWith(['r1', 'r2'], { mode: 'available', prepareMs: 100 })
    const startedMs = origin.nowMs
    origin.tell({ kind: 'activate', gid: G1 })
    readied(origin, ['r1', 'r2'], G1)
    while (!origin.effects.some(({ kind }) => kind === 'flip')) {
      origin.pass(100)
      acknowledged(origin, ['r1'], G1)
      origin.report('r2', { ready: G1 })
      expect(origin.nowMs - startedMs).toBeLessThanOrEqual(100 + lapseMs('available') + 500)
    }
  })

  it('lets everybody go on with the old head when a fence does not close in time (A6), and fences again', () => {
    const origin = originWith(['r1', 'r2'], { mode: 'available' })
    origin.tell({ kind: 'activate', gid: G1 })
    readied(origin, ['r1', 'r2'], G1)
    const first = origin.fenceOrder()
    acknowledged(origin, ['r1'], G1)
    origin.taken()
    origin.pass(LIMITS.fenceMs)
    expect(isFenced(origin.state)).toBe(false)
    const effects = origin.taken()
    expect(effects.at(-1)).toEqual({ kind: 'release' })
    expect(effects.at(-2)).toMatchObject({ word: { fence: null, head: G0 } })
    origin.report('r1', { ready: G1, fence: first })
    expect(origin.words()['r1/i']?.isLease).toBe(true)
    origin.pass(lapseMs('available') - LIMITS.fenceMs - 1)
    // The next fence would wait for the end of that lease, so it waits for that first.
    expect(isFenced(origin.state)).toBe(false)
    origin.pass(1)
    expect(origin.fenceOrder()).toBeGreaterThan(first)
    acknowledged(origin, ['r1'], G1)
    expect(origin.kinds()).toContain('flip')
  })

  it('does not wait until a voter is ready whose lease is over', () => {
    const origin = originWith(['r1', 'r2'])
    origin.pass(lapseMs('strict') - 1_000)
    origin.report('r1')
    origin.tell({ kind: 'activate', gid: G1 })
    readied(origin, ['r1'], G1)
    expect(isFenced(origin.state)).toBe(false)
    origin.pass(1_000)
    expect(isFenced(origin.state)).toBe(true)
    expect([...origin.state.voters.keys()]).toEqual(['r1/i'])
  })

  it('leaves out who is not ready in time, who must acknowledge all the same, and lets him in when he is at the head', () => {
    const origin = originWith(['r1', 'r2'])
    origin.tell({ kind: 'activate', gid: G1 })
    readied(origin, ['r1'], G1)
    origin.pass(1_000)
    for (let at = 0; at < 9; at += 1) {
      for (const voter of ['r1', 'r2']) origin.report(voter, voter === 'r1' ? { ready: G1 } : {})
      origin.pass(1_000)
    }
    expect(isFenced(origin.state)).toBe(true)
    acknowledged(origin, ['r1'], G1)
    expect(origin.kinds()).not.toContain('flip')
    origin.report('r2', { fence: origin.fenceOrder() })
    origin.write()
    expect([...origin.state.voters.keys()]).toEqual(['r1/i'])
    origin.taken()
    origin.report('r2', { head: G1 })
    expect(origin.words()['r2/i']?.isLease).toBe(true)
  })

  it('is given up when the policy says so, or waits', () => {
    const aborting = originWith(['r1'], { whenSlow: 'abort' })
    const holding = originWith(['r1'], { whenSlow: 'hold' })
    for (const origin of [aborting, holding]) {
      origin.tell({ kind: 'activate', gid: G1 })
      for (let second = 0; second < 11; second += 1) {
        origin.report('r1')
        origin.pass(1_000)
      }
    }
    expect(aborting.taken()).toContainEqual({ kind: 'aborted', gid: G1, reason: 'slow-voter' })
    expect(aborting.state.phase.kind).toBe('idle')
    expect(holding.state.phase.kind).toBe('preparing')
    readied(holding, ['r1'], G1)
    expect(holding.state.phase.kind).toBe('fencing')
  })

  it('is followed by the next one, and never goes back', () => {
    const origin = originWith([])
    for (const gid of [G1, G2, G1]) origin.tell({ kind: 'activate', gid })
    for (let at = 0; at < 3; at += 1) {
      const effects = origin.taken()
      const flip = effects.find(({ kind }) => kind === 'flip')
      if (at === 2) expect(effects).toContainEqual({ kind: 'aborted', gid: G1, reason: 'superseded' })
      if (flip?.kind === 'flip') origin.tell({ kind: 'flipped', gid: flip.gid })
    }
    expect(origin.state.head).toBe(G2)
  })

  it('is abandoned until its flip is under way', () => {
    const origin = originWith(['r1'])
    origin.tell({ kind: 'activate', gid: G1 })
    readied(origin, ['r1'], G1)
    origin.taken()
    origin.tell({ kind: 'abandon', gid: G1 })
    expect(origin.kinds()).toEqual(['aborted', 'send', 'release'])
    origin.tell({ kind: 'activate', gid: G2 })
    readied(origin, ['r1'], G2)
    acknowledged(origin, ['r1'], G2)
    origin.tell({ kind: 'abandon', gid: G2 })
    expect(origin.state.phase.kind).toBe('flipping')
  })

  it('is over when its flip was not written, and the old head goes on', () => {
    const origin = originWith(['r1'])
    origin.tell({ kind: 'activate', gid: G1 })
    readied(origin, ['r1'], G1)
    acknowledged(origin, ['r1'], G1)
    origin.taken()
    origin.tell({ kind: 'flip-failed', gid: G1 })
    expect(origin.kinds()).toEqual(['aborted', 'send', 'release'])
    expect(origin.state.head).toBe(G0)
  })

  it('is refused when too many wait already', () => {
    const origin = originWith(['r1'])
    for (let at = 1; at <= LIMITS.activationsWaiting + 2; at += 1)
      origin.tell({ kind: 'activate', gid: gidOf(at) })
    const refused = origin.taken().filter(({ kind }) => kind === 'aborted')
    expect(refused).toEqual([
      { kind: 'aborted', gid: gidOf(LIMITS.activationsWaiting + 2), reason: 'too-many' },
    ])
  })
})

describe('an origin that starts again', () => {
  it('waits for the leases that the one before may have granted', () => {
    const origin = new Origin({}, { term: 1, voters: ['r1/i'] })
    origin.write()
    origin.tell({ kind: 'activate', gid: G1 })
    origin.pass(lapseMs('strict') - 1)
    expect(origin.kinds()).not.toContain('flip')
    origin.pass(1)
    expect(origin.kinds()).toContain('flip')
  })

  it('says what is later than all that was said before it', () => {
    const before = originWith(['r1'])
    before.tell({ kind: 'activate', gid: G1 })
    readied(before, ['r1'], G1)
    const after = new Origin({}, before.state.stored)
    after.write()
    after.taken()
    after.report('r1', { ready: G1, fence: before.fenceOrder() })
    const word = after.words()['r1/i']
    expect(word?.order).toBeGreaterThan(before.state.order)
    expect(word).toMatchObject({ head: G0, fence: null })
  })
})

describe('an origin that was set back', () => {
  it.each([
    ['a voter has a newer head', G2],
    ['a voter has another head of the same number', gidOf(0, 'f')],
  ])('activates nothing when %s (I32)', (_name, head) => {
    const origin = originWith(['r1'])
    origin.tell({ kind: 'activate', gid: G1 })
    origin.taken()
    origin.report('r1', { head })
    expect(origin.taken()).toContainEqual({ kind: 'aborted', gid: G1, reason: 'diverged' })
    origin.tell({ kind: 'activate', gid: gidOf(9) })
    expect(origin.taken()).toEqual([{ kind: 'aborted', gid: gidOf(9), reason: 'diverged' }])
  })
})
