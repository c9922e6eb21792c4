/**
 * Whether there is room on the disk: asked before anything is written, so that a full disk refuses uploads and
 * nothing else (P5, DESIGN §4). Pool and ledger ask the same one, for they share the disk and its reserve.
 *
 * Uploads leave a reserve, in which a commit, a sweep or a delete still finds room. Asking the file system costs a
 * trip to a thread, so one answer serves for a while: until `FRESH_MS` are over, or until half of what it promised is
 * claimed. What that may get wrong (others who write to the same disk within that time) is small against the reserve,
 * and so takes from the reserve and from nothing else.
 *
 * A claim counts until its write has ended and the file system was asked after that: before, its answer may know of the
 * bytes or not. So close to the bound a claim may be refused for which there is just room; never the other way round.
 */
import { statfs } from 'node:fs/promises'
import { failure } from '../model/errors.ts'
import type { Inodes } from '../model/failures.ts'
import { LIMITS } from '../model/limits.ts'
import type { Clock } from '../model/world.ts'
import { codeOf } from './durable.ts'

/** What is free, in bytes and in inodes; infinitely many inodes where the file system does not count them. */
export interface Free {
  readonly bytes: number
  readonly files: number
}

/** What bytes are for: a commit ends something that was let in before, and so may take from the reserve of a full disk. */
export type Purpose = 'upload' | 'commit'

export interface Need {
  readonly bytes: number
  readonly files?: number
  /**
   * Bytes that nothing uses inside the LMDB file where rows are to go: it never shrinks, and they may go where others
   * were removed. Asked only when the disk alone has too little.
   */
  readonly inside?: () => number
  readonly purpose: Purpose
}

export interface RoomParts {
  readonly clock: Pick<Clock, 'monotonic'>
  /** Asks the file system. */
  readonly measure: () => Promise<Free>
}

type Amount = Pick<Need, 'bytes' | 'files'>

const NOTHING: Free = { bytes: 0, files: 0 }
const FRESH_MS = 1_000
const MDB_MAP_FULL = -30_792
const EIO = 5
/** ENOSPC and EDQUOT, as Node names them and as lmdb gives them. */
const FULL: ReadonlySet<string | number | undefined> = new Set(['ENOSPC', 'EDQUOT', 28, 122, MDB_MAP_FULL])

export class DiskRoom {
  readonly #parts: RoomParts
  #free: Free = { bytes: 0, files: 0 }
  #measuredMs = Number.NEGATIVE_INFINITY
  #measuring: Promise<void> | undefined
  /** Claims whose writes are under way. */
  #open: Free = NOTHING
  /** Claims whose writes have ended since the file system was asked. */
  #ended: Free = NOTHING

  constructor(parts: RoomParts) {
    this.#parts = parts
  }

  /** That of the file system on which the folder lies. */
  static on(folder: string, clock: RoomParts['clock']): DiskRoom {
    return new DiskRoom({ clock, measure: async () => await freeOn(folder) })
  }

  /** Keeps room for what `work` writes, until it has ended. Fails with `disk-full` before it begins. */
  async claim<Result>(need: Need, work: () => Promise<Result>): Promise<Result> {
    if (!this.#isCertain(need)) await this.#measureOnce()
    this.#refuseUnless(need)
    this.#open = sum(this.#open, need)
    try {
      return await work()
    } finally {
      this.#open = difference(this.#open, need)
      this.#ended = sum(this.#ended, need)
    }
  }

  /** For what is announced and will be claimed when it comes. Fails with `disk-full`. */
  async demand(bytes: number, purpose: Purpose = 'upload'): Promise<void> {
    const need: Need = { bytes, purpose }
    if (!this.#isCertain(need)) await this.#measureOnce()
    this.#refuseUnless(need)
  }

  /** The error as it should be told: `disk-full` when it comes from a full disk, else itself. */
  async explain(error: unknown, needed: number): Promise<unknown> {
    const code = codeOf(error)
    if (!isFull(error) && code !== EIO) return error
    await this.#measureOnce()
    // A short write is all that LMDB notices of a full disk, and it calls that EIO, like a broken disk.
    if (code === EIO && this.#free.bytes >= LIMITS.diskReserveBytes) return error
    const inodes = this.#free.files === 0 ? { inodes: this.#inodes() } : {}
    return failure('disk-full', { free: this.#free.bytes, needed, ...inodes }, { cause: error })
  }

  async explained<Result>(work: Promise<Result>, needed: number): Promise<Result> {
    try {
      return await work
    } catch (error) {
      throw await this.explain(error, needed)
    }
  }

  /** Whether there is room without asking again. */
  #isCertain(need: Need): boolean {
    return this.#parts.clock.monotonic() - this.#measuredMs < FRESH_MS && this.#hasRoom(need, 2)
  }

  #refuseUnless(need: Need): void {
    if (!this.#hasRoom(need, 1)) throw this.#refusal(need)
  }

  #measureOnce(): Promise<void> {
    this.#measuring ??= this.#measure().finally(() => {
      this.#measuring = undefined
    })
    return this.#measuring
  }

  async #measure(): Promise<void> {
    const known = this.#ended
    this.#free = await this.#parts.measure()
    this.#ended = difference(this.#ended, known)
    this.#measuredMs = this.#parts.clock.monotonic()
  }

  /** Whether `times` the need fits beside what is claimed already. */
  #hasRoom(need: Need, times: 1 | 2): boolean {
    const { bytes, files = 0, purpose } = need
    const share = purpose === 'upload' ? 1 : 0
    const claimed = sum(this.#open, this.#ended)
    const bytesLeft = this.#free.bytes - share * LIMITS.diskReserveBytes - times * claimed.bytes
    const filesLeft = this.#free.files - share * LIMITS.diskReserveInodes - times * claimed.files
    if (files > 0 && times * files > filesLeft) return false
    return times * bytes <= bytesLeft || times * bytes <= bytesLeft + this.#usableInside(need)
  }

  /**
   * LMDB wants a value's pages side by side, so free ones may be of no use and the file grows all the same. Uploads
   * may count on them only while half of the reserve is there to bear that.
   */
  #usableInside({ inside, purpose }: Need): number {
    const bearable = purpose === 'commit' || this.#free.bytes >= LIMITS.diskReserveBytes / 2
    return inside !== undefined && bearable ? inside() : 0
  }

  #refusal({ bytes, files = 0 }: Need): Error {
    const { bytes: free, files: inodes } = this.#free
    if (files > 0 && inodes < LIMITS.diskReserveInodes + files)
      return failure('disk-full', { free, needed: bytes, inodes: this.#inodes() })
    const cause = new Error(`${LIMITS.diskReserveBytes} bytes are kept in reserve`)
    return failure('disk-full', { free, needed: bytes }, { cause })
  }

  #inodes(): Inodes {
    return { free: this.#free.files, reserve: LIMITS.diskReserveInodes }
  }
}

/** Whether the disk, or what its user may have of it, is full. */
export function isFull(error: unknown): boolean {
  return FULL.has(codeOf(error))
}

function sum(a: Amount, b: Amount): Free {
  return { bytes: a.bytes + b.bytes, files: (a.files ?? 0) + (b.files ?? 0) }
}

function difference(a: Amount, b: Amount): Free {
  return { bytes: a.bytes - b.bytes, files: (a.files ?? 0) - (b.files ?? 0) }
}

async function freeOn(path: string): Promise<Free> {
  const { bavail, bsize, files, ffree } = await statfs(path)
  // File systems that make inodes as they need them count none.
  return { bytes: bavail * bsize, files: files === 0 ? Number.POSITIVE_INFINITY : ffree }
}
