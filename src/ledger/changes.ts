/**
 * What stages change: rows of (stage, channel, key), written by LMDB's writer thread in one transaction.
 *
 * To count them, each row is looked up before it is written; that is right because a stage has one writer at a time.
 * Writes that meet while another one is under way go together into the next transaction, so that a hundred requests
 * that add to one stage cost a few flushes and not a hundred.
 */
import { setImmediate } from 'node:timers/promises'
import { failure } from '../model/errors.ts'
import { LIMITS } from '../model/limits.ts'
import { type Slices, slices } from '../model/slice.ts'
import type { Clock } from '../model/world.ts'
import { after, changeKey, channelAndKeyIn, stageKey, within } from './keys.ts'
import type { ChangeRow, Changes, StageId } from './ledger.ts'
import type { LmdbStages, StoredStage } from './stages.ts'
import type { Row, Store, Table } from './store.ts'
import type { Turns } from './turns.ts'

export interface ChangeParts {
  readonly store: Store
  readonly turns: Turns
  readonly stages: LmdbStages
  readonly clock: Clock
}

/** A call of `write` that waits for its turn. */
interface Waiting {
  readonly rows: readonly ChangeRow[]
  readonly done: PromiseWithResolvers<void>
}

/** A transaction while it is put together: what the stage will be, and the rows by their keys. */
interface Draft {
  readonly stage: StoredStage
  readonly rows: ReadonlyMap<string, Row>
}

/** Rows of several calls that go in one transaction. */
const GROUP_ROWS = 5_000

export class LmdbChanges implements Changes {
  readonly #parts: ChangeParts
  readonly #table: Table
  readonly #waiting = new Map<StageId, Waiting[]>()

  constructor(parts: ChangeParts) {
    this.#parts = parts
    this.#table = parts.store.tables.changes
  }

  async write(stage: StageId, rows: readonly ChangeRow[]): Promise<void> {
    const call: Waiting = { rows, done: Promise.withResolvers() }
    const others = this.#waiting.get(stage)
    if (others === undefined) {
      this.#waiting.set(stage, [call])
      this.#queue(stage)
    } else others.push(call)
    await call.done.promise
  }

  get(stage: StageId, channel: string, key: string): string | undefined {
    if (!this.#parts.stages.isOpen(stage)) return undefined
    return this.#table.get(changeKey(stageKey(stage), channel, key))?.toString()
  }

  list(
    stage: StageId,
    last: Pick<ChangeRow, 'channel' | 'key'> | undefined,
    limit: number,
  ): readonly ChangeRow[] {
    if (!this.#parts.stages.isOpen(stage)) return []
    const prefix = stageKey(stage)
    const start = last === undefined ? prefix : after(changeKey(prefix, last.channel, last.key))
    const rows = this.#table.getRange({ ...within(prefix, start), limit })
    return [...rows].map(({ key, value }) => ({ ...channelAndKeyIn(key, prefix), value: value.toString() }))
  }

  count(stage: StageId): number {
    return this.#parts.stages.find(stage)?.changes ?? 0
  }

  #queue(stage: StageId): void {
    void this.#parts.turns.alone(stage, async () => await this.#writeGroup(stage, this.#take(stage)))
  }

  /** The calls that go together: the first, and more while the rows are few. The rest gets another turn. */
  #take(stage: StageId): readonly Waiting[] {
    const waiting = this.#waiting.get(stage) ?? []
    let rows = 0
    const tooMany = waiting.findIndex((call) => (rows += call.rows.length) > GROUP_ROWS)
    const group = waiting.splice(0, tooMany === -1 ? waiting.length : Math.max(tooMany, 1))
    if (waiting.length > 0) this.#queue(stage)
    else this.#waiting.delete(stage)
    return group
  }

  /** One transaction for all; each call fails for itself alone. */
  async #writeGroup(id: StageId, calls: readonly Waiting[]): Promise<void> {
    try {
      let draft: Draft = { stage: this.#parts.stages.mustBeOpen(id), rows: new Map() }
      for (const call of calls) draft = await this.#withCall(draft, call)
      await this.#writeRows([...draft.rows.values()], draft.stage)
      for (const { done } of calls) done.resolve()
    } catch (error) {
      for (const { done } of calls) done.reject(error)
    }
  }

  async #writeRows(rows: readonly Row[], stage: StoredStage): Promise<void> {
    const { store, stages } = this.#parts
    await store.claim(rows, async () => {
      // To hand over many rows is a slice of its own.
      if (rows.length > GROUP_ROWS) await setImmediate()
      await store.write([...rows, stages.rowOf(stage)], 'upload')
    })
  }

  /** The draft with the rows of one call, or without them when the call is refused. */
  async #withCall(draft: Draft, { rows, done }: Waiting): Promise<Draft> {
    try {
      const pace = slices(this.#parts.clock)
      const own = await this.#rowsOf(draft, rows, pace)
      const changes = draft.stage.changes + (await this.#growth(draft, own, pace))
      if (changes > LIMITS.stageChanges)
        throw failure('limit-exceeded', {
          what: 'changes of a stage',
          limit: LIMITS.stageChanges,
          found: changes,
        })
      const { stage } = draft.stage
      return {
        stage: { ...draft.stage, stage: { ...stage, edition: stage.edition + 1 }, changes },
        rows: draft.rows.size === 0 ? own : new Map([...draft.rows, ...own]),
      }
    } catch (error) {
      done.reject(error)
      return draft
    }
  }

  async #rowsOf(draft: Draft, rows: readonly ChangeRow[], pace: Slices): Promise<ReadonlyMap<string, Row>> {
    const prefix = stageKey(draft.stage.stage.id)
    const own = new Map<string, Row>()
    for (const { channel, key, value } of rows) {
      const bytes = changeKey(prefix, channel, key)
      own.set(`${channel}\0${key}`, [
        this.#table,
        bytes,
        value === undefined ? undefined : Buffer.from(value),
      ])
      const pause = pace.breathe()
      if (pause !== undefined) await pause
    }
    return own
  }

  /** How many rows more there will be. */
  async #growth(draft: Draft, own: ReadonlyMap<string, Row>, pace: Slices): Promise<number> {
    let growth = 0
    for (const [name, [, key, value]] of own) {
      const before = draft.rows.get(name)
      const was = before === undefined ? this.#table.doesExist(key) : before[2] !== undefined
      growth += Number(value !== undefined) - Number(was)
      const pause = pace.breathe()
      if (pause !== undefined) await pause
    }
    return growth
  }
}
