/**
 * When something was done to the nodes: spans of time by their trouble, each kind merged and in order, so that millions
 * of requests can be held against thousands of them.
 */
import type { Trouble, WindowLine } from './line.ts'

interface Span {
  readonly from: number
  readonly to: number
}

export class Windows {
  readonly #lines: WindowLine[] = []
  readonly #merged = new Map<string, readonly Span[]>()

  get all(): readonly WindowLine[] {
    return this.#lines
  }

  add(line: WindowLine): void {
    this.#lines.push(line)
    this.#merged.clear()
  }

  /** Whether some of the time from `start` to `end` lies in such a window. */
  isDuring(start: number, end: number, troubles: readonly Trouble[]): boolean {
    const spans = this.#spansOf(troubles)
    const first = spans[firstEndingAt(spans, start)]
    return first !== undefined && first.from <= end
  }

  /** Milliseconds between `start` and `end` that lie in such windows, each moment once. */
  within(start: number, end: number, troubles: readonly Trouble[]): number {
    const spans = this.#spansOf(troubles)
    let sum = 0
    for (let at = firstEndingAt(spans, start); at < spans.length && spans[at]!.from < end; at += 1)
      sum += Math.min(end, spans[at]!.to) - Math.max(start, spans[at]!.from)
    return sum
  }

  #spansOf(troubles: readonly Trouble[]): readonly Span[] {
    const key = troubles.join(' ')
    const known = this.#merged.get(key)
    if (known !== undefined) return known
    const spans = merged(this.#lines.filter(({ trouble }) => troubles.includes(trouble)))
    this.#merged.set(key, spans)
    return spans
  }
}

function merged(spans: readonly Span[]): readonly Span[] {
  const result: { from: number; to: number }[] = []
  for (const { from, to } of spans.toSorted((a, b) => a.from - b.from)) {
    const last = result.at(-1)
    if (last !== undefined && from <= last.to) last.to = Math.max(last.to, to)
    else result.push({ from, to })
  }
  return result
}

/** The first that does not end before `time`. */
function firstEndingAt(spans: readonly Span[], time: number): number {
  let [low, high] = [0, spans.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (spans[middle]!.to < time) low = middle + 1
    else high = middle
  }
  return low
}
