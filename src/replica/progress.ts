/**
 * How far the copy of a generation has come: how much is known to be needed, and how much of that is here. What is
 * needed grows while the copy finds out what is missing.
 */
import type { Gid } from '../model/generation.ts'

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
