/**
 * The LMDB environment of the pool, one file with several tables, and what its promises mean (DESIGN §4).
 *
 * Read in lmdb-js 3.5.6 (`writer.cpp`, `mdb.c`) and seen with strace, for `overlappingSync: false`: a commit writes the
 * pages, calls fdatasync, writes the meta page through a descriptor opened with O_DSYNC, and only then shows the
 * transaction to readers and resolves its promise. So what was awaited is durable, and what can be read too. All of it
 * happens on a thread of libuv's pool; the caller only hands the rows over.
 *
 * `eventTurnBatching: false`: with it on, lmdb-js rejects a promise that nobody can reach when a commit fails. The
 * batches that come while a commit is under way share the next one all the same.
 */
import { join } from 'node:path'
import { open, type RootDatabase } from 'lmdb'
import { type DepotError, failure, isFailure } from '../../model/errors.ts'
import type { Slices } from '../../model/slice.ts'
import type { DiskRoom } from '../room.ts'
import { prepareLmdbFile } from './lmdb-file.ts'
import { type Pages, pagesOf, type Store, Table, type TableSize } from './table.ts'

export interface EnvironmentSize {
  /** Bytes of the file, also those that nothing uses. */
  readonly fileBytes: number
  readonly usedBytes: number
  readonly tables: Readonly<Record<string, TableSize>>
}

const FILE = 'pool.lmdb'
const BINARY = { encoding: 'binary', keyEncoding: 'binary' } as const
const MAX_TABLES = 8
const META_PAGES = 2
/** Address space and no memory; where it does not suffice, lmdb-js maps the file anew at twice the size. */
const MAP_BYTES = 1_073_741_824

export class Environment {
  readonly #folder: string
  readonly #root: RootDatabase<Uint8Array, Uint8Array>
  readonly #tables = new Map<string, { readonly store: Store; readonly table: Table }>()
  /** What was promised and is not settled, and how to reject it. */
  readonly #waiting = new Map<Promise<void>, (error: Error) => void>()
  #end: DepotError | undefined

  private constructor(folder: string, root: RootDatabase<Uint8Array, Uint8Array>) {
    this.#folder = folder
    this.#root = root
  }

  /** Fails with `data-unusable`, or with `disk-full` when a new one has no room. */
  static async open(folder: string): Promise<Environment> {
    const path = join(folder, FILE)
    // `permissionsMode` is missing in the types of lmdb-js.
    const options = {
      ...BINARY,
      path,
      overlappingSync: false,
      eventTurnBatching: false,
      maxDbs: MAX_TABLES,
      mapSize: MAP_BYTES,
      permissionsMode: 0o600,
    }
    try {
      await prepareLmdbFile(path)
      return new Environment(folder, open(options))
    } catch (cause) {
      if (isFailure(cause)) throw cause
      throw failure('data-unusable', { folder, reason: `${FILE}: ${String(cause)}` }, { cause })
    }
  }

  get path(): string {
    return join(this.#folder, FILE)
  }

  table(name: string, room: DiskRoom, slices: () => Slices): Table {
    const store: Store = this.#root.openDB<Uint8Array, Uint8Array>({ ...BINARY, name })
    const table = new Table({ store, room, slices, write: async (fill) => await this.#write(fill) })
    this.#tables.set(name, { store, table })
    return table
  }

  size(): EnvironmentSize {
    const root = this.#root.getStats() as RootStats
    const tables = [...this.#tables].map(([name, { table }]) => [name, table.size()] as const)
    const pages = tables.reduce((sum, [, size]) => sum + size.pages, pagesOf(root) + pagesOf(root.free))
    return {
      fileBytes: (root.lastPageNumber + 1) * root.pageSize,
      usedBytes: (pages + META_PAGES) * root.pageSize,
      tables: Object.fromEntries(tables),
    }
  }

  /** Waits for what is under way. */
  async close(): Promise<void> {
    if (this.#end !== undefined) return
    this.#end = failure('draining', {})
    await Promise.allSettled(this.#waiting.keys())
    await this.#root.close()
  }

  /** One transaction of everything that `fill` puts and removes; durable when it resolves. */
  #write(fill: () => void): Promise<void> {
    if (this.#end !== undefined) throw this.#end
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiting.set(promise, reject)
    this.#root
      .batch(fill)
      .then(
        () => resolve(),
        async (error: unknown) => reject(await this.#explained(error)),
      )
      .finally(() => this.#waiting.delete(promise))
      .catch(reject)
    return promise
  }

  /** A failed commit rejects with an error that holds a promise that rejects with the reason. */
  async #explained(error: unknown): Promise<unknown> {
    if (!(error instanceof Error) || !('commitError' in error)) return error
    const cause = await reasonOf(error.commitError)
    return this.#answers() ? cause : this.#lost(cause)
  }

  /** Whether the environment still works: LMDB gives it up when it could not write a meta page. */
  #answers(): boolean {
    try {
      for (const { store } of this.#tables.values()) store.doesExist(PROBE)
      return true
    } catch {
      return false
    }
  }

  /** lmdb-js never settles the promises of an environment that was given up; so they are settled here. */
  #lost(cause: unknown): DepotError {
    const reason = `the disk failed while ${FILE} was written (${String(cause)}); check it and start again`
    this.#end = failure('data-unusable', { folder: this.#folder, reason }, { cause })
    for (const reject of this.#waiting.values()) reject(this.#end)
    return this.#end
  }
}

const PROBE = Buffer.of(0)

/** What `getStats` gives of the root, which the types of lmdb-js leave open. */
interface RootStats extends Pages {
  readonly lastPageNumber: number
  readonly free: Pages
}

async function reasonOf(commitError: unknown): Promise<unknown> {
  try {
    return await commitError
  } catch (reason) {
    return reason
  }
}
