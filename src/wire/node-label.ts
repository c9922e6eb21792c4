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
  return `${id};role=${role};state=${state};age=${tenthsOf(ageSeconds) / 10}${reason}`
}

const STEP_MS = 100

/** The labels of one node: thousands of answers a second say the same, so the text is made when it is another one. */
export class NodeLabels {
  #last: { readonly label: NodeLabel; readonly text: string } | undefined
  #recent: { readonly text: string; readonly untilMs: number; readonly isDraining: boolean } | undefined

  textOf(label: NodeLabel): string {
    const last = this.#last
    if (last !== undefined && isSame(last.label, label)) return last.text
    const text = encodeNodeLabel(label)
    this.#last = { label, text }
    return text
  }

  /**
   * The same for a label that every answer needs and that costs something to make: by time alone it changes in steps of
   * a tenth of a second, so it is made anew as often, when the node begins to drain, and after `forget`.
   */
  recent(nowMs: number, isDraining: boolean, make: () => NodeLabel): string {
    const recent = this.#recent
    if (recent !== undefined && nowMs < recent.untilMs && recent.isDraining === isDraining) return recent.text
    const text = this.textOf(make())
    this.#recent = { text, untilMs: nowMs + STEP_MS, isDraining }
    return text
  }

  /** Something has happened that the label may tell. */
  forget(): void {
    this.#recent = undefined
  }
}

function isSame(one: NodeLabel, other: NodeLabel): boolean {
  return (
    one.state === other.state &&
    one.why === other.why &&
    tenthsOf(one.ageSeconds) === tenthsOf(other.ageSeconds) &&
    one.id === other.id &&
    one.role === other.role
  )
}

function tenthsOf(seconds: number): number {
  return Math.round(seconds * 10)
}
