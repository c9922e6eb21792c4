/**
 * Which rows of a stage have changed since its plan was made.
 *
 * A row counts from before it is written until a plan has seen it afterwards. So a plan never misses a row, wherever
 * between the ledger and whoever waits for it a write may be.
 */
import type { ChangeRow } from '../../ledger/ledger.ts'
import type { Key } from '../../metaset/key.ts'
import { LIMITS } from '../../model/limits.ts'
import { CHANNEL_KEY } from '../stage/change.ts'

export type RowName = Pick<ChangeRow, 'channel' | 'key'>

/** Keys by channel; undefined when they cannot be told, and everything must be looked at. */
export type TouchedKeys = ReadonlyMap<string, ReadonlySet<Key>> | undefined

export class Touched {
  #keys = new Map<string, Set<Key>>()
  #size = 0
  /** Whether keys are of no use: there is no plan yet, a channel itself was changed, or there are too many. */
  #all = true

  /** How many; some may be counted twice where no keys are kept. */
  get size(): number {
    return this.#size
  }

  add(rows: readonly RowName[]): void {
    for (const { channel, key } of rows) {
      if (key === CHANNEL_KEY || this.#size >= LIMITS.draftChanges) this.#giveUp()
      if (this.#all) this.#size += 1
      else this.#keep(channel, key as Key)
    }
  }

  /** What was touched until now; from here on it counts anew. */
  take(): TouchedKeys {
    const keys = this.#all ? undefined : this.#keys
    this.#keys = new Map()
    this.#size = 0
    this.#all = false
    return keys
  }

  /** There is no plan any more that would be brought up to date. */
  forget(): void {
    this.#size = 0
    this.#giveUp()
  }

  #keep(channel: string, key: Key): void {
    const keys = this.#keys.get(channel) ?? new Set()
    this.#keys.set(channel, keys)
    if (!keys.has(key)) this.#size += 1
    keys.add(key)
  }

  #giveUp(): void {
    this.#all = true
    this.#keys = new Map()
  }
}
