/**
 * One table of the LMDB environment: bytes under bytes, in the order of keys. `environment.ts` says when they are
 * durable.
 *
 * lmdb-js reads into one buffer that the next read overwrites, so everything that leaves here is a copy. Much is
 * written in several transactions, so that handing it over never holds up the event loop.
 */
import { strict as assert } from 'node:assert'
import type { Database } from 'lmdb'
import type { Slices } from '../../model/slice.ts'
import type { DiskRoom, Purpose } from '../room.ts'

export type Store = Database<Uint8Array, Uint8Array>
export type Row = readonly [key: Uint8Array, value: Uint8Array]

export interface TableParts {
  readonly store: Store
  readonly room: DiskRoom
  readonly slices: () => Slices
  /** One durable transaction. */
  readonly write: (fill: () => void) => Promise<void>
}

/** How much there is, without reading it. */
export interface TableSize {
  readonly rows: number
  readonly pages: number
}

/** What the types of lmdb-js leave open of `getStats`. */
export interface Pages {
  readonly pageSize: number
  readonly treeBranchPageCount: number
  readonly treeLeafPageCount: number
  readonly overflowPages: number
  readonly entryCount: number
}

/** What lmdb-js reads into: its one buffer, unless the value is too long for that. */
type Shared = Buffer & { readonly isGlobal?: boolean }

/** What lmdb-js takes with pages of 4 KiB. */
const KEY_BYTES = 1_978
/** Rows of one transaction: handing them over takes some 2 ms. */
const GROUP = 1_000
/** A page of rows is read at once, and ends with the row that makes it so long. */
const PAGE_ROWS = 256
const PAGE_BYTES = 1_048_576
/** What a transaction writes besides what it is told: the list of free pages, the root, the meta page. */
const TRANSACTION_BYTES = 32_768
/** What a row takes besides its value: the key, and that nodes are not full. */
const ROW_BYTES = 128

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
    const { room, store } = this.#parts
    if (rows.length === 0) return
    const fit = rows.every(([{ length }]) => length > 0 && length <= KEY_BYTES)
    assert(fit, `a key has 1 to ${KEY_BYTES} bytes`)
    const bytes = this.#costOf(rows)
    await room.claim({ bytes, rows: true, purpose })
    await this.#write(rows, bytes, ([key, value]) => void store.put(key, value))
  }

  async remove(keys: readonly Uint8Array[]): Promise<void> {
    await this.#write(keys, 0, (key) => void this.#parts.store.remove(key))
  }

  async clear(): Promise<void> {
    await this.#write([this.#parts.store], 0, (store) => void store.clearAsync())
  }

  size(): TableSize {
    const stats = this.#parts.store.getStats() as Pages
    return { rows: stats.entryCount, pages: pagesOf(stats) }
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

  async #write<Item>(items: readonly Item[], bytes: number, issue: (item: Item) => void): Promise<void> {
    const { room, write, slices } = this.#parts
    const pace = slices()
    const written: Promise<Failed | undefined>[] = []
    for (let at = 0; at < items.length; at += GROUP) {
      written.push(outcomeOf(write(() => items.slice(at, at + GROUP).forEach(issue))))
      const pause = pace.breathe()
      if (pause !== undefined) await pause
    }
    const failed = (await Promise.all(written)).find((outcome) => outcome !== undefined)
    if (failed !== undefined) throw await room.explain(failed.error, bytes)
  }

  /**
   * At most so many bytes are written: the values, and a copy of every page of the tree that is touched, which is one
   * or two for each row and never more than there are.
   */
  #costOf(rows: readonly Row[]): number {
    const { pageSize, treeBranchPageCount, treeLeafPageCount } = this.#parts.store.getStats() as Pages
    const values = rows.reduce((sum, [, value]) => sum + roundedUp(value.length, pageSize), 0)
    const copies = Math.min(2 * rows.length, treeBranchPageCount + treeLeafPageCount) * pageSize
    return values + copies + TRANSACTION_BYTES
  }
}

export function pagesOf({ treeBranchPageCount, treeLeafPageCount, overflowPages }: Pages): number {
  return treeBranchPageCount + treeLeafPageCount + overflowPages
}

/** A value that is longer than half a page gets pages of its own. */
function roundedUp(length: number, pageSize: number): number {
  return length < pageSize / 2 ? length + ROW_BYTES : (Math.ceil(length / pageSize) + 1) * pageSize
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
