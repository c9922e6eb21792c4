/**
 * How far the copy of a generation has come: how much is known to be needed, and how much of that is here. What is
 * needed grows while the copy finds out what is missing. And how far a node is behind all that it has heard of.
 */
import { type Gid, partsOf } from '../model/generation.ts'
import type { Clock } from '../model/world.ts'
import type { ProgressBody } from '../wire/replication.ts'

export interface Tally {
  readonly needed: number
  readonly done: number
  readonly neededBytes: number
  readonly doneBytes: number
}

export interface ProgressReport {
  readonly gid: Gid
  readonly nodes: Tally
  readonly manifests: Tally
  readonly files: Tally
}

export class Counter {
  #needed = 0
  #done = 0
  #neededBytes = 0
  #doneBytes = 0

  /** So much more is needed; bytes as far as they are known before they come. */
  need(count: number, bytes: number): void {
    this.#needed += count
    this.#neededBytes += bytes
  }

  /** So much of it is here. */
  have(count: number, bytes: number): void {
    this.#done += count
    this.#doneBytes += bytes
  }

  tally(): Tally {
    return {
      needed: this.#needed,
      done: this.#done,
      neededBytes: this.#neededBytes,
      doneBytes: this.#doneBytes,
    }
  }
}

export class Progress {
  readonly nodes: Counter = new Counter()
  readonly manifests: Counter = new Counter()
  readonly files: Counter = new Counter()
  readonly #gid: Gid

  constructor(gid: Gid) {
    this.#gid = gid
  }

  report(): ProgressReport {
    return {
      gid: this.#gid,
      nodes: this.nodes.tally(),
      manifests: this.manifests.tally(),
      files: this.files.tally(),
    }
  }
}

/** Blobs and nodes together; what is needed grows while it is found out. */
export function inAll({
  gid,
  nodes,
  manifests,
  files,
}: ProgressReport): ProgressBody & { readonly total: number } {
  const tallies = [nodes, manifests, files]
  return {
    gid,
    done: tallies.reduce((sum, { done }) => sum + done, 0),
    total: tallies.reduce((sum, { needed }) => sum + needed, 0),
  }
}

/** The time since a node has first heard of a generation that it does not show yet. */
export class Lag {
  readonly #clock: Pick<Clock, 'monotonic'>
  #sinceMs: number | undefined

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock
  }

  /** Told whenever the head, or what is known, may be another one. */
  note(head: Gid | undefined, known: Gid | undefined): void {
    if (known === undefined || head === known) this.#sinceMs = undefined
    else this.#sinceMs ??= this.#clock.monotonic()
  }

  /** 0 for a node that shows all that it knows of. */
  seconds(): number {
    return this.#sinceMs === undefined ? 0 : (this.#clock.monotonic() - this.#sinceMs) / 1000
  }
}

/** Generations from the head to what is known, by their numbers; all of them where there is no head. */
export function generationsBehind(head: Gid | undefined, known: Gid | undefined): number {
  if (known === undefined) return 0
  const held = head === undefined ? -1 : partsOf(head).number
  return Math.max(0, partsOf(known).number - held)
}
