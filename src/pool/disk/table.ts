/**
 * One table of the LMDB environment of the pool: bytes under bytes, in the order of keys. `disk/environment.ts` says when
 * they are durable.
 *
 * lmdb-js reads into one buffer that the next read overwrites, so everything that leaves here is a copy. Much is
 * written in several transactions, so that handing it over never holds up the event loop.
 */
import { strict as assert } from 'node:assert'
import { type Environment, KEY_BYTES, type LmdbTable } from '../../disk/environment.ts'
import type { Load } from '../../disk/headroom.ts'
import type { DiskRoom, Purpose } from '../../disk/room.ts'
import { costOf, costOfClearing } from '../../disk/row-cost.ts'
import type { Slices } from '../../model/slice.ts'

export type Row = readonly [key: Uint8Array, value: Uint8Array]

/** Rows of one transaction, and what it may write. */
interface Group<Item> {
  readonly items: readonly Item[]
  readonly load: Load
}

export interface TableParts {
  readonly store: LmdbTable
  readonly environment: Pick<Environment, 'batch' | 'spare'>
  readonly room: Pick<DiskRoom, 'claim'>
  readonly slices: () => Slices
}

/** What lmdb-js reads into: its one buffer, unless the value is too long for that. */
type Shared = Buffer & { readonly isGlobal?: boolean }

/** Rows of one transaction: handing them over takes some 2 ms. */
const GROUP = 1_000
/** A page of rows is read at once, and ends with the row that makes it so long. */
const PAGE_ROWS = 256
const PAGE_BYTES = 1_048_576

export class Table {
  readonly #parts: TableParts

  constructor(parts: TableParts) {
    this.#parts = parts
  }

  /**
   * A copy, which belongs to the caller. It is ours and not that of `getBinary`, which has memory of its own for every
   * value: for small ones, which share a slab here, that costs the collector more than reading them.
   */
  get(key: Uint8Array): Buffer | undefined {
    const value = this.#parts.store.getBinaryFast(key) as Shared | undefined
    if (value === undefined) return undefined
    return value.isGlobal === true ? Buffer.from(value.subarray(0, value.length)) : value
  }

  /** As `get`, but what it gives may be overwritten by the next read: for whoever is done with it at once. */
  lent(key: Uint8Array): Buffer | undefined {
    const value = this.#parts.store.getBinaryFast(key) as Shared | undefined
    return value?.isGlobal === true ? value.subarray(0, value.length) : value
  }

  has(key: Uint8Array): boolean {
    return this.#parts.store.doesExist(key)
  }

  /** The length of a value, for which nothing is copied into the heap. */
  lengthOf(key: Uint8Array): number | undefined {
    return this.#parts.store.getBinaryFast(key)?.length
  }

  /** All rows after `after`, in the order of keys. No transaction is open while the reader is busy with one. */
  async *rows(after?: Uint8Array): AsyncGenerator<Row> {
    const slices = this.#parts.slices()
    for (let page = this.#page(after); page.length > 0; page = this.#page(page.at(-1)?.[0])) {
      for (const row of page) {
        yield row
        const pause = slices.breathe()
        if (pause !== undefined) await pause
      }
    }
  }

  /** Durable when it resolves. Nobody may change the bytes before. Fails with `disk-full`. */
  async put(rows: readonly Row[], purpose: Purpose): Promise<void> {
    const { room, store, environment } = this.#parts
    if (rows.length === 0) return
    const fit = rows.every(([{ length }]) => length > 0 && length <= KEY_BYTES)
    assert(fit, `a key has 1 to ${KEY_BYTES} bytes`)
    const groups = this.#groupsOf(rows, lengthOfRow, purpose)
    const bytes = groups.reduce((sum, { load }) => sum + load.bytes, 0)
    await room.claim({ bytes, inside: () => environment.spare(purpose), purpose }, async () => {
      await this.#write(groups, ([key, value]) => void store.put(key, value))
    })
  }

  async remove(keys: readonly Uint8Array[]): Promise<void> {
    const groups = this.#groupsOf(keys, () => 0, 'commit')
    await this.#write(groups, (key) => void this.#parts.store.remove(key))
  }

  async clear(): Promise<void> {
    const { store, environment } = this.#parts
    const load: Load = { bytes: costOfClearing(store), purpose: 'commit' }
    await environment.batch(() => void store.clearAsync(), load)
  }

  #page(after: Uint8Array | undefined): readonly Row[] {
    const rows: Row[] = []
    let bytes = 0
    const from = after === undefined ? {} : { start: after, exclusiveStart: true }
    for (const { key, value } of this.#parts.store.getRange({ ...from, limit: PAGE_ROWS })) {
      rows.push([key, value])
      bytes += value.length
      if (bytes >= PAGE_BYTES) break
    }
    return rows
  }

  #groupsOf<Item>(
    items: readonly Item[],
    lengthOf: (item: Item) => number,
    purpose: Purpose,
  ): readonly Group<Item>[] {
    const groups: Group<Item>[] = []
    for (let at = 0; at < items.length; at += GROUP) {
      const own = items.slice(at, at + GROUP)
      groups.push({ items: own, load: { bytes: costOf(this.#parts.store, own.map(lengthOf)), purpose } })
    }
    return groups
  }

  async #write<Item>(groups: readonly Group<Item>[], issue: (item: Item) => void): Promise<void> {
    const { environment, slices } = this.#parts
    const pace = slices()
    const written: Promise<Failed | undefined>[] = []
    for (const { items, load } of groups) {
      written.push(outcomeOf(environment.batch(() => items.forEach(issue), load)))
      const pause = pace.breathe()
      if (pause !== undefined) await pause
    }
    const failed = (await Promise.all(written)).find((outcome) => outcome !== undefined)
    if (failed !== undefined) throw failed.error
  }
}

function lengthOfRow([key, value]: Row): number {
  return key.length + value.length
}

interface Failed {
  readonly error: unknown
}

/** Never rejects, so that it may be awaited late. */
async function outcomeOf(written: Promise<void>): Promise<Failed | undefined> {
  try {
    await written
    return undefined
  } catch (error) {
    return { error }
  }
}
