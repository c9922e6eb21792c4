/**
 * The origin's side of an activation (PROTOCOL §8, the left column): a state machine that is told what was asked for,
 * reported and written, and says what is to be sent and written. Pure: time is handed in, and whoever drives it carries
 * out its effects, in their order, and tells it of each write when that is durable.
 *
 * Activations are serial. Nothing of one is durable before its flip, so an origin that was killed at any step starts
 * with the head that its ledger has, and with its first word ends whatever it had begun.
 */
import { type Gid, isOlder } from '../../model/generation.ts'
import { LIMITS } from '../../model/limits.ts'
import type { CoordinatorEffect, CoordinatorEvent, CoordinatorStep } from './coordinator-events.ts'
import {
  activationOf,
  type CoordinatorRow,
  type CoordinatorState,
  isFenced,
  mayJoin,
  mayLease,
  type Voter,
  wakeMs,
  wordOf,
} from './coordinator-state.ts'
import { ended, flipped, settled } from './phases.ts'
import { type Report, voterOf } from './words.ts'

/** The first step of an origin that starts: what makes its words later than all before. */
export function startCoordinator(state: CoordinatorState): CoordinatorStep {
  return { state, effects: [{ kind: 'store', row: state.row }], wakeMs: Number.POSITIVE_INFINITY }
}

export function stepCoordinator(
  state: CoordinatorState,
  event: CoordinatorEvent,
  nowMs: number,
): CoordinatorStep {
  const effects: CoordinatorEffect[] = []
  const told = taken(state, event, nowMs, effects)
  let next = settled(told, nowMs, effects)
  if (event.kind === 'report') next = answered(next, event.report, nowMs, effects)
  if (isFenced(state) && !isFenced(next)) effects.push({ kind: 'release' })
  return { state: next, effects, wakeMs: wakeMs(next) }
}

function taken(
  state: CoordinatorState,
  event: CoordinatorEvent,
  nowMs: number,
  effects: CoordinatorEffect[],
): CoordinatorState {
  switch (event.kind) {
    case 'activate':
      return queued(state, event.gid, effects)
    case 'abandon':
      return abandoned(state, event.gid, effects)
    case 'report':
      return reported(state, event.report, nowMs, effects)
    case 'left':
      return without(state, voterOf(event.node, event.instance))
    case 'stored':
      return stored(state, event.row, nowMs, effects)
    case 'flipped':
      return flipped(state, event.gid, nowMs, effects)
    case 'flip-failed':
      if (state.phase.kind !== 'flipping') return state
      return ended(state, { gid: event.gid, reason: 'not-written' }, effects)
    case 'tick':
      return state
  }
}

function queued(state: CoordinatorState, gid: Gid, effects: CoordinatorEffect[]): CoordinatorState {
  if (state.queue.length < LIMITS.activationsWaiting) return { ...state, queue: [...state.queue, gid] }
  effects.push({ kind: 'aborted', gid, reason: 'too-many' })
  return state
}

function abandoned(state: CoordinatorState, gid: Gid, effects: CoordinatorEffect[]): CoordinatorState {
  const { phase, queue } = state
  if (activationOf(state)?.gid === gid)
    return phase.kind === 'flipping' ? state : ended(state, { gid, reason: 'abandoned' }, effects)
  if (!queue.includes(gid)) return state
  effects.push({ kind: 'aborted', gid, reason: 'abandoned' })
  return { ...state, queue: queue.filter((waiting) => waiting !== gid) }
}

/** What a voter says of itself; of who is none, whether it becomes one. An older report than the last says nothing. */
function reported(
  state: CoordinatorState,
  report: Report,
  nowMs: number,
  effects: CoordinatorEffect[],
): CoordinatorState {
  const { stamp, head, ready, fence } = report
  if (head !== null && head !== state.head && isOlder(state.head, head)) return diverged(state, effects)
  const name = voterOf(report.node, stamp.instance)
  const voter = state.voters.get(name)
  if (voter === undefined) return joined(state, report, nowMs, effects)
  return isLate(voter, report) ? state : withVoter(state, name, { ...voter, stamp, head, ready, fence })
}

/** PROTOCOL §10: this origin was set back. A flip that is under way can not be stopped, and is the last. */
function diverged(state: CoordinatorState, effects: CoordinatorEffect[]): CoordinatorState {
  const next = { ...state, isDiverged: true }
  const activation = activationOf(state)
  if (activation === undefined || state.phase.kind === 'flipping') return next
  return ended(next, { gid: activation.gid, reason: 'diverged' }, effects)
}

function joined(
  state: CoordinatorState,
  report: Report,
  nowMs: number,
  effects: CoordinatorEffect[],
): CoordinatorState {
  const name = voterOf(report.node, report.stamp.instance)
  if (!mayJoin(state, name, report)) return state
  const isAsked = state.row.voters.includes(name)
  // Durable, and not about to be written over without it.
  if (isAsked && state.stored.voters.includes(name)) return withVoter(state, name, admitted(report, nowMs))
  if (!state.joining.has(name) && state.voters.size + state.joining.size >= LIMITS.nodes) return state
  const joining = new Map(state.joining).set(name, report)
  if (isAsked) return { ...state, joining }
  const row = { ...state.row, voters: [...state.voters.keys(), ...joining.keys()] }
  effects.push({ kind: 'store', row })
  return { ...state, joining, row }
}

/** It is durable who may hold a lease: now they get one. */
function stored(
  state: CoordinatorState,
  row: CoordinatorRow,
  nowMs: number,
  effects: CoordinatorEffect[],
): CoordinatorState {
  const isStarted = state.phase.kind === 'starting' && row.term === state.row.term
  let next: CoordinatorState = { ...state, stored: row, ...(isStarted ? { phase: { kind: 'idle' } } : {}) }
  for (const name of row.voters) {
    const report = next.joining.get(name)
    if (report === undefined) continue
    const joining = new Map(next.joining)
    joining.delete(name)
    next = { ...next, joining }
    if (!mayJoin(next, name, report)) continue
    next = withVoter(next, name, admitted(report, nowMs))
    effects.push({ kind: 'send', to: name, word: wordOf(next, report.stamp, true) })
  }
  return next
}

/** Every report is answered, for it may bring a lease; one that came late is not, nor one to an origin that is starting. */
function answered(
  state: CoordinatorState,
  report: Report,
  nowMs: number,
  effects: CoordinatorEffect[],
): CoordinatorState {
  const { stamp } = report
  const name = voterOf(report.node, stamp.instance)
  const voter = state.voters.get(name)
  if (state.phase.kind === 'starting' || (voter !== undefined && isLate(voter, report))) return state
  const isLease = mayLease(state, name)
  effects.push({ kind: 'send', to: name, word: wordOf(state, stamp, isLease) })
  return isLease && voter !== undefined ? withVoter(state, name, { ...voter, grantedMs: nowMs }) : state
}

function isLate({ stamp }: Voter, report: Report): boolean {
  return stamp !== null && report.stamp.sentMs < stamp.sentMs
}

function admitted({ stamp, head, ready, fence }: Report, nowMs: number): Voter {
  return { stamp, head, ready, fence, grantedMs: nowMs }
}

function withVoter(state: CoordinatorState, name: string, voter: Voter): CoordinatorState {
  return { ...state, voters: new Map(state.voters).set(name, voter) }
}

function without(state: CoordinatorState, name: string): CoordinatorState {
  const voters = new Map(state.voters)
  const joining = new Map(state.joining)
  voters.delete(name)
  joining.delete(name)
  return { ...state, voters, joining }
}
