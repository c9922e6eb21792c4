/**
 * Rules of the protocol, switched off one at a time from outside: what a machine hears, says or has written is changed on
 * its way. Nothing of this is in the program. The simulation must find what comes of each.
 */
import type { CoordinatorRow } from '../../src/depot/activation/coordinator-state.ts'
import { elapsedAt, type VoterNow, type VoterState } from '../../src/depot/activation/voter-state.ts'
import type { Fence, Word } from '../../src/depot/activation/words.ts'
import { LIMITS } from '../../src/model/limits.ts'

export interface Mutation {
  readonly off: string
  /** The invariants of which at least one is found broken. */
  readonly invariants: readonly string[]
  /** What a voter goes by when it is asked for something. */
  readonly seen?: (state: VoterState, now: VoterNow) => VoterState
  /** What it hears. */
  readonly heard?: (word: Word, state: VoterState, now: VoterNow) => Word
  /** What its clocks show; `offsetMs` is what they showed apart when it was asked last. */
  readonly clocks?: (now: VoterNow, offsetMs: number) => VoterNow
  /** Whether it acknowledges each fence, and goes on as if there were none. */
  readonly isUnfenced?: boolean
  /** What it finds on its disk when it starts. */
  readonly restored?: (mark: Fence | null) => Fence | null
  /** Whether the origin's disk says that something is durable before it is. */
  readonly isUnflushed?: boolean
  /** Whether it acknowledges a fence before the mark of it is durable. */
  readonly isHasty?: boolean
  /** What the origin finds on its disk when it starts. */
  readonly recovered?: (row: CoordinatorRow) => CoordinatorRow
}

export const MUTATIONS: Readonly<Record<string, Mutation>> = {
  'without-a7': {
    off: 'that a node which knows of a newer head than its own never answers from its own (A7)',
    invariants: ['I5', 'I10'],
    seen: (state) => ({ ...state, known: state.head }),
  },
  'without-fence': {
    off: 'that a voter stops answering when it acknowledges a fence (A3)',
    invariants: ['I5', 'I10'],
    isUnfenced: true,
  },
  'without-flush': {
    off: 'that the head is durable before anybody is told (A5)',
    invariants: ['I3', 'I11'],
    isUnflushed: true,
  },
  'forgotten-mark': {
    off: 'that a voter finds the mark of its fence when it starts again (A7)',
    invariants: ['I5', 'I10'],
    restored: () => null,
  },
  'lease-from-arrival': {
    off: 'that a lease counts from when the heartbeat was sent',
    invariants: ['I5', 'I10'],
    heard: (word, state, now) => {
      const { instance } = state.settings
      if (!word.isLease || word.answers?.instance !== instance) return word
      return { ...word, answers: { instance, sentMs: elapsedAt(state, now) } }
    },
  },
  'ack-before-mark': {
    off: 'that the mark of a fence is durable before the fence is acknowledged (A3)',
    invariants: ['I5', 'I10'],
    isHasty: true,
  },
  'late-words': {
    off: 'that a word is not heeded by who has heard a later one: UNFENCE overtakes FENCE',
    invariants: ['I5', 'I10', 'I22'],
    heard: (word) => ({ ...word, order: Number.MAX_SAFE_INTEGER }),
  },
  'forgotten-voters': {
    off: 'that an origin which starts again knows who may hold a lease',
    invariants: ['I5', 'I10'],
    recovered: (row) => ({ ...row, voters: [] }),
  },
  'trusted-clock': {
    off: 'that a lease is void when the two clocks of a node drift apart',
    invariants: ['I5', 'I10'],
    clocks: ({ monotonicMs }, offsetMs) => ({ monotonicMs, wallMs: monotonicMs + offsetMs }),
  },
}

/**
 * Holes in the rules as PROTOCOL §8 has them. Each is mended; these put it back, and the simulation finds what comes of it.
 */
export const HOLES: Readonly<Record<string, Mutation>> = {
  'lease-on-one-clock': {
    off: 'that a lease ends when either clock says so, for a machine may stand still for less than a second',
    invariants: ['I5', 'I10'],
    clocks: ({ monotonicMs, wallMs }, offsetMs) => {
      const isNoticed = Math.abs(wallMs - monotonicMs - offsetMs) > LIMITS.clockJumpMs
      return { monotonicMs, wallMs: isNoticed ? wallMs : monotonicMs + offsetMs }
    },
  },
  'ready-without-lease': {
    off: 'that a node which was ready without a lease waits for the balancer before it answers as one that is cut off',
    invariants: ['I5', 'I10'],
    seen: (state, now) => ({
      ...state,
      shownMs: Number.NEGATIVE_INFINITY,
      reportedMs: elapsedAt(state, now),
    }),
  },
}
