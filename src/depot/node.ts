/**
 * What a node knows of itself and of its origin: what the gate decides by (PROTOCOL §4, §5).
 */
import type { Gid } from '../model/generation.ts'
import type { NodeState } from './gate.ts'

export interface Node {
  /** Asked in the same turn in which the answer is chosen. */
  state(): NodeState
  /** The newest active generation that it has heard of. Fails with `booting` before the first. */
  known(): Gid
  /** Whether another node says that it has the newest that is known here. */
  isKnownElsewhere(): boolean
  /** Asks the origin what it knows; those who ask together ask once. Fails with `origin-unreachable`. */
  confirm(signal: AbortSignal): Promise<void>
  /** Resolves when the head or the state may be another one, or after `waitMs`. Fails with `hold-limit`. */
  changed(waitMs: number, signal: AbortSignal): Promise<void>
}
