/**
 * What a voter is at a moment, and what it may answer then: the replica's side of PROTOCOL §8. Pure values; the clocks
 * are handed in.
 *
 * A node that answers K1 and K2 from its head is sure that the origin cannot have another head: it holds a lease, and
 * the origin waits for the end of every lease before it flips. What it knows of a newer head outweighs any lease (A7).
 */
import { type Gid, isOlder } from '../../model/generation.ts'
import { LIMITS } from '../../model/limits.ts'
import type { NodeMode, NodeState } from '../gate.ts'
import type { Fence, Stamp } from './words.ts'

/** The clocks of this node, read together. */
export interface VoterNow {
  readonly monotonicMs: number
  readonly wallMs: number
}

export interface VoterSettings {
  readonly node: string
  /** What this process is called by chance. */
  readonly instance: string
  /** `refuse` is the mode `strict`, `serve` is `available`. */
  readonly whenCut: NodeState['whenCut']
}

/** Times are of the clock of `elapsedAt`, where nothing else is said. */
export interface VoterState {
  readonly settings: VoterSettings
  /** By the monotonic clock. */
  readonly startedMs: number
  /** The clocks at the latest event, and how much time had passed then since the start. */
  readonly seen: VoterNow
  readonly elapsedMs: number
  readonly head: Gid | null
  readonly headSinceMs: number
  /** The head of the origin, as the latest word has it. */
  readonly known: Gid | null
  /** What is to be copied. */
  readonly wanted: Gid | null
  /** Complete and durable here; it may be the head, or be it soon. */
  readonly copied: Gid | null
  readonly adopting: Gid | null
  /** Of the latest word that was heeded. */
  readonly order: number
  readonly fence: Fence | null
  /**
   * The one durable row of a voter: a generation that may be the head elsewhere, for it is fenced for or known. Void when
   * the head of this node is as new. What it says when all that was asked for is written, and what for certain.
   */
  readonly mark: Fence | null
  readonly durable: Fence | null
  /** When the report was sent that brought the lease, and the one that was answered last. */
  readonly lease: Stamp | null
  readonly contact: Stamp | null
  /** Until then a balancer may have taken this node for ready though it had no lease. */
  readonly shownMs: number
  /** The origin tells an older head than this node has (PROTOCOL §10). */
  readonly isDiverged: boolean
  /** When it reported last. */
  readonly reportedMs: number
}

/** A process that begins, from what is durable: its head, and the mark of a fence that may still stand. */
export function restoreVoter(
  settings: VoterSettings,
  { head, mark }: { readonly head: Gid | null; readonly mark: Fence | null },
  now: VoterNow,
): VoterState {
  const stands = mark !== null && isNewer(mark.gid, head) ? mark : null
  return {
    settings,
    startedMs: now.monotonicMs,
    seen: now,
    elapsedMs: 0,
    head,
    headSinceMs: 0,
    known: head,
    wanted: null,
    copied: null,
    adopting: null,
    order: stands?.order ?? 0,
    fence: stands,
    mark: stands,
    durable: stands,
    lease: null,
    contact: null,
    shownMs: Number.NEGATIVE_INFINITY,
    isDiverged: false,
    reportedMs: -LIMITS.heartbeatMs,
  }
}

/**
 * Milliseconds since the start, by whichever clock has gone further since the latest event: while a machine is suspended
 * its monotonic clock stands still, and a wall clock that is set back afterwards takes nothing away.
 */
export function elapsedAt({ seen, elapsedMs }: VoterState, now: VoterNow): number {
  return elapsedMs + Math.max(now.monotonicMs - seen.monotonicMs, now.wallMs - seen.wallMs)
}

/** Whether the two clocks have drifted apart since the latest event so far that neither is believed: no lease holds. */
export function isJumped({ seen }: VoterState, now: VoterNow): boolean {
  const drift = now.wallMs - seen.wallMs - (now.monotonicMs - seen.monotonicMs)
  return Math.abs(drift) > LIMITS.clockJumpMs
}

/**
 * The column of the decision table (PROTOCOL §5) in which this node stands. `lag` is also a node that has no lease while
 * the origin is heard: there may be a newer head, and the origin is who knows.
 */
export function modeOf(state: VoterState, now: VoterNow): NodeMode {
  if (state.head === null || isBooting(state, now)) return 'boot'
  if (state.fence !== null) return 'fenced'
  if (isBehind(state)) return 'lag'
  if (state.isDiverged) return 'diverged'
  if (isLeased(state, now)) return 'fresh'
  return isSilent(state, now) && isUnshown(state, now) ? 'cut' : 'lag'
}

/** Whether a balancer may send this node what anybody may answer: `/readyz`. */
export function isReady(state: VoterState, now: VoterNow): boolean {
  const mode = modeOf(state, now)
  if (mode === 'fresh') return true
  return isShown(state) && mode !== 'boot' && !isSilent(state, now)
}

/** Fenced or behind: such a node is ready as long as it hears the origin, for others answer through it, and has no lease. */
export function isShown(state: VoterState): boolean {
  return state.fence !== null || isBehind(state)
}

export function isBehind({ head, known }: VoterState): boolean {
  return head !== known
}

/** Whether a generation is newer than the head of a node, which may have none yet. */
export function isNewer(gid: Gid, head: Gid | null): boolean {
  return head === null || (gid !== head && isOlder(head, gid))
}

/** Whether the origin has answered nothing that was sent since as long as a lease. */
export function isSilent(state: VoterState, now: VoterNow): boolean {
  const { contact } = state
  return contact === null || elapsedAt(state, now) - contact.sentMs >= LIMITS.leaseMs
}

/**
 * Whether this process stood still, or its machine: what comes to it now may have been sent while a balancer took it for
 * ready.
 */
export function isOverdue(state: VoterState, now: VoterNow): boolean {
  return elapsedAt(state, now) - state.reportedMs > LIMITS.heartbeatMs + LIMITS.clockJumpMs
}

function isLeased(state: VoterState, now: VoterNow): boolean {
  const { lease } = state
  return lease !== null && !isJumped(state, now) && elapsedAt(state, now) - lease.sentMs < LIMITS.leaseMs
}

/** Nothing is confirmed yet, and the time to hope for it is not over. */
function isBooting({ contact, startedMs }: VoterState, now: VoterNow): boolean {
  return contact === null && now.monotonicMs - startedMs < LIMITS.bootGraceMs
}

/**
 * Whether a balancer has noticed for certain that this node is not ready. At the end of a lease the origin waits for that;
 * a node that seemed ready without one waits itself, for nobody else does.
 */
function isUnshown(state: VoterState, now: VoterNow): boolean {
  return elapsedAt(state, now) - state.shownMs >= LIMITS.lbDetectMs && !isOverdue(state, now)
}
