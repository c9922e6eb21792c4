/**
 * Many asynchronous tasks, a few at once: results in the order of the items, and the first failure ends it all.
 */

export async function mapParallel<Item, Result>(
  items: readonly Item[],
  atOnce: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = []
  const remaining = items.entries()
  let failed = false
  async function lane(): Promise<void> {
    for (const [at, item] of remaining) {
      if (failed) return
      try {
        results[at] = await work(item)
      } catch (error) {
        failed = true
        throw error
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, lane))
  return results
}
