/**
 * The nodes that follow this one, as their heartbeats tell of them (PROTOCOL §8). All in memory: after a restart every
 * node is known again with its next heartbeat.
 *
 * What a node says of itself is believed and passed on, and decides nothing here. Whoever grants leases or counts votes
 * asks `nodes` who there is, and keeps beside it what it has granted.
 *
 * Two processes under one id would speak in turn, each for the other. Every process of a node names itself by chance,
 * so that they are told apart: a new one takes the place of the one before at once, for that is what a restart looks
 * like. When the one before is heard again after that, both are alive, and who was there first keeps the id: what
 * served well goes on, and whoever came last is told to take another name. He gets the id when the first one has been
 * silent for a lease, and at once from one that is draining: a node may start again before its last process has ended.
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
  /** Code of the failure for which it takes over nothing of its upstream. */
  readonly refused?: string
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
  /** Another process was refused under the same id, a lease ago or less. */
  readonly isContested?: true
}

/** A process of a node. */
interface Holder {
  /** What it is called by chance; undefined where nothing is said. */
  readonly instance: string | undefined
  /** Who had the id before it, and was not known to have ended. */
  readonly displaced?: string
  /** When somebody else was found to live under this id. */
  readonly contestedMs?: number
}

interface Heard extends Holder {
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

  /**
   * A heartbeat of a process. Fails with `node-id-taken` when another one lives under this id, or with `limit-exceeded`
   * when there are too many nodes already that are alive; one that is silent makes way.
   */
  hear(id: string, report: NodeReport, instance?: string): void {
    this.#forgetSilent()
    // Who has made way goes on asking for the head until he has ended.
    if (report.state === 'drain' && this.#hasMadeWay(id, instance)) return
    const holder = this.#claim(id, instance)
    if (!this.#heard.has(id) && this.#heard.size >= LIMITS.nodes && !this.#forgetMostSilent())
      throw failure('limit-exceeded', { what: 'nodes that follow this one', limit: LIMITS.nodes })
    this.#heard.delete(id)
    this.#heard.set(id, { ...holder, report, atMs: this.#clock.monotonic() })
  }

  /** A process follows no more. Nothing happens when it is not the one that has the id. */
  forget(id: string, instance?: string): void {
    if (this.#heard.get(id)?.instance === instance) this.#heard.delete(id)
  }

  /** In the order of their ids. */
  nodes(): readonly KnownNode[] {
    this.#forgetSilent()
    const now = this.#clock.monotonic()
    const nodes = [...this.#heard].map(([id, heard]) => ({
      ...heard.report,
      id,
      seenMsAgo: Math.round(now - heard.atMs),
      ...(this.#isContested(heard) ? ({ isContested: true } as const) : {}),
    }))
    return nodes.sort((a, b) => (a.id < b.id ? -1 : 1))
  }

  /** Who has the id from now on. */
  #claim(id: string, instance: string | undefined): Holder {
    const held = this.#heard.get(id)
    const now = this.#clock.monotonic()
    if (held === undefined || now - held.atMs >= LIMITS.leaseMs) return { instance }
    if (held.instance === instance) return held
    if (held.displaced !== undefined && held.displaced === instance) return { instance, contestedMs: now }
    if (!this.#isContested(held) || held.report.state === 'drain')
      return { instance, ...(held.instance === undefined ? {} : { displaced: held.instance }) }
    this.#heard.set(id, { ...held, contestedMs: now })
    throw failure('node-id-taken', { id })
  }

  #hasMadeWay(id: string, instance: string | undefined): boolean {
    const displaced = this.#heard.get(id)?.displaced
    return displaced !== undefined && displaced === instance
  }

  #isContested({ contestedMs }: Holder): boolean {
    return contestedMs !== undefined && this.#clock.monotonic() - contestedMs < LIMITS.leaseMs
  }

  /** Whether there was one whose lease is over. */
  #forgetMostSilent(): boolean {
    for (const [id, { atMs }] of this.#heard)
      return this.#clock.monotonic() - atMs >= LIMITS.leaseMs && this.#heard.delete(id)
    return false
  }

  #forgetSilent(): void {
    const before = this.#clock.monotonic() - LIMITS.nodeForgetMs
    for (const [id, { atMs }] of this.#heard) {
      if (atMs >= before) return
      this.#heard.delete(id)
    }
  }
}
