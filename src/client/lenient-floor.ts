/**
 * A floor that is kept where it can be, and in memory where the disk does not let it: a container may have no home, or
 * one that is read-only, and whoever only wants to read shall not need one (PROTOCOL §13).
 *
 * Only what the system refuses is passed over. A floor that is there and cannot be understood stays a failure, and what
 * was read before counts on.
 */
import { type DepotError, isFailure } from '../model/errors.ts'
import type { Gid } from '../model/generation.ts'
import { isSystemError } from './durable.ts'
import { type FloorStore, MemoryFloor } from './floor.ts'

/** Told once, with the failure that the kept floor would have ended with. */
export type WhenUnusable = (error: DepotError) => void

export class LenientFloor implements FloorStore {
  readonly #kept: FloorStore
  readonly #whenUnusable: WhenUnusable
  #seen: Gid | undefined
  /** In the place of the kept one, once that was of no use. */
  #memory: MemoryFloor | undefined

  constructor(kept: FloorStore, whenUnusable: WhenUnusable) {
    this.#kept = kept
    this.#whenUnusable = whenUnusable
  }

  async read(): Promise<Gid | undefined> {
    return await this.#where(async (store) => {
      this.#seen = await store.read()
      return this.#seen
    })
  }

  async replace(before: Gid | undefined, floor: Gid): Promise<boolean> {
    return await this.#where(async (store) => await store.replace(before, floor))
  }

  async #where<Result>(work: (store: FloorStore) => Promise<Result>): Promise<Result> {
    if (this.#memory !== undefined) return await work(this.#memory)
    try {
      return await work(this.#kept)
    } catch (error) {
      if (!isFailure(error, 'data-unusable') || !isSystemError(error.cause)) throw error
      return await work(this.#forget(error))
    }
  }

  /** Of several who fail at the same time one tells of it, and all go on with one floor. */
  #forget(error: DepotError): FloorStore {
    if (this.#memory === undefined) {
      this.#memory = new MemoryFloor(this.#seen)
      this.#whenUnusable(error)
    }
    return this.#memory
  }
}
