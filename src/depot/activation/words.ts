/**
 * What the origin and its voters tell each other while a generation is activated (PROTOCOL §8), and the bounds of a
 * lease, which both of them count.
 *
 * Each message says all that its sender stands for, and not only what is new. FENCE, UNFENCE and ACTIVATE are words of
 * the origin that differ from the one before; READY and the ack of a fence are reports. So what is lost, comes twice or
 * comes late is made good by the next message, and a heartbeat brings one every second (nasty edge cases 5 and 6).
 */
import type { Gid } from '../../model/generation.ts'
import { LIMITS } from '../../model/limits.ts'

/**
 * `strict`     a node without a lease answers nothing that changes with the head
 * `available`  it does, when the origin is silent; the balancer has turned to others by then
 * `none`       no leases, no fence: for a node that stands alone
 */
export type ActivationMode = 'strict' | 'available' | 'none'

/** A moment of one process of a voter. The origin sends it back as it is, and knows by it which of two came first. */
export interface Stamp {
  /** What the process is called by chance: the clock of another process says nothing. */
  readonly instance: string
  /** Milliseconds of a clock of that process. */
  readonly sentMs: number
}

/** A heartbeat, a READY and the ack of a fence are the same message, sent for another reason. */
export interface Report {
  readonly node: string
  /** When it was sent: a lease counts from here. */
  readonly stamp: Stamp
  /** Durable and shown; null when there is none yet. */
  readonly head: Gid | null
  /** A generation that is complete here, durable and not shown: READY. */
  readonly ready: Gid | null
  /** The `order` of the fence whose mark is durable here: the ack. */
  readonly fence: number | null
}

/** From A3 to A5 or A6 nobody answers from his head: `gid` may be active any moment. */
export interface Fence {
  /** The order of the first word that told of it. */
  readonly order: number
  readonly gid: Gid
}

export interface Word {
  /**
   * Grows with everything that happens at the origin, also from one start of it to the next. A word is not heeded by
   * who has heard a later one; two of one order say the same.
   */
  readonly order: number
  /** Durable at the origin. */
  readonly head: Gid
  /** Sealed and to be activated: everybody copies it, and nobody shows it (A1, I11). */
  readonly announced: Gid | null
  readonly fence: Fence | null
  /** When the report was sent that this answers; null for a word that nobody has asked for. */
  readonly answers: Stamp | null
  /** Whether the report that it answers brings a lease. */
  readonly isLease: boolean
}

/** A process of a node: two of one id vote apart, for the word of one says nothing of what the other still answers. */
export function voterOf(node: string, instance: string): string {
  return `${node}/${instance}`
}

/**
 * Milliseconds after the origin has granted a lease in which the voter may still serve under it: the lease itself, how
 * far the clocks of two nodes differ, and, where a node without one goes on serving, until the balancer has noticed.
 */
export function lapseMs(mode: ActivationMode): number {
  const { leaseMs, clockDriftPercent, leaseMarginMs, lbDetectMs } = LIMITS
  const counted = (leaseMs * (100 + clockDriftPercent)) / 100 + leaseMarginMs
  return mode === 'available' ? counted + lbDetectMs : counted
}
