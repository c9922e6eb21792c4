/**
 * An LMDB environment, one file with several tables, and what its promises mean (DESIGN §4).
 *
 * Read in lmdb-js 3.5.6 (`writer.cpp`, `mdb.c`) and seen with strace, for `overlappingSync: false`: a commit writes the
 * pages, calls fdatasync, writes the meta page through a descriptor opened with O_DSYNC, and only then moves the number
 * by which readers, those of this process too, choose what they see. So nothing is visible before it is durable, and a
 * promise resolves after both (`flushed` then adds nothing). With the default, `overlappingSync: true`, the meta page
 * comes first: with a disk that took 300 ms to sync, a read in the same process saw a write 300 ms before it was durable.
 *
 * A process that is killed between the two writes of a commit leaves pages that the kernel has and the disk has not;
 * `open` syncs the file before anybody reads it.
 *
 * `eventTurnBatching: false`: with it on, lmdb-js rejects a promise that nobody can reach when a commit fails. The
 * batches that come while a commit is under way share the next one all the same.
 */
import { join } from 'node:path'
import { type Database, open, type RootDatabase } from 'lmdb'
import { type DepotError, failure, isFailure } from '../model/errors.ts'
import { Durable, nodeFiles } from './durable.ts'
import { Headroom, type Load } from './headroom.ts'
import { prepareLmdbFile } from './lmdb-file.ts'
import type { DiskRoom, Purpose } from './room.ts'
import { type Pages, pagesOf } from './row-cost.ts'

/** A table: bytes under bytes, in the order of keys. */
export type LmdbTable<Bytes extends Uint8Array = Uint8Array> = Database<Bytes, Bytes>

/** What LMDB takes with pages of 4 KiB, as lmdb-js bounds it. A longer key it would refuse half-way through a batch. */
export const KEY_BYTES = 1_978

type Root = RootDatabase<Uint8Array, Uint8Array>

export interface EnvironmentParts {
  readonly folder: string
  readonly file: string
  readonly room: Pick<DiskRoom, 'explain'>
}

/** How much there is, without reading it. */
export interface EnvironmentSize {
  /** Bytes of the file, also those that nothing uses. */
  readonly fileBytes: number
  readonly usedBytes: number
  readonly tables: Readonly<Record<string, TableSize>>
}

export interface TableSize {
  readonly rows: number
  readonly pages: number
}

const BINARY = { encoding: 'binary', keyEncoding: 'binary' } as const
const MAX_TABLES = 32
const META_PAGES = 2
/** Address space and no memory; where it does not suffice, lmdb-js maps the file anew at twice the size. */
const MAP_BYTES = 1_073_741_824
const PROBE = Buffer.of(0)

export class Environment {
  readonly #parts: EnvironmentParts
  readonly #root: Root
  readonly #headroom: Headroom
  readonly #tables = new Map<string, Pick<LmdbTable, 'getStats' | 'doesExist'>>()
  /** What was promised and is not settled, and how to reject it. */
  readonly #waiting = new Map<Promise<void>, (error: Error) => void>()
  /** Promises of lmdb-js that are not settled. */
  #unsettled = 0
  #end: DepotError | undefined
  #closing: Promise<void> | undefined

  private constructor(parts: EnvironmentParts, root: Root, headroom: Headroom) {
    this.#parts = parts
    this.#root = root
    this.#headroom = headroom
  }

  /** Fails with `data-unusable`, or with `disk-full` when a new one has no room. */
  static async open(parts: EnvironmentParts): Promise<Environment> {
    const { folder, file } = parts
    const path = join(folder, file)
    let root: Root | undefined
    try {
      await prepareLmdbFile(path)
      const opened: Root = open(optionsAt(path))
      root = opened
      const durable = new Durable(nodeFiles)
      await durable.sync(path, 'old')
      await durable.sync(folder, 'folder')
      return new Environment(parts, opened, await Headroom.of(path, () => endIn(statsOf(opened))))
    } catch (cause) {
      await root?.close()
      if (isFailure(cause)) throw cause
      throw failure('data-unusable', { folder, reason: `${file}: ${messageOf(cause)}` }, { cause })
    }
  }

  table<Bytes extends Uint8Array>(name: string): LmdbTable<Bytes> {
    const table = this.#root.openDB<Bytes, Bytes>({ ...BINARY, name })
    this.#tables.set(name, table as unknown as LmdbTable)
    return table
  }

  size(): EnvironmentSize {
    const root = statsOf(this.#root)
    const stats = [...this.#tables].map(([name, table]) => [name, table.getStats() as Pages] as const)
    const pages = stats.reduce((sum, [, table]) => sum + pagesOf(table), pagesOf(root) + pagesOf(root.free))
    return {
      fileBytes: endIn(root),
      usedBytes: (pages + META_PAGES) * root.pageSize,
      tables: Object.fromEntries(
        stats.map(([name, table]) => [name, { rows: table.entryCount, pages: pagesOf(table) }]),
      ),
    }
  }

  /**
   * Bytes of the file that are free for rows: pages that nothing uses, for LMDB never makes the file smaller and takes
   * from them first, and for a commit also what stands ready behind the last page.
   */
  spare(purpose: Purpose): number {
    const { fileBytes, usedBytes } = this.size()
    const ahead = purpose === 'commit' ? this.#headroom.left() : 0
    return Math.max(0, fileBytes - usedBytes) + Math.max(0, ahead)
  }

  /**
   * One transaction of everything that `fill` puts and removes, durable when it resolves. LMDB's writer thread does it;
   * the caller only hands the rows over. `load` is what it may write at most (`row-cost.ts`). Fails with `disk-full`.
   */
  async batch(fill: () => void, load: Load): Promise<void> {
    await this.#write(load, async () => await this.#root.batch(fill))
  }

  /** One transaction in which `work` reads and writes while no other one does, so it must be short. */
  async transact(work: () => void, load: Load): Promise<void> {
    await this.#write(load, async () => await this.#root.transaction(work))
  }

  /** Waits for what is under way; whoever comes later gets `draining`. */
  async close(): Promise<void> {
    await (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    this.#end ??= failure('draining', {})
    await Promise.allSettled(this.#waiting.keys())
    await this.#headroom.close()
    // lmdb-js waits for them as well, and when the environment was given up it would do so for ever.
    if (this.#unsettled === 0) await this.#root.close()
  }

  #assertOpen(): void {
    if (this.#end !== undefined) throw this.#end
  }

  /** In the order of calls. The list of free pages may be written once more as a whole. */
  async #write({ bytes, purpose }: Load, begin: () => Promise<unknown>): Promise<void> {
    this.#assertOpen()
    const { free, pageSize } = statsOf(this.#root)
    const load = { bytes: bytes + pagesOf(free) * pageSize, purpose }
    const work = async (): Promise<void> => {
      if (isFailure(this.#end, 'data-unusable')) throw this.#end
      await begin()
    }
    await this.#settled(this.#headroom.hold(load, work), bytes)
  }

  /** What was promised, or why it failed, or that the environment died meanwhile. */
  #settled(done: Promise<unknown>, bytes: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiting.set(promise, reject)
    this.#unsettled += 1
    done
      .finally(() => {
        this.#unsettled -= 1
      })
      .then(
        () => resolve(),
        async (error: unknown) => reject(await this.#explained(error, bytes)),
      )
      .finally(() => this.#waiting.delete(promise))
      .catch(reject)
    return promise
  }

  /** A failed commit rejects with an error that holds a promise that rejects with the reason. */
  async #explained(error: unknown, bytes: number): Promise<unknown> {
    if (!(error instanceof Error)) return error
    // What the file system said before it began, or what was thrown while it ran.
    if (!('commitError' in error)) return 'syscall' in error ? await this.#told(error, bytes) : error
    const cause = await reasonOf(error.commitError)
    return this.#answers() ? await this.#told(cause, bytes) : this.#lost(cause)
  }

  async #told(cause: unknown, bytes: number): Promise<DepotError> {
    const { room, folder, file } = this.#parts
    const told = await room.explain(cause, bytes)
    if (isFailure(told)) return told
    return failure('data-unusable', { folder, reason: `${file}: ${messageOf(cause)}` }, { cause })
  }

  /** Whether the environment still works: LMDB gives it up when it could not write a meta page. */
  #answers(): boolean {
    try {
      this.#root.resetReadTxn() // one that is open already would still read
      for (const table of this.#tables.values()) table.doesExist(PROBE)
      return true
    } catch {
      return false
    }
  }

  /** lmdb-js never settles the promises of an environment that was given up; so they are settled here. */
  #lost(cause: unknown): DepotError {
    const { folder, file } = this.#parts
    const reason = `the disk failed while ${file} was written (${messageOf(cause)}); check it and start again`
    this.#end = failure('data-unusable', { folder, reason }, { cause })
    for (const reject of this.#waiting.values()) reject(this.#end)
    return this.#end
  }
}

function statsOf(root: Root): RootStats {
  return root.getStats() as RootStats
}

/** In bytes: all that is behind it nobody has used. */
function endIn({ lastPageNumber, pageSize }: RootStats): number {
  return (lastPageNumber + 1) * pageSize
}

/** What `getStats` gives of the root, which the types of lmdb-js leave open. */
interface RootStats extends Pages {
  readonly lastPageNumber: number
  readonly free: Pages
}

/** `permissionsMode` is missing in the types of lmdb-js, so this is no literal where it is passed. */
function optionsAt(path: string): Parameters<typeof open<Uint8Array, Uint8Array>>[0] {
  const options = {
    ...BINARY,
    path,
    overlappingSync: false,
    eventTurnBatching: false,
    maxDbs: MAX_TABLES,
    mapSize: MAP_BYTES,
    permissionsMode: 0o600,
  }
  return options
}

async function reasonOf(commitError: unknown): Promise<unknown> {
  try {
    return await commitError
  } catch (reason) {
    return reason
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
