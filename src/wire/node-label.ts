/**
 * A node in a word or two: its id, as it stands in URLs and headers, and what `Depot-Node` says of it (PROTOCOL §2).
 */
import { failure } from '../model/errors.ts'
import { LIMITS } from '../model/limits.ts'
import { clip } from '../model/name.ts'

export type NodeRole = 'origin' | 'replica' | 'edge'
export const NODE_CONDITIONS = ['boot', 'fresh', 'fenced', 'lag', 'cut', 'diverged', 'drain'] as const
export type NodeCondition = (typeof NODE_CONDITIONS)[number]

/** For people who look for what is wrong; nothing is decided by it. */
export interface NodeLabel {
  readonly id: string
  readonly role: NodeRole
  readonly state: NodeCondition
  /** Since the origin has confirmed the head. */
  readonly ageSeconds: number
  /** A code of `model/failures.ts`: what keeps the origin from confirming it. */
  readonly why?: string
}

const NODE_ID = /^[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?$/

/** Lower-case letters, digits, `.`, `_`, `-`; begins and ends with a letter or digit. Fails with `bad-request`. */
export function parseNodeId(text: string): string {
  if (text.length <= LIMITS.nodeIdBytes && NODE_ID.test(text)) return text
  throw failure('bad-request', {
    reason: `"${clip(text)}" is no id of a node: up to ${LIMITS.nodeIdBytes} of a-z, 0-9, and ". _ -" between them`,
  })
}

/** `r2;role=replica;state=fresh;age=0.4` */
export function encodeNodeLabel({ id, role, state, ageSeconds, why }: NodeLabel): string {
  const reason = why === undefined ? '' : `;why=${why}`
  return `${id};role=${role};state=${state};age=${Math.round(ageSeconds * 10) / 10}${reason}`
}
