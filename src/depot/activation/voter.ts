/**
 * The replica's side of an activation (PROTOCOL §8, the right column): a state machine that is told what was heard and
 * what has become durable, and says what is to be sent and written. Pure: time is handed in, and whoever drives it
 * carries out its effects, in their order.
 *
 *   A1  `copy` what is announced, and report it when it is complete: READY
 *   A3  a word with a fence: nothing is answered from here on; `mark` it, and report it when that is durable: the ack
 *   A5  a word with the new head: `adopt` it, durable before it is shown, then `release` those who wait
 *   A6  a word without the fence and with the old head: `release` them as well
 *   A7  a newer head than the own one is known: nothing is answered until it is adopted, nor after a restart
 */
import type { Gid } from '../../model/generation.ts'
import { LIMITS } from '../../model/limits.ts'
import {
  elapsedAt,
  isBehind,
  isJumped,
  isNewer,
  isOverdue,
  isShown,
  type VoterNow,
  type VoterState,
} from './voter-state.ts'
import type { Fence, Report, Stamp, Word } from './words.ts'

export type VoterEvent =
  | { readonly kind: 'word'; readonly word: Word }
  /** The last mark that was asked for is durable, or a later one. */
  | { readonly kind: 'marked'; readonly mark: Fence | null }
  /** All that a generation names is here, verified and durable. */
  | { readonly kind: 'copied'; readonly gid: Gid }
  /** It is the durable head, and may be shown. */
  | { readonly kind: 'adopted'; readonly gid: Gid }
  | { readonly kind: 'tick' }

export type VoterEffect =
  | { readonly kind: 'report'; readonly report: Report }
  /** One row, written in the order of the effects; `marked` tells of each, or of the last of some. */
  | { readonly kind: 'mark'; readonly mark: Fence | null }
  /** Takes the place of what was to be copied before. */
  | { readonly kind: 'copy'; readonly gid: Gid }
  /** It is complete here: make it the durable head. */
  | { readonly kind: 'adopt'; readonly gid: Gid }
  /** Whoever is held looks again. */
  | { readonly kind: 'release' }

export interface VoterStep {
  readonly state: VoterState
  readonly effects: readonly VoterEffect[]
  /** When `tick` is due, by the monotonic clock. */
  readonly wakeMs: number
}

export function stepVoter(before: VoterState, event: VoterEvent, now: VoterNow): VoterStep {
  const effects: VoterEffect[] = []
  const state = timed(before, now)
  const told = taken(state, event, effects)
  const next = caughtUp(marked(left(state, told), effects), effects)
  if (isOpened(state, next)) effects.push({ kind: 'release' })
  const dueMs = next.reportedMs + LIMITS.heartbeatMs - next.elapsedMs
  if (dueMs > 0 && !asksForReport(state, next, event))
    return { state: next, effects, wakeMs: now.monotonicMs + dueMs }
  effects.push({ kind: 'report', report: reportOf(next) })
  const reported = { ...next, reportedMs: next.elapsedMs }
  return { state: reported, effects, wakeMs: now.monotonicMs + LIMITS.heartbeatMs }
}

/** What the clocks alone change. */
function timed(state: VoterState, now: VoterNow): VoterState {
  const elapsedMs = elapsedAt(state, now)
  const lease = isJumped(state, now) ? null : state.lease
  const shownMs = isOverdue(state, now) ? elapsedMs : state.shownMs
  return { ...state, seen: now, elapsedMs, lease, shownMs }
}

function taken(state: VoterState, event: VoterEvent, effects: VoterEffect[]): VoterState {
  switch (event.kind) {
    case 'word':
      return heard(state, event.word, effects)
    case 'marked':
      return { ...state, durable: event.mark }
    case 'copied':
      return { ...state, copied: event.gid }
    case 'adopted':
      return adopted(state, event.gid)
    case 'tick':
      return state
  }
}

function heard(state: VoterState, word: Word, effects: VoterEffect[]): VoterState {
  const { head, fence } = state
  const answered = word.answers?.instance === state.settings.instance ? word.answers : null
  if (head !== null && isNewer(head, word.head)) return passed(state, answered)
  if (word.order < state.order) return state
  return {
    ...state,
    order: word.order,
    known: word.head,
    fence: fence?.order === word.fence?.order ? fence : word.fence,
    lease: leaseAfter(state, word, answered),
    contact: later(state.contact, answered),
    wanted: wantedAfter(state, word, effects),
    isDiverged: false,
  }
}

/** A1: what is sealed is copied when everything before it is here. */
function wantedAfter(state: VoterState, word: Word, effects: VoterEffect[]): Gid | null {
  const gid = state.head === word.head ? word.announced : word.head
  if (gid !== null && gid !== state.wanted && gid !== state.copied) effects.push({ kind: 'copy', gid })
  return gid
}

/** A3: whoever is fenced drops his lease. */
function leaseAfter({ lease }: VoterState, word: Word, answered: Stamp | null): Stamp | null {
  if (word.fence !== null) return null
  return word.isLease ? later(lease, answered) : lease
}

/**
 * The origin tells an older head than the own one. When it was asked for after that was adopted, the origin has gone
 * back (PROTOCOL §10); else the word is an old one.
 */
function passed(state: VoterState, answered: Stamp | null): VoterState {
  if (answered === null || answered.sentMs < state.headSinceMs) return state
  return { ...state, isDiverged: true, contact: later(state.contact, answered) }
}

function adopted(state: VoterState, gid: Gid): VoterState {
  const { head, known, elapsedMs } = state
  const adopting = state.adopting === gid ? null : state.adopting
  if (!isNewer(gid, head)) return { ...state, adopting }
  return { ...state, head: gid, headSinceMs: elapsedMs, known: isNewer(gid, known) ? gid : known, adopting }
}

/** Notes until when a balancer may have taken this node for ready though it has no lease. */
function left(before: VoterState, after: VoterState): VoterState {
  return isShown(before) && !isShown(after) ? { ...after, shownMs: after.elapsedMs } : after
}

/** Asks for the mark that the state needs. One that the head has overtaken is void without being written over. */
function marked(state: VoterState, effects: VoterEffect[]): VoterState {
  const { head, mark } = state
  const wanted = markOf(state)
  const stands = mark !== null && isNewer(mark.gid, head) ? mark : null
  if (wanted === null ? stands === null : isSame(wanted, stands, state.fence !== null)) {
    return mark === stands ? state : { ...state, mark: stands }
  }
  effects.push({ kind: 'mark', mark: wanted })
  return { ...state, mark: wanted }
}

/** A fence; without one, a newer head that this node has heard of and has not got (A7). */
function markOf({ fence, head, known, order }: VoterState): Fence | null {
  if (fence !== null) return fence
  return head !== null && known !== null && isNewer(known, head) ? { order, gid: known } : null
}

/** Which generation it is, matters; of a fence also which one of them, for that is what is acknowledged. */
function isSame(wanted: Fence, stands: Fence | null, isFence: boolean): boolean {
  return wanted.gid === stands?.gid && (!isFence || wanted.order === stands.order)
}

/** A5: what is the head elsewhere, and complete here, becomes the head. */
function caughtUp(state: VoterState, effects: VoterEffect[]): VoterState {
  const { known, copied, adopting, head } = state
  if (known === null || known !== copied || known === adopting || known === head) return state
  effects.push({ kind: 'adopt', gid: known })
  return { ...state, adopting: known }
}

function isOpened(before: VoterState, after: VoterState): boolean {
  if (isShown(after)) return false
  return isShown(before) || before.head !== after.head || (before.lease === null && after.lease !== null)
}

/** READY, the ack and what asks for a lease go at once; whatever of it is lost goes again with the next heartbeat. */
function asksForReport(before: VoterState, after: VoterState, event: VoterEvent): boolean {
  switch (event.kind) {
    case 'word':
      // A fence that is told of again without being asked for: the ack was lost.
      if (after.fence !== null) return event.word.answers === null && isMarked(after)
      return before.fence !== null && after.lease === null && !isBehind(after)
    case 'marked':
      return isMarked(after)
    case 'copied':
      return after.known !== event.gid
    case 'adopted':
      return before.head !== after.head
    case 'tick':
      return false
  }
}

/** Whether its fence would outlive this process. */
function isMarked({ fence, durable }: VoterState): boolean {
  return fence !== null && fence.order === durable?.order
}

function reportOf({ settings, elapsedMs, head, copied, durable }: VoterState): Report {
  const { node, instance } = settings
  return {
    node,
    stamp: { instance, sentMs: elapsedMs },
    head,
    ready: copied === head ? null : copied,
    fence: durable?.order ?? null,
  }
}

function later(one: Stamp | null, other: Stamp | null): Stamp | null {
  if (one === null || other === null) return one ?? other
  return other.sentMs > one.sentMs ? other : one
}
