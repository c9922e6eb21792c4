/**
 * Many things at once, but never more than a few: the first failure stops the others, and nobody returns before all
 * of them have ended.
 */

export async function inParallel<Item>(
  items: readonly Item[],
  limit: number,
  work: (item: Item, signal: AbortSignal) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const stop = new AbortController()
  const either = AbortSignal.any(signal === undefined ? [stop.signal] : [signal, stop.signal])
  const queue = items.values()
  const lanes = Array.from({ length: limit }, async () => {
    try {
      for (const item of queue) {
        either.throwIfAborted()
        await work(item, either)
      }
    } catch (error) {
      // Only the first reason counts: the others fail because of it.
      stop.abort(error)
    }
  })
  await Promise.all(lanes)
  stop.signal.throwIfAborted()
}
