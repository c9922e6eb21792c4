/**
 * The rows of the log as they are read: by number, up or down, and never one that a fork has lost.
 *
 * A node that follows may have generations that its origin has lost in a restore, and has forked without (PROTOCOL §10).
 * With the flip to the new lineage they stand in a gap, whose ends are written in the same transaction: nobody sees them
 * from then on. They may be many, so their rows go later, in groups: before the next adoption, or when a process starts.
 */
import { setImmediate } from 'node:timers/promises'
import { numberKey, textKey } from '../keys.ts'
import type { Row, Store } from '../store.ts'

/** Numbers between two generations of which the one is the parent of the other; both ends are outside of it. */
export interface Gap {
  readonly after: number
  readonly before: number
}

const GAP = textKey('lost')
/** Generations of one transaction, with two rows each: some milliseconds. */
const GROUP = 128

export class LogRows {
  readonly #store: Store
  /** The rows of the log and of its times that a row of the log has made. */
  readonly #rowsOf: (value: Buffer) => readonly Row[]
  #gap: Gap | undefined

  constructor(store: Store, rowsOf: (value: Buffer) => readonly Row[]) {
    this.#store = store
    this.#rowsOf = rowsOf
    const gap = store.tables.marks.get(GAP)
    if (gap !== undefined) this.#gap = JSON.parse(gap.toString()) as Gap
  }

  /** Whether a number belongs to what was lost. */
  isLost(number: number): boolean {
    return this.#gap !== undefined && number > this.#gap.after && number < this.#gap.before
  }

  /** The newest number up to this one that is not lost. */
  standing(number: number): number {
    return this.#gap !== undefined && this.isLost(number) ? this.#gap.after : number
  }

  /** From this number on down, at most so many. */
  down(from: number, limit: number): readonly Buffer[] {
    const start = this.standing(from)
    const gap = this.#gap
    if (gap === undefined || start <= gap.after) return this.#range({ start, reverse: true, limit })
    const above = this.#range({ start, end: gap.before - 1, reverse: true, limit })
    const left = limit - above.length
    return left === 0 ? above : [...above, ...this.#range({ start: gap.after, reverse: true, limit: left })]
  }

  /** From this number on up to another one, both included, at most so many. */
  up(from: number, last: number, limit: number): readonly Buffer[] {
    const gap = this.#gap
    if (gap === undefined || from >= gap.before) return this.#range({ start: from, end: last + 1, limit })
    const below = from > gap.after ? [] : this.#range({ start: from, end: gap.after + 1, limit })
    const left = limit - below.length
    return left === 0 ? below : [...below, ...this.#range({ start: gap.before, end: last + 1, limit: left })]
  }

  /** The row that makes a gap, for the transaction that loses what is in it. */
  rowOf(gap: Gap): Row {
    return [this.#store.tables.marks, GAP, Buffer.from(JSON.stringify(gap))]
  }

  /** That transaction is durable: from now on nobody sees what is lost. */
  lose(gap: Gap): void {
    this.#gap = gap
  }

  /** Takes away what is lost, also what an earlier process has left of it. */
  async drop(): Promise<void> {
    while (this.#gap !== undefined) {
      const rows = this.#lostRows(this.#gap)
      if (rows.length > 0) await this.#store.write(rows)
      else {
        await this.#store.write([[this.#store.tables.marks, GAP, undefined]])
        this.#gap = undefined
      }
      await setImmediate()
    }
  }

  #lostRows({ after, before }: Gap): readonly Row[] {
    const values = this.#range({ start: after + 1, end: before, limit: GROUP })
    return values.flatMap(this.#rowsOf).flatMap(([table, key, value]): Row[] => {
      const isTime = table === this.#store.tables.times
      // Another generation may have been made at the same time of another clock.
      const isOther = isTime && value !== undefined && table.get(key)?.equals(value) !== true
      return isOther ? [] : [[table, key, undefined]]
    })
  }

  #range(range: {
    readonly start: number
    readonly end?: number
    readonly reverse?: boolean
    readonly limit: number
  }): readonly Buffer[] {
    const { start, end, reverse = false, limit } = range
    if (start < 0) return []
    const ends = end === undefined ? {} : { end: numberKey(end) }
    const rows = this.#store.tables.log.getRange({ start: numberKey(start), ...ends, reverse, limit })
    return Array.from(rows, ({ value }) => value)
  }
}
