/**
 * The LMDB environment of the ledger: its tables, its transactions, and what their promises mean.
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
 * `eventTurnBatching: false`: with it on, lmdb-js rejects a promise that nobody can reach when a commit fails.
 */
import { strict as assert } from 'node:assert'
import { constants } from 'node:os'
import { type Database, open, type RootDatabase } from 'lmdb'
import { type DepotError, failure, isFailure } from '../model/errors.ts'
import { LIMITS } from '../model/limits.ts'
import { syncFile, syncFolder } from './durable.ts'
import { KEY_BYTES } from './keys.ts'
import { preparedLedgerFile, roomIn } from './ledger-file.ts'

export type Table = Database<Buffer, Buffer>

/** A row to put, or without a value to take away. */
export type Row = readonly [table: Table, key: Buffer, value: Buffer | undefined]

/** The value of a row whose key says it all. */
export const PRESENT: Buffer = Buffer.of(1)

const NAMES = [
  'marks', // 'head' -> number of the head
  'log', // number -> gid, newline, canonical bytes of the record
  'times', // created -> number
  'lineages', // id -> lineage
  'stages', // stage -> open stage
  'ended', // stage -> ended stage
  'changes', // stage, channel, NUL, key -> change
  'wanted', // stage, manifest, digest
  'leases', // stage, digest
  'leased', // digest, stage
  'sweeps', // ended stages that have rows still
  'outcomes', // hash of token, stage, key -> idempotency record
  'ages', // time, kind, key: what is forgotten after a while
  'tokens', // id -> token
  'usage', // id -> bytes uploaded
] as const

export type Tables = Readonly<Record<(typeof NAMES)[number], Table>>

const BYTES = { keyEncoding: 'binary', encoding: 'binary' } as const
const { EDQUOT, EIO, ENOSPC } = constants.errno
const MDB_MAP_FULL = -30_792
const FULL: readonly unknown[] = [ENOSPC, EDQUOT, MDB_MAP_FULL]

export class Environment implements AsyncDisposable {
  readonly tables: Tables
  readonly #folder: string
  readonly #root: RootDatabase<Buffer, Buffer>
  /** What was promised and is not settled, and how to reject it. */
  readonly #waiting = new Map<Promise<void>, (error: Error) => void>()
  #end: DepotError | undefined

  private constructor(folder: string, root: RootDatabase<Buffer, Buffer>) {
    this.#folder = folder
    this.#root = root
    this.tables = Object.fromEntries(NAMES.map((name) => [name, root.openDB(name, BYTES)])) as Tables
  }

  /** Fails with `data-unusable`, or with `disk-full` when a new ledger has no room. */
  static async open(folder: string): Promise<Environment> {
    let root: RootDatabase<Buffer, Buffer> | undefined
    try {
      const path = await preparedLedgerFile(folder)
      root = open<Buffer, Buffer>(path, {
        ...BYTES,
        overlappingSync: false,
        eventTurnBatching: false,
        maxDbs: 2 * NAMES.length,
      })
      const environment = new Environment(folder, root)
      await syncFile(path)
      await syncFolder(folder)
      return environment
    } catch (cause) {
      await root?.close()
      if (isFailure(cause)) throw cause
      throw failure('data-unusable', { folder, reason: `ledger.lmdb: ${messageOf(cause)}` }, { cause })
    }
  }

  /** Puts and takes away rows in one transaction. LMDB's writer thread does it; the caller only hands them over. */
  async write(rows: readonly Row[]): Promise<void> {
    this.#assertOpen()
    assertFit(rows)
    await this.#settled(this.#root.batch(() => apply(rows)))
  }

  /**
   * One transaction that looks first: `plan` reads, checks, and gives the rows. What it throws leaves everything as it
   * was. It runs while no other transaction does, so it must be short.
   */
  async transact(plan: () => readonly Row[]): Promise<void> {
    this.#assertOpen()
    const work = (): void => {
      const rows = plan()
      assertFit(rows)
      apply(rows)
    }
    await this.#settled(this.#root.transaction(work))
  }

  /** Waits for what is under way; whoever comes later gets `draining`. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#end !== undefined) return
    this.#end = failure('draining', {})
    await Promise.allSettled(this.#waiting.keys())
    await this.#root.close()
  }

  #assertOpen(): void {
    if (this.#end !== undefined) throw this.#end
  }

  /** What was promised, or why it failed, or that the environment died meanwhile. */
  #settled(done: Promise<unknown>): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiting.set(promise, reject)
    done
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
    if (!this.#answers()) return this.#lost(cause)
    const { free, scarce } = await roomIn(this.#folder)
    if (FULL.includes(codeOf(cause)) || (scarce && codeOf(cause) === EIO))
      return failure('disk-full', { free, needed: LIMITS.diskReserveBytes }, { cause })
    return failure('data-unusable', { folder: this.#folder, reason: messageOf(cause) }, { cause })
  }

  /** Whether the environment still works: LMDB gives it up when it could not write a meta page. */
  #answers(): boolean {
    try {
      this.#root.resetReadTxn() // one that is open already would still read
      this.tables.marks.get(PRESENT)
      return true
    } catch {
      return false
    }
  }

  /** lmdb-js never settles the promises of an environment that was given up; so they are settled here. */
  #lost(cause: unknown): DepotError {
    const reason = `the disk failed while the ledger was written (${messageOf(cause)}); check it and start again`
    this.#end = failure('data-unusable', { folder: this.#folder, reason }, { cause })
    for (const reject of this.#waiting.values()) reject(this.#end)
    return this.#end
  }
}

/** lmdb-js would refuse such a key half-way through the rows. */
function assertFit(rows: readonly Row[]): void {
  const fits = rows.every(([, key]) => key.length > 0 && key.length <= KEY_BYTES)
  assert(fits, `a key has 1 to ${KEY_BYTES} bytes`)
}

function apply(rows: readonly Row[]): void {
  for (const [table, key, value] of rows) {
    if (value === undefined) void table.remove(key)
    else void table.put(key, value)
  }
}

async function reasonOf(commitError: unknown): Promise<unknown> {
  try {
    return await commitError
  } catch (reason) {
    return reason
  }
}

function codeOf(cause: unknown): unknown {
  return cause instanceof Error && 'code' in cause ? cause.code : undefined
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
