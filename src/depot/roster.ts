/**
 * The nodes that follow this one, as their heartbeats tell of them (PROTOCOL §8). All in memory: after a restart every
 * node is known again with its next heartbeat.
 *
 * What a node says of itself is believed and passed on, and decides nothing here. Whoever grants leases or counts votes
 * asks `nodes` who there is, and keeps beside it what it has granted.
 */
import { failure } from '../model/errors.ts'
import type { Gid } from '../model/generation.ts'
import { LIMITS } from '../model/limits.ts'
import type { Clock } from '../model/world.ts'
import type { NodeMode } from './gate.ts'

/** What a node says of itself. */
export interface NodeReport {
  readonly role: 'replica' | 'edge'
  readonly state: NodeMode | 'drain'
  /** The generation it serves; null when it has none. */
  readonly head: Gid | null
  /** The newest generation it knows of. */
  readonly known: Gid | null
  /** Where clients reach it. */
  readonly publicUrl?: string
  /** Since it had all that it knew of. */
  readonly lagSeconds?: number
  readonly progress?: Progress
}

/** How far the copying of one generation has come; counts of blobs and nodes. */
export interface Progress {
  readonly gid: Gid
  readonly done: number
  /** Undefined as long as nobody can tell. */
  readonly total?: number
}

export interface KnownNode extends NodeReport {
  readonly id: string
  /** Since its last heartbeat. */
  readonly seenMsAgo: number
}

interface Heard {
  readonly report: NodeReport
  readonly atMs: number
}

export class Roster {
  readonly #clock: Pick<Clock, 'monotonic'>
  /** By id; who was silent for the longest time first. */
  readonly #heard = new Map<string, Heard>()

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock
  }

  /** A heartbeat. Fails with `limit-exceeded` when there are too many nodes already. */
  hear(id: string, report: NodeReport): void {
    this.#forgetSilent()
    if (!this.#heard.has(id) && this.#heard.size >= LIMITS.nodes)
      throw failure('limit-exceeded', { what: 'nodes that follow this one', limit: LIMITS.nodes })
    this.#heard.delete(id)
    this.#heard.set(id, { report, atMs: this.#clock.monotonic() })
  }

  /** In the order of their ids. */
  nodes(): readonly KnownNode[] {
    this.#forgetSilent()
    const now = this.#clock.monotonic()
    const nodes = [...this.#heard].map(([id, { report, atMs }]) => ({
      ...report,
      id,
      seenMsAgo: Math.round(now - atMs),
    }))
    return nodes.sort((a, b) => (a.id < b.id ? -1 : 1))
  }

  #forgetSilent(): void {
    const before = this.#clock.monotonic() - LIMITS.nodeForgetMs
    for (const [id, { atMs }] of this.#heard) {
      if (atMs >= before) return
      this.#heard.delete(id)
    }
  }
}
