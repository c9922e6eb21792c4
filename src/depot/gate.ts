/**
 * The gate: what a node does with a request, from what it knows at this moment (PROTOCOL §5, the decision table).
 *
 * A pure function, and a table without holes: every kind of request in every state has its plan, the steps that are
 * tried one after the other until one of them answers. Serving and refusing always do, so they stand last. How long a
 * hold may last, how many there may be and where a relay goes is for those who carry the plan out (§6).
 */
import type { DepotError } from '../model/errors.ts'
import type { ErrorCode } from '../model/failures.ts'

/**
 * `fresh`   the origin has confirmed the head, or this is the origin
 * `fenced`  an activation is under way: the head may be another one any moment (§8)
 * `lag`     a newer head is known than the one this node has
 * `cut`     the origin has been silent for longer than a lease
 * `boot`    nothing is confirmed yet
 * `diverged` the origin shows a lower number or another digest in the same lineage, or what its keys have not signed (§10)
 */
export type NodeMode = 'boot' | 'fresh' | 'fenced' | 'lag' | 'cut' | 'diverged'

export interface NodeState {
  readonly mode: NodeMode
  /** Beside every mode: it answers what it can, and lets nobody wait. */
  readonly isDraining: boolean
  /** Whether a node that is cut off refuses what may have changed, or serves what it has. */
  readonly whenCut: 'refuse' | 'serve'
  /** Whether this is the node that commits: what is not here is nowhere. */
  readonly isOrigin: boolean
  /** Whether the origin was silent for longer than a lease, whatever the mode. */
  readonly isSilent?: boolean
  /** Why a node that is `diverged` takes over nothing of what its upstream tells, where that is not its history. */
  readonly refusal?: DepotError | undefined
  /** Why an origin may not commit, where it may not: it is not sure that it has all that it ever had (§10). */
  readonly unsure?: Unsure
}

/** As `depot/lineage/origin-check.ts` finds it. */
export type Unsure = 'asking' | 'unverified' | 'diverged' | 'superseded'

/**
 * What a floor comes to here: `none`, met by the head, announced by the origin but not here yet, not announced as far
 * as is known, or `head`, which is to be confirmed with the origin. `-lost`, `-foreign`: of another history (§1).
 */
export type FloorHere = 'none' | 'met' | 'announced' | 'unannounced' | 'head' | 'lost' | 'foreign'

/** What a pin comes to here. `away`: the origin has it, and this node has not or no more. */
export type PinHere = 'here' | 'sealed' | 'away' | 'unannounced' | 'lost' | 'foreign' | 'retired'

/** A request, as far as the gate cares: its kind (PROTOCOL §3) and how what it names stands here. */
export type Question =
  /** K1, K2: what changes with the head. */
  | {
      readonly kind: 'entry'
      readonly floor: FloorHere
      /** It waits for something newer than the newest that is known: nobody else could tell it more at once. */
      readonly isWatching?: boolean
    }
  /** K3 without a pin, its floor met: a versioned name. */
  | { readonly kind: 'versioned'; readonly isHere: boolean }
  /** K5. */
  | { readonly kind: 'pinned'; readonly pin: PinHere }
  /** K4. */
  | { readonly kind: 'object'; readonly isHere: boolean }
  /** K6, K7; and `word`: what only the origin can say, to nodes and to operators, however it stands itself. */
  | { readonly kind: 'staging' | 'write' | 'word' }

/**
 * `serve`     answer from what is here, also that it is not there
 * `confirm`   ask the origin what it knows, then look anew; whoever is asked a second time has been told
 * `hold`      wait until this node has it, then look anew
 * `relay`     have it answered by a node that has it; `relay-origin`: by the origin and nobody else
 * `redirect`  send the client to a node that has it
 */
export type Step =
  | 'serve'
  | 'confirm'
  | 'hold'
  | 'relay'
  | 'relay-origin'
  | 'redirect'
  | { readonly refuse: ErrorCode }

export type Plan = readonly [...Step[], 'serve' | { readonly refuse: ErrorCode }]

type Row = Readonly<Record<NodeMode, Plan>>

const SERVE: Plan = ['serve']
const BOOTING: Plan = [{ refuse: 'booting' }]
const UNCONFIRMED: Plan = [{ refuse: 'head-unconfirmed' }]
const NO_ORIGIN = { refuse: 'origin-unreachable' } as const
const UNREACHABLE: Plan = [NO_ORIGIN]
const BEHIND: Plan = [{ refuse: 'generation-behind' }]
const HOLD: Plan = ['hold', 'relay-origin', 'redirect', { refuse: 'generation-behind' }]
/** Never the old head. */
const ASK_ORIGIN: Plan = ['relay-origin', 'hold', 'redirect', { refuse: 'generation-behind' }]
/** A node that is fenced never answers from its head, and neither does anybody else then. */
const HOLD_ALONE: Plan = ['hold', { refuse: 'generation-behind' }]
const FETCH: Plan = ['relay', 'hold', 'redirect', { refuse: 'generation-behind' }]

/** The answer is the same wherever it can be given at all. */
function everywhere(plan: Plan, others: Partial<Row> = {}): Row {
  return { fresh: plan, fenced: plan, lag: plan, cut: plan, boot: BOOTING, diverged: plan, ...others }
}

const ENTRY: Readonly<Record<FloorHere, Row>> = {
  none: everywhere(SERVE, { fenced: HOLD_ALONE, lag: ASK_ORIGIN, cut: UNCONFIRMED }),
  met: everywhere(SERVE, { fenced: HOLD_ALONE, lag: ASK_ORIGIN, cut: UNCONFIRMED }),
  announced: everywhere(HOLD, {
    fenced: HOLD_ALONE,
    lag: ASK_ORIGIN,
    cut: ['hold', { refuse: 'origin-unreachable' }],
    diverged: BEHIND,
  }),
  unannounced: everywhere(['confirm', { refuse: 'generation-unknown' }], {
    cut: UNREACHABLE,
    diverged: BEHIND,
  }),
  head: everywhere(['confirm', 'serve'], {
    fenced: HOLD_ALONE,
    lag: ASK_ORIGIN,
    cut: UNREACHABLE,
    diverged: UNCONFIRMED,
  }),
  lost: everywhere([{ refuse: 'generation-lost' }], { diverged: UNCONFIRMED }),
  foreign: everywhere(['confirm', { refuse: 'lineage-foreign' }], {
    cut: [{ refuse: 'lineage-foreign' }],
    diverged: UNCONFIRMED,
  }),
}

const PINNED: Readonly<Record<PinHere, Row>> = {
  here: everywhere(SERVE, { boot: SERVE }),
  sealed: everywhere(HOLD_ALONE, { cut: UNREACHABLE, diverged: BEHIND }),
  away: everywhere(FETCH, { cut: ['hold', 'redirect', { refuse: 'origin-unreachable' }], diverged: BEHIND }),
  unannounced: everywhere(['confirm', { refuse: 'generation-unknown' }], {
    cut: UNREACHABLE,
    diverged: UNCONFIRMED,
  }),
  lost: everywhere([{ refuse: 'generation-lost' }], { diverged: UNCONFIRMED }),
  foreign: everywhere(['confirm', { refuse: 'lineage-foreign' }], {
    cut: UNREACHABLE,
    diverged: UNCONFIRMED,
  }),
  retired: everywhere([{ refuse: 'generation-retired' }]),
}

const VERSIONED_HERE: Row = everywhere(SERVE)
/**
 * That something is not there is said by the origin, or with its word of this moment: a node that was cut off is fresh
 * until its lease ends, and what it lacks may be active for as long (I13).
 */
const VERSIONED_ABSENT: Row = everywhere(['confirm', 'serve'], {
  fenced: HOLD_ALONE,
  lag: ['relay-origin', { refuse: 'generation-behind' }],
  cut: UNCONFIRMED,
  diverged: UNCONFIRMED,
})

const OBJECT_HERE: Row = everywhere(SERVE, { boot: SERVE })
const OBJECT_ABSENT: Row = everywhere(['relay', { refuse: 'blob-unavailable' }], {
  cut: [{ refuse: 'blob-unavailable' }],
  diverged: [{ refuse: 'blob-unavailable' }],
})

/** What an origin does itself, but not while it is not sure that it is one. */
const OWN: Row = everywhere(SERVE, { diverged: [{ refuse: 'origin-diverged' }] })
const UNSURE: Readonly<Record<Unsure, Plan>> = {
  asking: ['hold', { refuse: 'head-unconfirmed' }],
  unverified: [{ refuse: 'origin-unverified' }],
  diverged: [{ refuse: 'origin-diverged' }],
  superseded: [{ refuse: 'origin-superseded' }],
}
const STAGING: Row = everywhere(['relay-origin', NO_ORIGIN], { cut: UNREACHABLE, diverged: UNREACHABLE })
const WRITE: Row = everywhere(['relay-origin', NO_ORIGIN], {
  cut: UNREACHABLE,
  diverged: [{ refuse: 'origin-diverged' }],
})

/** What to do with a request, in this state. */
export function planFor(question: Question, state: NodeState): Plan {
  const plan = planOf(question, state)
  return state.isDraining ? withoutHolds(plan) : plan
}

function planOf(question: Question, state: NodeState): Plan {
  // An origin that may have lost its newest generations says of nothing that it never was.
  const mode = state.unsure === undefined ? state.mode : 'diverged'
  switch (question.kind) {
    case 'entry':
      return planOfEntry(question, state, mode)
    case 'pinned':
      return PINNED[question.pin][mode]
    case 'versioned':
    case 'object':
      return rowOfThing(question, state)[mode]
    case 'staging':
    case 'write':
    case 'word':
      return planOfChange(question.kind, state)
  }
}

function planOfEntry(
  { floor, isWatching }: Extract<Question, { kind: 'entry' }>,
  state: NodeState,
  mode: NodeMode,
): Plan {
  if (isWatching === true && mode === 'lag') return HOLD_ALONE
  return isOldEnough(floor, state) ? SERVE : ENTRY[floor][mode]
}

/** Whether an old head is good enough: for who asks for no newer one, where availability was chosen. */
function isOldEnough(floor: FloorHere, { mode, whenCut }: NodeState): boolean {
  return mode === 'cut' && whenCut === 'serve' && (floor === 'none' || floor === 'met')
}

function rowOfThing(
  { kind, isHere }: Extract<Question, { isHere: boolean }>,
  { isOrigin, unsure }: NodeState,
): Row {
  const isAnswered = isHere || (isOrigin && unsure === undefined)
  if (kind === 'versioned') return isAnswered ? VERSIONED_HERE : VERSIONED_ABSENT
  return isAnswered ? OBJECT_HERE : OBJECT_ABSENT
}

function planOfChange(kind: 'staging' | 'write' | 'word', { mode, isOrigin, unsure }: NodeState): Plan {
  if (!isOrigin) return (kind === 'staging' ? STAGING : WRITE)[mode]
  if (kind === 'word') return SERVE
  // What is staged while it finds out may still be committed; what nobody can commit is not taken.
  const isRefused = unsure !== undefined && (kind === 'write' || mode === 'diverged')
  return isRefused ? UNSURE[unsure] : OWN[mode]
}

/** A node that is about to go lets nobody wait; whoever comes again reaches another one. */
function withoutHolds(plan: Plan): Plan {
  if (!plan.includes('hold')) return plan
  const steps = plan.slice(0, -1).filter((step) => step !== 'hold')
  return [...steps, { refuse: 'draining' }]
}
