/**
 * Files that are to be here: looked up many at once, and those that are absent brought, small ones in batches and large
 * ones one by one, a few requests at a time.
 */
import type { Digest } from '../model/digest.ts'
import { failure } from '../model/errors.ts'
import { LIMITS } from '../model/limits.ts'
import { slices } from '../model/slice.ts'
import type { Clock } from '../model/world.ts'
import type { Pool, Stored } from '../pool/pool.ts'
import type { Lanes } from '../wire/lanes.ts'
import { type FetchSmallParts, fetchSmall } from './fetch-small.ts'
import type { Progress } from './progress.ts'
import type { Pulls } from './relay/pulls.ts'
import type { Upstream } from './upstream.ts'

export interface CopyFilesParts extends FetchSmallParts {
  readonly upstream: Pick<Upstream, 'blobs'>
  /** Large files. */
  readonly pulls: Pick<Pulls, 'bring'>
  readonly pool: Pick<Pool, 'putAll' | 'absent'>
  readonly clock: Pick<Clock, 'monotonic'>
  readonly progress: Pick<Progress, 'files'>
}

/** Files that are looked up together. */
const LOOKED_UP = 5_000

export class FileCopies {
  readonly #parts: CopyFilesParts
  readonly #lanes: Lanes
  readonly #unseen = new Map<Digest, Stored>()
  /** Asked for and not here yet: another release may name them, too. */
  readonly #coming = new Set<Digest>()
  #batch: Digest[] = []
  #batchBytes = 0

  constructor(parts: CopyFilesParts, lanes: Lanes) {
    this.#parts = parts
    this.#lanes = lanes
  }

  async add(files: readonly Stored[]): Promise<void> {
    const pace = slices(this.#parts.clock)
    for (const file of files) {
      this.#unseen.set(file.digest, file)
      if (this.#unseen.size >= LOOKED_UP) await this.#look()
      const pause = pace.breathe()
      if (pause !== undefined) await pause
    }
  }

  /** Starts to bring all that was added. */
  async flush(): Promise<void> {
    await this.#look()
    await this.#send()
  }

  async #look(): Promise<void> {
    const files = [...this.#unseen.values()].filter(({ digest }) => !this.#coming.has(digest))
    this.#unseen.clear()
    const absent = new Set(await this.#parts.pool.absent(files))
    for (const file of files) {
      if (!absent.has(file.digest)) continue
      this.#coming.add(file.digest)
      this.#parts.progress.files.need(1, file.size)
      await (file.size > LIMITS.smallBlobBytes ? this.#bringLarge(file) : this.#bringSmall(file))
    }
  }

  async #bringLarge(file: Stored): Promise<void> {
    await this.#lanes.start(async (signal) => {
      await this.#parts.pulls.bring(file, this.#parts.progress.files, signal)
      this.#coming.delete(file.digest)
    })
  }

  async #bringSmall({ digest, size }: Stored): Promise<void> {
    if (this.#batchBytes + size > LIMITS.replicationBytes) await this.#send()
    this.#batch.push(digest)
    this.#batchBytes += size
    if (this.#batch.length >= LIMITS.replicationBatch) await this.#send()
  }

  async #send(): Promise<void> {
    const batch = this.#batch
    this.#batch = []
    this.#batchBytes = 0
    if (batch.length === 0) return
    const counter = this.#parts.progress.files
    await this.#lanes.start(async (signal) => {
      const [absent] = await fetchSmall(this.#parts, batch, { counter }, signal)
      if (absent !== undefined) throw failure('blob-unavailable', { digest: absent })
      for (const digest of batch) this.#coming.delete(digest)
    })
  }
}
