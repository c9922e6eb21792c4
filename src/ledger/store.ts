/**
 * The tables of the ledger, and how their rows are written: several together, all or nothing. What a promise means, and
 * when a row can be read, is said in `disk/environment.ts`.
 *
 * Rows of stages may be millions, so whoever adds to a stage claims the room first. Whatever ends something (a flip, a
 * close, an outcome, a sweep) claims nothing: it may take from the reserve of a full disk.
 */
import { strict as assert } from 'node:assert'
import { Environment, type EnvironmentSize, KEY_BYTES, type LmdbTable } from '../disk/environment.ts'
import type { DiskRoom, Purpose } from '../disk/room.ts'
import { costOf } from '../disk/row-cost.ts'

export type Table = LmdbTable<Buffer>

/** A row to put, or without a value to take away. */
export type Row = readonly [table: Table, key: Buffer, value: Buffer | undefined]

/** The value of a row whose key says it all. */
export const PRESENT: Buffer = Buffer.of(1)

/** The room on the disk, which the ledger shares with the pool. */
export type Room = Pick<DiskRoom, 'claim' | 'explain'>

export const FILE = 'ledger.lmdb'

/** What a transaction that looks first may write: some rows of each table, or a group of a log that is adopted. */
const PLAN_BYTES = 786_432

const NAMES = [
  'marks', // 'head' -> number of the head, 'access' -> edition of the tokens, 'access-forgotten', and those of `lineage/`
  'log', // number -> gid, signatures, newline, canonical bytes of the record
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
  'ring', // 'kept' -> key ring
  'followers', // id -> node that follows
] as const

export type Tables = Readonly<Record<(typeof NAMES)[number], Table>>

export class Store implements AsyncDisposable {
  readonly tables: Tables
  readonly #environment: Environment
  readonly #room: Room

  private constructor(environment: Environment, room: Room) {
    this.#environment = environment
    this.#room = room
    this.tables = Object.fromEntries(NAMES.map((name) => [name, environment.table<Buffer>(name)])) as Tables
  }

  /** Fails with `data-unusable`, or with `disk-full` when a new ledger has no room. */
  static async open(folder: string, room: Room): Promise<Store> {
    return new Store(await Environment.open({ folder, file: FILE, room }), room)
  }

  /**
   * Keeps room for these rows until `work`, which writes them, has ended. Fails with `disk-full` when they would take
   * what is kept for commits. What is taken away needs no room.
   */
  async claim(rows: readonly Row[], work: () => Promise<void>): Promise<void> {
    const bytes = costOfRows(rows.filter(([, , value]) => value !== undefined))
    if (bytes === 0) return await work()
    await this.#room.claim(
      { bytes, inside: () => this.#environment.spare('upload'), purpose: 'upload' },
      work,
    )
  }

  /** Puts and takes away rows in one transaction. For what is claimed the purpose is `upload`. Fails with `disk-full`. */
  async write(rows: readonly Row[], purpose: Purpose = 'commit'): Promise<void> {
    assertFit(rows)
    await this.#environment.batch(() => apply(rows), { bytes: costOfRows(rows), purpose })
  }

  /**
   * One transaction that looks first: `plan` reads, checks, and gives the rows. What it throws leaves everything as it
   * was. It runs while no other transaction does, so it must be short.
   */
  async transact(plan: () => readonly Row[]): Promise<void> {
    const work = (): void => {
      const rows = plan()
      assertFit(rows)
      apply(rows)
    }
    await this.#environment.transact(work, { bytes: PLAN_BYTES, purpose: 'commit' })
  }

  sizes(): EnvironmentSize {
    return this.#environment.size()
  }

  /** Waits for what is under way; whoever comes later gets `draining`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#environment.close()
  }
}

function costOfRows(rows: readonly Row[]): number {
  const lengths = new Map<Table, number[]>()
  for (const [table, key, value] of rows) {
    const own = lengths.get(table) ?? []
    if (own.length === 0) lengths.set(table, own)
    own.push(value === undefined ? 0 : key.length + value.length)
  }
  return [...lengths].reduce((sum, [table, own]) => sum + costOf(table, own), 0)
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
