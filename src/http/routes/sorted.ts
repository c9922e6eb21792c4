/**
 * Sorting a long list without holding the event loop: short runs at first, which are merged two by two, with a breath
 * in every round.
 */
import type { Slices } from '../../model/slice.ts'

const RUN = 64

/** The items in order; those that compare as 0 stay as they stood. */
export async function sorted<Item>(
  items: readonly Item[],
  compare: (a: Item, b: Item) => number,
  work: Slices,
): Promise<readonly Item[]> {
  let runs: Item[][] = []
  for (let at = 0; at < items.length; at += RUN) {
    await work.breathe()
    runs.push(items.slice(at, at + RUN).sort(compare))
  }
  while (runs.length > 1) {
    const longer: Item[][] = []
    for (let at = 0; at < runs.length; at += 2)
      longer.push(await merged(runs[at] ?? [], runs[at + 1] ?? [], compare, work))
    runs = longer
  }
  return runs[0] ?? []
}

async function merged<Item>(
  a: Item[],
  b: Item[],
  compare: (a: Item, b: Item) => number,
  work: Slices,
): Promise<Item[]> {
  const all: Item[] = []
  let [inA, inB] = [0, 0]
  while (inA < a.length && inB < b.length) {
    // Most rounds need no wait, and a wait for nothing would cost more than the round.
    const pause = work.breathe()
    if (pause !== undefined) await pause
    const isA = compare(a[inA] as Item, b[inB] as Item) <= 0
    all.push((isA ? a[inA] : b[inB]) as Item)
    if (isA) inA += 1
    else inB += 1
  }
  return all.concat(a.slice(inA), b.slice(inB))
}
