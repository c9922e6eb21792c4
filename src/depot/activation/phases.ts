/**
 * How an activation goes on by itself (PROTOCOL §8): announce, wait for who gets ready, fence, wait for acks and ends of
 * leases, flip; and back, when a fence does not close in time.
 *
 *   idle -> preparing -> fencing -> flipping -> idle
 *              ^            |
 *              +- pausing <-+   A6
 */
import type { Gid } from '../../model/generation.ts'
import { LIMITS } from '../../model/limits.ts'
import type { AbortReason, CoordinatorEffect } from './coordinator-events.ts'
import {
  type Activation,
  type CoordinatorState,
  has,
  holders,
  mayFollow,
  type Phase,
  wordOf,
} from './coordinator-state.ts'
import { lapseMs } from './words.ts'

type Effects = CoordinatorEffect[]
type Preparing = Extract<Phase, { kind: 'preparing' }>
type Fencing = Extract<Phase, { kind: 'fencing' }>

/** Goes on as far as it can without another event. */
export function settled(state: CoordinatorState, nowMs: number, effects: Effects): CoordinatorState {
  let at = state
  for (;;) {
    const next = moved(at, nowMs, effects)
    if (next.phase === at.phase) return next
    at = next
  }
}

function moved(state: CoordinatorState, nowMs: number, effects: Effects): CoordinatorState {
  const { phase } = state
  switch (phase.kind) {
    case 'starting':
    case 'flipping':
      return state
    case 'idle':
      return begun(state, nowMs, effects)
    case 'preparing':
      return prepared(state, phase, nowMs, effects)
    case 'fencing':
      return fencedOff(state, phase, nowMs, effects)
    case 'pausing':
      if (nowMs < phase.untilMs) return state
      return { ...state, phase: { kind: 'preparing', activation: phase.activation } }
  }
}

/** A1: announces the next one. */
function begun(state: CoordinatorState, nowMs: number, effects: Effects): CoordinatorState {
  const [gid, ...queue] = state.queue
  if (gid === undefined) return state
  const next = { ...state, queue }
  if (state.isDiverged || !mayFollow(state, gid)) {
    effects.push({ kind: 'aborted', gid, reason: state.isDiverged ? 'diverged' : 'superseded' })
    return begun(next, nowMs, effects)
  }
  const prepareUntilMs = nowMs + state.settings.prepareMs
  const activation: Activation = { gid, prepareUntilMs, attempt: 0, expelled: new Set() }
  if (state.settings.mode === 'none') return flipping(next, activation, effects)
  return toldAll({ ...next, order: state.order + 1, phase: { kind: 'preparing', activation } }, effects)
}

/** A2: waits for who is to get ready. Whoever holds no lease is none of them any more. */
function prepared(
  state: CoordinatorState,
  phase: Preparing,
  nowMs: number,
  effects: Effects,
): CoordinatorState {
  const { activation } = phase
  const { gid, prepareUntilMs } = activation
  const voters = holders(state, nowMs)
  const slow = [...voters].filter(([, voter]) => !has(voter, gid))
  const next = voters === state.voters ? state : { ...state, voters }
  if (slow.length === 0) return fence(next, activation, nowMs, effects)
  if (nowMs < prepareUntilMs || state.settings.whenSlow === 'hold') return next
  if (state.settings.whenSlow === 'abort') return ended(next, { gid, reason: 'slow-voter' }, effects)
  return fence(next, withExpelled(activation, slow), nowMs, effects)
}

/** A3: from here on nobody answers from his head, and nobody gets a lease. Who was expelled may have one, and acks too. */
function fence(
  state: CoordinatorState,
  activation: Activation,
  nowMs: number,
  effects: Effects,
): CoordinatorState {
  const order = state.order + 1
  const phase: Fencing = {
    kind: 'fencing',
    activation,
    fence: { order, gid: activation.gid },
    sinceMs: nowMs,
    resendMs: nowMs + LIMITS.fenceResendMs,
  }
  return toldAll({ ...state, order, phase }, effects)
}

/** A4: every voter has acknowledged, or its lease has run out. */
function fencedOff(
  state: CoordinatorState,
  phase: Fencing,
  nowMs: number,
  effects: Effects,
): CoordinatorState {
  const voters = holders(state, nowMs)
  const next = voters === state.voters ? state : { ...state, voters }
  const missing = [...voters].filter(([, voter]) => voter.fence !== phase.fence.order)
  if (missing.length === 0) return flipping(next, phase.activation, effects)
  if (nowMs >= phase.sinceMs + LIMITS.fenceMs) return paused(next, phase, missing, { nowMs, effects })
  if (nowMs < phase.resendMs) return next
  for (const [name] of missing) effects.push({ kind: 'send', to: name, word: wordOf(next, null, false) })
  return { ...next, phase: { ...phase, resendMs: nowMs + LIMITS.fenceResendMs } }
}

/**
 * A6: everybody goes on with the old head. Who has not acknowledged gets no lease before this activation is over, and
 * the next fence waits for the end of the one he has: else a node that is heard and does not hear would keep every fence
 * from closing.
 */
function paused(
  state: CoordinatorState,
  { activation }: Fencing,
  missing: readonly (readonly [string, { readonly grantedMs: number }])[],
  { nowMs, effects }: { readonly nowMs: number; readonly effects: Effects },
): CoordinatorState {
  const { attempt } = activation
  const backOffMs = Math.min(LIMITS.retryMostMs, LIMITS.retryLeastMs * 2 ** Math.min(attempt, 30))
  const ends = missing.map(([, { grantedMs }]) => grantedMs + lapseMs(state.settings.mode))
  const phase: Phase = {
    kind: 'pausing',
    activation: { ...withExpelled(activation, missing), attempt: attempt + 1 },
    untilMs: Math.max(nowMs + backOffMs, ...ends),
  }
  return toldAll({ ...state, order: state.order + 1, phase }, effects)
}

/** A5, its first half: until it is durable nobody is told, and nothing takes it back. */
function flipping(state: CoordinatorState, activation: Activation, effects: Effects): CoordinatorState {
  const { gid } = activation
  effects.push({ kind: 'flip', gid })
  const fenced = 'fence' in state.phase ? state.phase.fence : null
  return { ...state, phase: { kind: 'flipping', activation, fence: fenced } }
}

/**
 * A5, its second half: ACTIVATE. Who has acknowledged and has it gets a lease with that, counted from its ack. Who has
 * not got it is no voter until it has.
 */
export function flipped(
  state: CoordinatorState,
  gid: Gid,
  nowMs: number,
  effects: Effects,
): CoordinatorState {
  const { phase } = state
  if (phase.kind !== 'flipping' || phase.activation.gid !== gid) return state
  const kept = [...state.voters].filter(([, voter]) => has(voter, gid))
  const voters = new Map(kept.map(([name, voter]) => [name, { ...voter, grantedMs: nowMs }]))
  const next: CoordinatorState = {
    ...state,
    head: gid,
    order: state.order + 1,
    phase: { kind: 'idle' },
    voters,
  }
  for (const [name, { stamp }] of state.voters)
    effects.push({ kind: 'send', to: name, word: wordOf(next, stamp, voters.has(name)) })
  effects.push({ kind: 'active', gid })
  return next
}

/** The activation under way is over, and the old head is the head: whoever is fenced is let go with the next word. */
export function ended(
  state: CoordinatorState,
  { gid, reason }: { readonly gid: Gid; readonly reason: AbortReason },
  effects: Effects,
): CoordinatorState {
  effects.push({ kind: 'aborted', gid, reason })
  return toldAll({ ...state, order: state.order + 1, phase: { kind: 'idle' } }, effects)
}

function withExpelled(activation: Activation, who: readonly (readonly [string, unknown])[]): Activation {
  return { ...activation, expelled: new Set([...activation.expelled, ...who.map(([name]) => name)]) }
}

function toldAll(state: CoordinatorState, effects: Effects): CoordinatorState {
  const word = wordOf(state, null, false)
  for (const name of state.voters.keys()) effects.push({ kind: 'send', to: name, word })
  return state
}
