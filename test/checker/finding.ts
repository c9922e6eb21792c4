/**
 * What a check finds: which sentence of the protocol does not hold, and the requests that show it.
 */
import type { History } from './history.ts'

export interface Violation {
  readonly invariant: string
  readonly sentence: string
  /** Rows of the history. */
  readonly rows: readonly number[]
}

/** Counts what a check had to judge: one that had nothing has not passed. */
export class Tally {
  count = 0

  one(): void {
    this.count += 1
  }
}

/** A pure function of the history. */
export type Check = (history: History, judged?: Tally) => readonly Violation[]

/** A wrong program breaks a rule a million times; the first few say as much. */
const KEPT = 25

/** Collects what one check finds. */
export class Findings {
  readonly #invariant: string
  readonly #kept: Violation[] = []
  #count = 0

  constructor(invariant: string) {
    this.#invariant = invariant
  }

  add(sentence: string, ...rows: readonly number[]): void {
    this.#count += 1
    if (this.#kept.length < KEPT) this.#kept.push({ invariant: this.#invariant, sentence, rows })
  }

  get violations(): readonly Violation[] {
    const more = this.#count - this.#kept.length
    if (more === 0) return this.#kept
    return [...this.#kept, { invariant: this.#invariant, sentence: `and ${more} more of them`, rows: [] }]
  }
}

/** A violation for people: the sentence, and below it every request that shows it. */
export function told(history: History, { invariant, sentence, rows }: Violation): string {
  return [`${invariant}: ${sentence}`, ...rows.map((row) => `    ${requestTold(history, row)}`)].join('\n')
}

function requestTold(history: History, row: number): string {
  const time = (field: 'start' | 'end'): string => history.number(field, row).toFixed(1)
  const answer = history.text('error', row) ?? history.number('status', row)
  const parts = [
    `${time('start')}..${time('end')}`,
    history.text('client', row),
    history.kind(row),
    `${history.method(row)} ${history.url(row)}`,
    `-> ${answer}`,
    history.text('generation', row),
    ...(['through', 'node', 'min', 'etag', 'range', 'problem'] as const).map((field) => {
      const text = history.text(field, row)
      return text === undefined ? undefined : `${field}=${text}`
    }),
  ]
  return parts.filter((part) => part !== undefined).join(' ')
}
