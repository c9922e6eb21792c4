/**
 * How many bytes rows may take on the disk, which is more than they have: LMDB writes a copy of every page it touches.
 */
import type { Database } from 'lmdb'

/** What the types of lmdb-js leave open of `getStats`. */
export interface Pages {
  readonly pageSize: number
  readonly treeBranchPageCount: number
  readonly treeLeafPageCount: number
  readonly overflowPages: number
  readonly entryCount: number
}

/** What a transaction writes besides what it is told: the list of free pages, the root, the meta page. */
const TRANSACTION_BYTES = 32_768
/** What a row takes besides its key and value. */
const ROW_BYTES = 128
/** Pages may be half full, and those above them hold keys as well: a row with the longest key takes 2.6 times its length. */
const SPREAD = 3
/** Of a page on the list of free ones, which is written once more when it moves. */
const FREE_PAGE_BYTES = 16
/** Of a row, beside key and value. */
const HEAD_BYTES = 16

/**
 * At most so many bytes are written: the rows, given by the length of key and value together, and a copy of every page
 * of the tree that is touched, which is one or two for each row and never more than there are.
 */
export function costOf(table: Pick<Database, 'getStats'>, lengths: readonly number[]): number {
  const { pageSize, treeBranchPageCount, treeLeafPageCount } = table.getStats() as Pages
  const rows = lengths.reduce((sum, length) => sum + roundedUp(length, pageSize), 0)
  const copies = Math.min(2 * lengths.length, treeBranchPageCount + treeLeafPageCount) * pageSize
  return rows + copies + TRANSACTION_BYTES
}

/** The same for taking away all rows: every page gets on the list of free ones. */
export function costOfClearing(table: Pick<Database, 'getStats'>): number {
  return FREE_PAGE_BYTES * pagesOf(table.getStats() as Pages) + TRANSACTION_BYTES
}

export function pagesOf({ treeBranchPageCount, treeLeafPageCount, overflowPages }: Pages): number {
  return treeBranchPageCount + treeLeafPageCount + overflowPages
}

/** The value of a row that is longer than half a page gets pages of its own. */
function roundedUp(length: number, pageSize: number): number {
  if (length + HEAD_BYTES < pageSize / 2) return SPREAD * length + ROW_BYTES
  return (Math.ceil(length / pageSize) + 1) * pageSize
}
