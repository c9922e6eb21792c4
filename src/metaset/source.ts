/**
 * Sorted edits, of which one looks at the first before it takes it; from an array, a generator or an async one.
 */
import assert from 'node:assert/strict'
import type { Slices } from '../model/slice.ts'
import type { Key } from './key.ts'

/** What shall stand under a key; nothing when `line` is undefined. */
export interface Edit {
  readonly key: Key
  readonly line: Buffer | undefined
}

export type Edits = Iterable<Edit> | AsyncIterable<Edit>

/** Edits between two breaths. */
const STRIDE = 64

export class Source {
  readonly #edits: Iterator<Edit> | AsyncIterator<Edit>
  readonly #slices: Slices
  #head: Edit | undefined
  #taken = 0

  private constructor(edits: Edits, slices: Slices) {
    this.#edits = Symbol.asyncIterator in edits ? edits[Symbol.asyncIterator]() : edits[Symbol.iterator]()
    this.#slices = slices
  }

  static async of(edits: Edits, slices: Slices): Promise<Source> {
    const source = new Source(edits, slices)
    await source.advance()
    return source
  }

  /** The first edit that is not taken yet. */
  get head(): Edit | undefined {
    return this.#head
  }

  /** Takes the head. Undefined when that is done: `await` it only when it is something. */
  advance(): Promise<void> | undefined {
    const next = this.#edits.next()
    return next instanceof Promise ? next.then((result) => this.#take(result)) : this.#take(next)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#edits.return?.()
  }

  #take(result: IteratorResult<Edit, unknown>): Promise<void> | undefined {
    const next = result.done === true ? undefined : result.value
    assert(
      next === undefined || this.#head === undefined || this.#head.key < next.key,
      'edits must be sorted by key, each key once',
    )
    this.#head = next
    this.#taken += 1
    return this.#taken % STRIDE === 0 ? this.#slices.breathe() : undefined
  }
}
