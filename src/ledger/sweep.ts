/**
 * Takes away the rows of ended stages, a bounded batch at a time, so that neither the flip nor anybody else waits for
 * millions of them.
 *
 * The work list is the table `sweeps`, written by the transaction that ends the stage; what a crash leaves undone is
 * found there at the next start.
 */
import { setImmediate } from 'node:timers/promises'
import type { Log } from '../model/world.ts'
import { within } from './keys.ts'
import type { Row, Store, Table } from './store.ts'

/** Rows that go in one transaction. */
const BATCH = 1_000

export class Sweep {
  readonly #store: Store
  readonly #log: Pick<Log, 'warn'>
  #running: Promise<void> | undefined
  #due = false
  #stopped = false

  constructor(store: Store, log: Pick<Log, 'warn'>) {
    this.#store = store
    this.#log = log
  }

  /** To be called when a stage has ended; what failed before is tried again. */
  start(): void {
    this.#due = true
    this.#running ??= this.#run()
  }

  /** Resolves when nothing is left to do, or it could not be done. */
  async done(): Promise<void> {
    await this.#running
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
  }

  async #run(): Promise<void> {
    await setImmediate()
    while (this.#due) {
      this.#due = false
      await this.#sweep()
    }
    this.#running = undefined
  }

  async #sweep(): Promise<void> {
    try {
      for (let stage = this.#next(); stage !== undefined; stage = this.#next()) await this.#drop(stage)
    } catch (error) {
      this.#log.warn({ error }, 'the rows of ended stages are not dropped yet; it is tried again later')
    }
  }

  #next(): Buffer | undefined {
    if (this.#stopped) return undefined
    const [stage] = this.#store.tables.sweeps.getKeys({ limit: 1 })
    return stage
  }

  async #drop(stage: Buffer): Promise<void> {
    const { changes, wanted, leases, leased, sweeps } = this.#store.tables
    const plain =
      (table: Table) =>
      (key: Buffer): readonly Row[] => [[table, key, undefined]]
    const paired = (key: Buffer): readonly Row[] => [
      [leases, key, undefined],
      [leased, Buffer.concat([key.subarray(stage.length), stage]), undefined],
    ]
    await this.#dropAll(changes, stage, plain(changes))
    await this.#dropAll(wanted, stage, plain(wanted))
    await this.#dropAll(leases, stage, paired)
    if (!this.#stopped) await this.#store.write([[sweeps, stage, undefined]])
  }

  async #dropAll(table: Table, stage: Buffer, rowsOf: (key: Buffer) => readonly Row[]): Promise<void> {
    while (!this.#stopped) {
      const keys = [...table.getKeys({ ...within(stage), limit: BATCH })]
      if (keys.length === 0) return
      await this.#store.write(keys.flatMap(rowsOf))
    }
  }
}
