/**
 * What the origin's side of an activation is told, and what it has its driver do (PROTOCOL §8).
 */
import type { Gid } from '../../model/generation.ts'
import type { CoordinatorRow, CoordinatorState } from './coordinator-state.ts'
import type { Report, Word } from './words.ts'

export type CoordinatorEvent =
  /** A sealed generation, durable, whose parent is the head; or is activated before it. */
  | { readonly kind: 'activate'; readonly gid: Gid }
  /** Nobody wants it any more; too late when its flip is under way. */
  | { readonly kind: 'abandon'; readonly gid: Gid }
  | { readonly kind: 'report'; readonly report: Report }
  /** This process answers nobody any more, and never will. */
  | { readonly kind: 'left'; readonly node: string; readonly instance: string }
  | { readonly kind: 'stored'; readonly row: CoordinatorRow }
  /** It is the durable head. */
  | { readonly kind: 'flipped'; readonly gid: Gid }
  /** It is not the head, and for certain will not become it by this write. */
  | { readonly kind: 'flip-failed'; readonly gid: Gid }
  | { readonly kind: 'tick' }

/** Why a generation was not activated; it may be tried again. */
export type AbortReason = 'slow-voter' | 'abandoned' | 'not-written' | 'diverged' | 'superseded' | 'too-many'

export type CoordinatorEffect =
  /** To a process of a node, as `voterOf` names it. */
  | { readonly kind: 'send'; readonly to: string; readonly word: Word }
  /** One row, written in the order of the effects. */
  | { readonly kind: 'store'; readonly row: CoordinatorRow }
  /** A5: make it the durable head, and tell nobody before. */
  | { readonly kind: 'flip'; readonly gid: Gid }
  | { readonly kind: 'active'; readonly gid: Gid }
  | { readonly kind: 'aborted'; readonly gid: Gid; readonly reason: AbortReason }
  /** Whoever is held here looks again. */
  | { readonly kind: 'release' }

export interface CoordinatorStep {
  readonly state: CoordinatorState
  readonly effects: readonly CoordinatorEffect[]
  /** When `tick` is due, by the monotonic clock; infinity when it is not. */
  readonly wakeMs: number
}
