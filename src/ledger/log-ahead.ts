/**
 * Records of a long chain, written into the log before the head comes to them: the transaction that moves the head holds
 * the event loop, and must stay short however many generations a replica has missed.
 *
 * Nobody sees what stands above the head (L1). What a crash leaves there may belong to a chain that nobody tells any
 * more, so it goes before anything else is written.
 */
import { setImmediate } from 'node:timers/promises'
import type { Link } from './chain.ts'
import { numberKey } from './keys.ts'
import type { Row, Store } from './store.ts'

/** Generations of one transaction, with two rows each: some milliseconds. */
const GROUP = 128

export interface AheadParts {
  readonly store: Store
  /** The number of the head as it is stored; -1 without one. */
  readonly headNumber: () => number
  /** The rows of a generation that is known and not held. */
  readonly rowsOf: (link: Link) => readonly Row[]
  readonly linkIn: (row: Buffer) => Link
}

export class LogAhead {
  readonly #parts: AheadParts

  constructor(parts: AheadParts) {
    this.#parts = parts
  }

  /** Writes all but the last few, which are for the transaction that moves the head; gives the number of the last. */
  async write(links: readonly Link[]): Promise<number | undefined> {
    const { store, rowsOf } = this.#parts
    let last: number | undefined
    for (let at = 0; at + GROUP < links.length; at += GROUP) {
      const group = links.slice(at, at + GROUP)
      await store.write(group.flatMap(rowsOf))
      last = group.at(-1)?.record.number
      await setImmediate()
    }
    return last
  }

  /** Takes away what stands above the head. What that is, the transaction says: the head may just have moved. */
  async drop(): Promise<void> {
    while (this.#rowsAbove().length > 0) {
      await this.#parts.store.transact(() => this.#rowsAbove().map(([table, key]) => [table, key, undefined]))
      await setImmediate()
    }
  }

  #rowsAbove(): readonly Row[] {
    const { store, headNumber, rowsOf, linkIn } = this.#parts
    const above = store.tables.log.getRange({ start: numberKey(headNumber() + 1), limit: GROUP })
    return [...above].flatMap(({ value }) => rowsOf(linkIn(value)))
  }
}
