/**
 * What the origin knows of an activation at a moment: the left column of PROTOCOL §8. Pure values; time is a number of
 * the monotonic clock.
 *
 * Durable are three things only. The head, which the ledger has. The processes that may hold a lease, before any of them
 * gets one. And a term that grows with every start, before a word is sent: so the words of a process that was killed are
 * known for old ones, a fence of it ends with the first word of the next, and no ack is counted for another fence. An
 * activation itself is nowhere written down: until its flip is durable nobody can have seen it, and then it is the head.
 */
import { type Gid, isOlder } from '../../model/generation.ts'
import { LIMITS } from '../../model/limits.ts'
import { type ActivationMode, type Fence, lapseMs, type Report, type Stamp, type Word } from './words.ts'

export interface CoordinatorSettings {
  readonly mode: ActivationMode
  /** What becomes of a voter that is not ready in time: left out, waited for, or the reason to give up. */
  readonly whenSlow: 'expel' | 'hold' | 'abort'
  readonly prepareMs: number
}

/** The durable row of an origin. */
export interface CoordinatorRow {
  readonly term: number
  /** Processes that may have been granted a lease, as `voterOf` names them. */
  readonly voters: readonly string[]
}

/** A process that may hold a lease, by what it reported last. */
export interface Voter {
  /** Null after a start of the origin, until it is heard. */
  readonly stamp: Stamp | null
  readonly head: Gid | null
  readonly ready: Gid | null
  /** The newest fence that it has acknowledged. */
  readonly fence: number | null
  /** When it was granted a lease last, or may have been. */
  readonly grantedMs: number
}

export interface Activation {
  readonly gid: Gid
  readonly prepareUntilMs: number
  /** Fences that were given up. */
  readonly attempt: number
  /** Who was too slow for it, to get ready or to acknowledge a fence, and gets no lease before all this is over. */
  readonly expelled: ReadonlySet<string>
}

export type Phase =
  /** The term is not durable yet: nothing is said to anybody. */
  | { readonly kind: 'starting' | 'idle' }
  /** A1, A2. */
  | { readonly kind: 'preparing'; readonly activation: Activation }
  /** A3, A4. */
  | {
      readonly kind: 'fencing'
      readonly activation: Activation
      readonly fence: Fence
      readonly sinceMs: number
      readonly resendMs: number
    }
  /** A5: it is being written, and nobody can tell whether it is the head already. Without a fence in mode `none`. */
  | { readonly kind: 'flipping'; readonly activation: Activation; readonly fence: Fence | null }
  /** After A6, until the next attempt. */
  | { readonly kind: 'pausing'; readonly activation: Activation; readonly untilMs: number }

export interface CoordinatorState {
  readonly settings: CoordinatorSettings
  readonly head: Gid
  /** Of the words that are sent now. */
  readonly order: number
  readonly phase: Phase
  readonly voters: ReadonlyMap<string, Voter>
  /** Who becomes a voter when that is durable, with the report by which it gets its first lease. */
  readonly joining: ReadonlyMap<string, Report>
  /** What was asked to be written last, and what is durable. */
  readonly row: CoordinatorRow
  readonly stored: CoordinatorRow
  readonly queue: readonly Gid[]
  /** A voter has a newer head than this origin: it was set back (PROTOCOL §10), and activates nothing. */
  readonly isDiverged: boolean
}

/** Words of one term: enough for a century of activations, and for two million starts. */
const WORDS_PER_TERM = 2 ** 32

/** An origin that starts, from what is durable. The row that it returns in `row` is to be stored first of all. */
export function restoreCoordinator(
  settings: CoordinatorSettings,
  { head, row }: { readonly head: Gid; readonly row: CoordinatorRow | null },
  nowMs: number,
): CoordinatorState {
  const voters = row?.voters ?? []
  const next: CoordinatorRow = { term: (row?.term ?? 0) + 1, voters }
  // Nobody remembers when they were granted a lease; it was not later than now.
  const unheard: Voter = { stamp: null, head: null, ready: null, fence: null, grantedMs: nowMs }
  return {
    settings,
    head,
    order: next.term * WORDS_PER_TERM,
    phase: { kind: 'starting' },
    voters: new Map(voters.map((voter) => [voter, unheard])),
    joining: new Map(),
    row: next,
    stored: row ?? { term: 0, voters },
    queue: [],
    isDiverged: false,
  }
}

/** Whether the origin itself answers what changes with the head: not between A3 and A5 (PROTOCOL §8). */
export function isFenced({ phase, settings }: CoordinatorState): boolean {
  return settings.mode !== 'none' && (phase.kind === 'fencing' || phase.kind === 'flipping')
}

export function activationOf({ phase }: CoordinatorState): Activation | undefined {
  return 'activation' in phase ? phase.activation : undefined
}

export function wordOf(state: CoordinatorState, answers: Stamp | null, isLease: boolean): Word {
  const { order, head, phase } = state
  const announced = activationOf(state)?.gid ?? null
  return { order, head, announced, fence: 'fence' in phase ? phase.fence : null, answers, isLease }
}

/** Whether no answer under its lease can come any more. */
export function isLapsed({ settings }: CoordinatorState, { grantedMs }: Voter, nowMs: number): boolean {
  return nowMs >= grantedMs + lapseMs(settings.mode)
}

/** Those whose lease may still hold; the same map when these are all. */
export function holders(state: CoordinatorState, nowMs: number): ReadonlyMap<string, Voter> {
  const { voters } = state
  const left = [...voters].filter(([, voter]) => !isLapsed(state, voter, nowMs))
  return left.length === voters.size ? voters : new Map(left)
}

/** Whether it has all of a generation, shown or not. */
export function has({ head, ready }: Voter, gid: Gid): boolean {
  return ready === gid || head === gid
}

/**
 * Whether this report is of a process that becomes a voter: one that is at the head, while no activation has come as far
 * as its fence. A voter is waited for, so nobody joins whose turn to get ready is over.
 */
export function mayJoin(state: CoordinatorState, name: string, { head }: Report): boolean {
  const { phase, settings, isDiverged } = state
  if (settings.mode === 'none' || isDiverged || head !== state.head) return false
  if (phase.kind === 'idle') return true
  const { expelled, attempt } = activationOf(state) ?? { expelled: new Set(), attempt: 1 }
  return phase.kind === 'preparing' && attempt === 0 && !expelled.has(name)
}

/** Whether a voter gets a lease for a report that is answered now (A3: none is granted under a fence). */
export function mayLease(state: CoordinatorState, name: string): boolean {
  const { phase, settings, isDiverged } = state
  if (settings.mode === 'none') return true
  if (isDiverged || !state.voters.has(name) || phase.kind === 'starting' || 'fence' in phase) return false
  return activationOf(state)?.expelled.has(name) !== true
}

/** The moment at which something is to be done without anybody's word; infinity when there is none. */
export function wakeMs(state: CoordinatorState): number {
  const { phase, settings } = state
  switch (phase.kind) {
    case 'preparing': {
      const { gid, prepareUntilMs } = phase.activation
      const first = firstLapse(state, (voter) => !has(voter, gid))
      return settings.whenSlow === 'hold' ? first : Math.min(prepareUntilMs, first)
    }
    case 'fencing': {
      const first = firstLapse(state, ({ fence }) => fence !== phase.fence.order)
      return Math.min(first, phase.resendMs, phase.sinceMs + LIMITS.fenceMs)
    }
    case 'pausing':
      return phase.untilMs
    case 'starting':
    case 'idle':
    case 'flipping':
      return Number.POSITIVE_INFINITY
  }
}

function firstLapse({ voters, settings }: CoordinatorState, isWaitedFor: (voter: Voter) => boolean): number {
  const granted = [...voters.values()].filter(isWaitedFor).map(({ grantedMs }) => grantedMs)
  return Math.min(...granted) + lapseMs(settings.mode)
}

/** Whether a generation may follow the head: a newer one of its lineage, or the first of another lineage. */
export function mayFollow({ head }: CoordinatorState, gid: Gid): boolean {
  return gid !== head && !isOlder(gid, head)
}
