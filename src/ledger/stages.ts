/**
 * Stages: open ones in one table, ended ones in another until they are forgotten.
 *
 * The time at which a stage expires moves with every request, so it is kept in memory and written at most once a
 * minute. What a crash loses of it is made good at the next start, when every open stage gets that minute back, and
 * at least a minute from now: a stage that is in use never expires.
 */
import { strict as assert } from 'node:assert'
import { failure } from '../model/errors.ts'
import { LIMITS } from '../model/limits.ts'
import type { Clock, Log } from '../model/world.ts'
import { isStageId, stageKey, timeKey } from './keys.ts'
import type { Closing, Stage, StageId, Stages } from './ledger.ts'
import type { LmdbOutcomes } from './outcomes.ts'
import { PRESENT, type Row, type Store, type Tables } from './store.ts'
import type { Sweep } from './sweep.ts'
import type { Turns } from './turns.ts'

/** A stage as it is stored: with the number of its changes, and of the blobs it leased. */
export interface StoredStage {
  readonly stage: Stage
  readonly changes: number
  readonly leases: number
}

/** As it is in the table: a stage that an older depot has opened does not say how many leases it has. */
type StageRow = Omit<StoredStage, 'leases'> & Partial<Pick<StoredStage, 'leases'>>

export interface StageParts {
  readonly store: Store
  readonly turns: Turns
  readonly sweep: Sweep
  readonly outcomes: LmdbOutcomes
  readonly clock: Clock
  readonly log: Pick<Log, 'warn'>
}

/** How an open stage ends. */
type StageEnd = Required<Pick<Stage, 'state'>> & Pick<Stage, 'committed'>

interface Touch {
  readonly expiresMs: number
  /** When it was last written, by the clock that never goes back. */
  readonly savedAt: number
}

const SAVED_EVERY_MS = 60_000

export class LmdbStages implements Stages {
  readonly #parts: StageParts
  readonly #tables: Tables
  readonly #touched = new Map<StageId, Touch>()
  /** With those that are being written. */
  readonly #leases = new Map<StageId, number>()

  constructor(parts: StageParts) {
    this.#parts = parts
    this.#tables = parts.store.tables
    const now = parts.clock.now()
    for (const { id, expiresMs } of this.listOpen())
      this.#touched.set(id, {
        expiresMs: Math.max(expiresMs, now) + SAVED_EVERY_MS,
        savedAt: Number.NEGATIVE_INFINITY,
      })
  }

  async open(stage: Stage): Promise<void> {
    const key = stageKey(stage.id)
    assert(stage.state === 'open', 'a stage begins open')
    await this.#parts.store.transact(() => {
      const { stages, ended, sweeps } = this.#tables
      const taken = [stages, ended, sweeps].some((table) => table.doesExist(key))
      assert(!taken, `stage ${stage.id} was there before`)
      if (stages.getKeysCount() >= LIMITS.openStages)
        throw failure('limit-exceeded', { what: 'open stages', limit: LIMITS.openStages })
      return [[stages, key, encode({ stage, changes: 0, leases: 0 })]]
    })
  }

  get(id: StageId): Stage | undefined {
    return this.find(id)?.stage
  }

  listOpen(): readonly Stage[] {
    const stages = [...this.#tables.stages.getRange()].map(({ value }) => this.#decode(value).stage)
    return stages.sort((a, b) => a.createdMs - b.createdMs)
  }

  touch(id: StageId, expiresMs: number): void {
    if (!this.isOpen(id)) return
    const now = this.#parts.clock.monotonic()
    const savedAt = this.#touched.get(id)?.savedAt ?? Number.NEGATIVE_INFINITY
    const due = now - savedAt >= SAVED_EVERY_MS
    this.#touched.set(id, { expiresMs, savedAt: due ? now : savedAt })
    if (due) void this.#save(id)
  }

  async close(
    id: StageId,
    state: 'aborted' | 'expired' | 'committed',
    { committed, edition, idempotency }: Closing = {},
  ): Promise<void> {
    const { store, turns, sweep, clock, outcomes } = this.#parts
    assert((state === 'committed') === (committed !== undefined), 'a committed stage has its generation')
    await turns.alone(id, async () => {
      const { stage } = this.mustBeOpen(id)
      if (state === 'expired' && stage.expiresMs > clock.now()) return
      if (edition !== undefined && stage.edition !== edition) throw failure('stage-changed', { stage: id })
      await store.write([
        ...(idempotency === undefined ? [] : outcomes.rowsOf(idempotency)),
        ...(committed === undefined
          ? this.rowsOfEnd(stage, { state })
          : this.rowsOfEnd({ ...stage, base: committed }, { state, committed })),
      ])
      this.ended(id)
    })
    sweep.start()
  }

  /** The stage in whatever state, with the count of its changes. */
  find(id: StageId): StoredStage | undefined {
    if (!isStageId(id)) return undefined
    const key = stageKey(id)
    const value = this.#tables.stages.get(key) ?? this.#tables.ended.get(key)
    return value && this.#decode(value)
  }

  isOpen(id: StageId): boolean {
    return isStageId(id) && this.#tables.stages.doesExist(stageKey(id))
  }

  /** Fails with `stage-unknown` or `stage-expired`. */
  mustBeOpen(id: StageId): StoredStage {
    const found = this.find(id)
    if (found === undefined) throw failure('stage-unknown', { stage: id })
    const { state } = found.stage
    if (state !== 'open') throw failure('stage-expired', { stage: id, state })
    return found
  }

  rowOf(stored: StoredStage): Row {
    return [this.#tables.stages, stageKey(stored.stage.id), encode(stored)]
  }

  /**
   * Counts leases that the stage is about to get, or did not get after all, and gives the row that says so. Whoever
   * counts hands that row over at once, so that the last row has the last count. Two who lease the same blob at the same
   * moment count it twice. Fails with `limit-exceeded`.
   */
  countLeases(id: StageId, more: number): Row {
    const stored = this.mustBeOpen(id)
    const leases = (this.#leases.get(id) ?? stored.leases) + more
    if (leases > LIMITS.stageLeases)
      throw failure('limit-exceeded', {
        what: 'declared blobs of a stage',
        limit: LIMITS.stageLeases,
        found: leases,
      })
    this.#leases.set(id, leases)
    return this.rowOf({ ...stored, leases })
  }

  /** The rows that end a stage. What it holds is only marked here, for it may be millions of rows; the sweep drops it. */
  rowsOfEnd(stage: Stage, end: StageEnd): readonly Row[] {
    const { stages, ended, ages, sweeps } = this.#tables
    const key = stageKey(stage.id)
    return [
      [stages, key, undefined],
      [ended, key, encode({ stage: { ...stage, ...end }, changes: 0, leases: 0 })],
      [ages, Buffer.concat([timeKey(this.#parts.clock.now()), Buffer.from('s'), key]), PRESENT],
      [sweeps, key, PRESENT],
    ]
  }

  /** To be called when the end of a stage is durable. */
  ended(id: StageId): void {
    this.#touched.delete(id)
    this.#leases.delete(id)
  }

  /** Writes the times that were touched. What cannot be written stays in memory, and the log says so. */
  async save(): Promise<void> {
    await Promise.all([...this.#touched.keys()].map(async (id) => await this.#save(id)))
  }

  async #save(id: StageId): Promise<void> {
    const { store, turns, log } = this.#parts
    try {
      await turns.alone(id, async () => {
        if (this.isOpen(id)) await store.write([this.rowOf(this.mustBeOpen(id))])
      })
    } catch (error) {
      log.warn({ stage: id, error }, 'the time at which a stage expires was not written; it is in memory')
    }
  }

  #decode(value: Buffer): StoredStage {
    const { stage, changes, leases = 0 } = JSON.parse(value.toString()) as StageRow
    const touch = stage.state === 'open' ? this.#touched.get(stage.id) : undefined
    const found = touch === undefined ? stage : { ...stage, expiresMs: touch.expiresMs }
    return { stage: found, changes, leases }
  }
}

function encode(stored: StoredStage): Buffer {
  return Buffer.from(JSON.stringify(stored))
}
