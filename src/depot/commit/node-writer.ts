/**
 * New nodes on their way to where they are kept, in batches, a few batches at once: making the next nodes goes on while
 * the last ones are packed. Memory is bounded, for whoever adds waits when too much is under way.
 */
import type { Digest } from '../../model/digest.ts'
import type { PlainNode } from '../../pool/pool.ts'

const BATCH_BYTES = 2_097_152
const BATCHES_AT_ONCE = 3

export class NodeWriter {
  readonly #take: (nodes: readonly PlainNode[]) => Promise<void>
  readonly #writing = new Set<Promise<void>>()
  #batch: PlainNode[] = []
  #size = 0

  constructor(take: (nodes: readonly PlainNode[]) => Promise<void>) {
    this.#take = take
  }

  /** Takes a node; a promise means: wait for it before the next one. */
  add(digest: Digest, bytes: Uint8Array): Promise<void> | undefined {
    this.#batch.push({ digest, bytes })
    this.#size += bytes.length
    if (this.#size < BATCH_BYTES) return undefined
    this.#send()
    return this.#writing.size < BATCHES_AT_ONCE ? undefined : Promise.race(this.#writing)
  }

  /** Resolves when everything that was added has been taken. */
  async flush(): Promise<void> {
    this.#send()
    await Promise.all(this.#writing)
  }

  #send(): void {
    if (this.#batch.length === 0) return
    const taken = this.#take(this.#batch)
    this.#batch = []
    this.#size = 0
    this.#writing.add(taken)
    // A failure stays in the set, so that `flush` and the next `add` report it.
    taken.then(
      () => this.#writing.delete(taken),
      () => undefined,
    )
  }
}
