/**
 * What is done to a cluster while it is watched, and what no reader may then be promised: written into the history as
 * windows, from what the harness itself did and not from what the nodes say.
 *
 * A node that came back is counted on only some time later: a replica hears from the origin once a second, and a balancer
 * wants two good answers before it sends requests again.
 */
import type { Trouble } from '../checker/line.ts'
import { monotonicMs, type Recorder } from '../checker/recorder.ts'

const SETTLE_MS = 3_000

/** Ends what was begun. May be called again. */
export type Done = () => void

type Doubt = 'dark' | 'unsure'

export class Facts {
  readonly #recorder: Pick<Recorder, 'add'>
  readonly #replicas: readonly string[]
  /** Why a node does not answer, and why a replica does not reach the origin: how many reasons. */
  readonly #gone = new Map<string, number>()
  readonly #apart = new Map<string, number>()
  readonly #since = new Map<Doubt, number>()
  readonly #open = new Set<Done>()

  constructor(recorder: Pick<Recorder, 'add'>, replicas: readonly string[]) {
    this.#recorder = recorder
    this.#replicas = replicas
  }

  /** Something is done to a node from now on. */
  begin(trouble: Trouble, node: string): Done {
    const from = monotonicMs()
    const done = (): void => {
      if (this.#open.delete(done))
        this.#recorder.add({ what: 'window', trouble, node, from, to: monotonicMs() })
    }
    this.#open.add(done)
    return done
  }

  /** It does not answer. */
  gone(node: string): Done {
    return this.#count(this.#gone, node)
  }

  /** It answers, and does not reach the origin. */
  apart(replica: string): Done {
    return this.#count(this.#apart, replica)
  }

  /** Ends whatever is still going on. */
  close(): void {
    for (const done of this.#open) done()
    for (const doubt of this.#since.keys()) this.#leave(doubt)
  }

  #count(counts: Map<string, number>, node: string): Done {
    counts.set(node, (counts.get(node) ?? 0) + 1)
    this.#look()
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      counts.set(node, (counts.get(node) ?? 0) - 1)
      this.#look()
    }
  }

  #look(): void {
    const answers = (node: string): boolean => (this.#gone.get(node) ?? 0) === 0
    const reaches = (node: string): boolean => answers(node) && (this.#apart.get(node) ?? 0) === 0
    this.#turn('dark', !this.#replicas.some(answers))
    this.#turn('unsure', !answers('origin') || !this.#replicas.some(reaches))
  }

  #turn(doubt: Doubt, holds: boolean): void {
    if (!holds) this.#leave(doubt)
    else if (!this.#since.has(doubt)) this.#since.set(doubt, monotonicMs())
  }

  #leave(trouble: Doubt): void {
    const from = this.#since.get(trouble)
    if (from === undefined) return
    this.#since.delete(trouble)
    this.#recorder.add({ what: 'window', trouble, from, to: monotonicMs() + SETTLE_MS })
  }
}
