/**
 * A node in a word or two: its id, as it stands in URLs and headers, and what `Depot-Node` says of it (PROTOCOL §2).
 */
import { failure } from '../model/errors.ts'
import { LIMITS } from '../model/limits.ts'
import { clip } from '../model/name.ts'

export type NodeRole = 'origin' | 'replica' | 'edge'
export type NodeCondition = 'boot' | 'fresh' | 'fenced' | 'lag' | 'cut' | 'diverged' | 'drain'

/** For people who look for what is wrong; nothing is decided by it. */
export interface NodeLabel {
  readonly id: string
  readonly role: NodeRole
  readonly state: NodeCondition
  /** Since the origin has confirmed the head. */
  readonly ageSeconds: number
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
export function encodeNodeLabel({ id, role, state, ageSeconds }: NodeLabel): string {
  return `${id};role=${role};state=${state};age=${Math.round(ageSeconds * 10) / 10}`
}
