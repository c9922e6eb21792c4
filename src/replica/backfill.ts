/**
 * Generations that a replica has passed over: it jumps from one head to the newest, and knows of those between only
 * their records. They are copied when there is nothing else to do, the newest first, so that what is pinned to them can
 * be read also while the origin is away (PROTOCOL §4). Most of what they name is here already.
 *
 * Only so many before the head are looked at, and none is copied when the disk is full: that may wait for the next head.
 */
import type { Ledger } from '../ledger/ledger.ts'
import { isFailure } from '../model/errors.ts'
import type { Generation, Gid } from '../model/generation.ts'
import { LIMITS } from '../model/limits.ts'
import type { Room } from '../pool/pool.ts'
import { type CopyParts, copyGeneration } from './copy.ts'
import { Progress, type ProgressReport } from './progress.ts'

export interface BackfillParts extends CopyParts {
  readonly generations: Pick<Ledger['generations'], 'head' | 'list' | 'isHeld' | 'hold'>
  readonly room: Pick<Room, 'demand'>
}

export class Backfill {
  readonly #parts: BackfillParts
  /** What there was no use in trying again, at this head. */
  #given: Given | undefined

  constructor(parts: BackfillParts) {
    this.#parts = parts
  }

  /** The newest that is not here and may be had; undefined when there is none, or no room. */
  next(): Generation | undefined {
    const { generations } = this.#parts
    const head = generations.head()
    if (head === undefined) return undefined
    if (this.#given?.at !== head.gid) this.#given = { at: head.gid, absent: new Set(), isFull: false }
    const { absent, isFull } = this.#given
    if (isFull) return undefined
    return generations
      .list({ kind: 'newest' }, LIMITS.backfillGenerations)
      .find(({ gid, state }) => state === 'active' && !absent.has(gid) && !generations.isHeld(gid))
  }

  /**
   * Makes it complete here, and held. Why it cannot be, when there is no use in trying again soon. Fails as
   * `copyGeneration` does otherwise, and when the signal is aborted; what came until then is kept.
   */
  async bring(
    { gid, record }: Generation,
    signal: AbortSignal,
    onBrought: (report: ProgressReport) => void = () => undefined,
  ): Promise<Error | undefined> {
    const { generations, room } = this.#parts
    const head = generations.head()
    try {
      await room.demand(LIMITS.replicationBytes)
      const wanted = { metaset: record.metaset, held: head?.record.metaset }
      const progress = new Progress(gid)
      await copyGeneration(this.#parts, wanted, progress, signal)
      await generations.hold(gid)
      onBrought(progress.report())
      return undefined
    } catch (error) {
      const isFull = isFailure(error, 'disk-full')
      if (!isFull && !isFailure(error, 'blob-unavailable')) throw error
      this.#given?.absent.add(gid)
      if (this.#given !== undefined && isFull) this.#given.isFull = true
      return error
    }
  }
}

interface Given {
  readonly at: Gid
  /** Those that the upstream has not. */
  readonly absent: Set<Gid>
  isFull: boolean
}
