/**
 * Millions of requests in the memory of a few: every text once, every field a column. What few requests have stands in
 * a map, what all have in a typed array.
 */

/** So that two ids and a little more make one safe number. */
export const MOST_TEXTS: number = 2 ** 24

/** Every text once; 0 is no text at all. */
export class Texts {
  readonly #ids = new Map<string, number>()
  readonly #texts: (string | undefined)[] = [undefined]

  idOf(text: string | undefined): number {
    if (text === undefined) return 0
    const known = this.#ids.get(text)
    if (known !== undefined) return known
    const id = this.#texts.length
    if (id >= MOST_TEXTS) throw new Error(`more than ${MOST_TEXTS} different texts in one history`)
    this.#texts.push(text)
    this.#ids.set(text, id)
    return id
  }

  /** The id of a text that may be here; 0 when it is not. */
  find(text: string): number {
    return this.#ids.get(text) ?? 0
  }

  textOf(id: number): string | undefined {
    return this.#texts[id]
  }
}

/** Numbers, one a row; NaN where there is none. */
export interface Column {
  get(row: number): number
  set(row: number, value: number): void
}

/** For what few rows have; `absent` stands for the others. */
export function sparse(absent: number): Column {
  const values = new Map<number, number>()
  return {
    get: (row) => values.get(row) ?? absent,
    set: (row, value) => {
      if (value !== absent && !Number.isNaN(value)) values.set(row, value)
    },
  }
}

type Numbers = Float64Array | Uint32Array | Uint16Array | Uint8Array

const FIRST_ROWS = 1_024

/** For what all rows have; grows by halves of itself. */
export function dense<T extends Numbers>(make: (rows: number) => T): Column {
  let values = make(FIRST_ROWS)
  return {
    get: (row) => values[row] ?? 0,
    set: (row, value) => {
      if (row >= values.length) {
        const more = make(Math.ceil(Math.max(row + 1, values.length * 1.5)))
        more.set(values)
        values = more
      }
      values[row] = value
    },
  }
}

/** The rows `0..length` in the order of a number each has; NaN stands last. */
export function sortedBy(rows: Uint32Array, keyOf: (row: number) => number): Uint32Array {
  const keys = Float64Array.from(rows, keyOf)
  const order = Uint32Array.from(rows, (_, at) => at)
  order.sort((a, b) => keys[a]! - keys[b]! || a - b)
  return order.map((at) => rows[at]!)
}
