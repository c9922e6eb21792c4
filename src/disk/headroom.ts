/**
 * Blocks that an LMDB file has ahead of its last page, so that LMDB itself never meets a full disk.
 *
 * When a page cannot be written, lmdb-js 3.5.6 tells why with `sprintf` into 100 bytes, which are too few (`mdb.c`,
 * `last_error`): the heap is damaged, and the process ends with SIGABRT then or later. So before a transaction begins,
 * the file has blocks for all that it may write, and some more: zeros behind the last page, which LMDB writes over.
 * Whoever fills the disk meanwhile takes nothing from a transaction that has begun, and commits go on for a while on a
 * disk without a free byte.
 *
 * LMDB never looks at what is behind its last page, and never makes the file shorter. A transaction makes the file grow
 * by at most what it writes (`row-cost.ts`). On a file system that copies on write (btrfs, ZFS) blocks that are there
 * already are no promise; there the reserve of `room.ts` is all there is.
 */
import { strict as assert } from 'node:assert'
import { constants, type FileHandle, open } from 'node:fs/promises'
import { isFull, type Purpose } from './room.ts'

/** What a transaction may write at most, and what for. */
export interface Load {
  readonly bytes: number
  readonly purpose: Purpose
}

const MIB = 1_048_576
/** A file has an eighth of its length ahead, within these bounds. */
const AHEAD_SHARE = 8
const AHEAD_LEAST = 2 * MIB
const AHEAD_MOST = 16 * MIB
/** Nobody gets the last of it: for what a transaction writes against all reckoning. */
const MARGIN = MIB / 4
const ZEROS = Buffer.alloc(MIB)

export class Headroom {
  readonly #file: FileHandle
  /** Where the pages of LMDB end. */
  readonly #endOfPages: () => number
  /** So many bytes of the file have blocks. */
  #backed: number
  /** What the transactions that are under way may write. */
  #open = 0
  /** Who waits for blocks, and everybody after them: transactions keep their order. */
  #waiting = 0
  #last: Promise<unknown> = Promise.resolve()

  private constructor(file: FileHandle, backed: number, endOfPages: () => number) {
    this.#file = file
    this.#backed = backed
    this.#endOfPages = endOfPages
  }

  /** `endOfPages` is in bytes. To be called while nobody writes; what else is to be written goes through `hold`. */
  static async of(path: string, endOfPages: () => number): Promise<Headroom> {
    const file = await open(path, constants.O_RDWR)
    try {
      const { size } = await file.stat()
      const headroom = new Headroom(file, Math.max(size, endOfPages()), endOfPages)
      await headroom.#prepare({ bytes: 0, purpose: 'commit' }).catch(unlessFull)
      return headroom
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /**
   * Begins `work`, a transaction, when the file has blocks for it: at once where it has, so in the order of calls. Fails
   * before it begins with what the file system says, as ENOSPC.
   */
  hold<Result>(load: Load, work: () => Promise<Result>): Promise<Result> {
    if (this.#waiting === 0 && this.#hasAhead(load.bytes, this.#endOfPages()))
      return this.#counted(load, work)
    this.#waiting += 1
    const begun = this.#last.then(async () => {
      try {
        await this.#prepare(load)
        return { done: this.#counted(load, work) } // the next one waits for its beginning alone
      } finally {
        this.#waiting -= 1
      }
    })
    this.#last = begun.catch(() => undefined)
    return begun.then(async ({ done }) => await done)
  }

  /** What another transaction may write. At least: what one has just written may count twice until its end is told. */
  left(end: number = this.#endOfPages()): number {
    return this.#backed - end - this.#open - MARGIN
  }

  async close(): Promise<void> {
    await this.#last
    await this.#file.close()
  }

  async #counted<Result>({ bytes }: Load, work: () => Promise<Result>): Promise<Result> {
    this.#open += bytes
    try {
      return await work()
    } finally {
      this.#open -= bytes
    }
  }

  /** Whether half of what is to be ahead would be left. */
  #hasAhead(bytes: number, end: number): boolean {
    return this.left(end) - bytes >= aheadOf(end) / 2
  }

  /** A full disk is no failure while there is enough: a commit may take the last of it, an upload half. */
  async #prepare({ bytes, purpose }: Load): Promise<void> {
    const end = this.#endOfPages()
    if (this.#hasAhead(bytes, end)) return
    try {
      await this.#extend(bytes, end)
    } catch (error) {
      const isEnough = purpose === 'upload' ? this.#hasAhead(bytes, this.#endOfPages()) : this.left() >= bytes
      if (!isFull(error) || !isEnough) throw error
    }
  }

  /** Gives the file blocks for so many bytes beside what is there. Never where a transaction may write meanwhile. */
  async #extend(bytes: number, end: number): Promise<void> {
    assert(this.#backed >= end, 'no transaction writes more than it said')
    const wanted = end + this.#open + MARGIN + bytes + aheadOf(end)
    while (this.#backed < wanted) {
      const length = Math.min(ZEROS.length, wanted - this.#backed)
      const { bytesWritten } = await this.#file.write(ZEROS, 0, length, this.#backed)
      this.#backed += bytesWritten
    }
  }
}

function aheadOf(endOfPages: number): number {
  return Math.min(Math.max(endOfPages / AHEAD_SHARE, AHEAD_LEAST), AHEAD_MOST)
}

function unlessFull(error: unknown): void {
  if (!isFull(error)) throw error
}
