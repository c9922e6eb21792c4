/**
 * A bounded number of tasks at once, which are found one after the other. The first failure stops the others, and nobody
 * returns before all of them have ended.
 */

export type Task = (signal: AbortSignal) => Promise<void>

/** Lets `feed` start tasks, and waits for all of them. Fails as the first of them, or `feed`, has failed. */
export async function inLanes(
  atOnce: number,
  signal: AbortSignal,
  feed: (lanes: Lanes) => Promise<void>,
): Promise<void> {
  const lanes = new Lanes(atOnce, signal)
  try {
    await feed(lanes)
  } catch (error) {
    lanes.stop(error)
  }
  await lanes.end()
}

export class Lanes {
  /** Aborted when a task has failed, or nobody wants the rest. */
  readonly signal: AbortSignal
  readonly #atOnce: number
  readonly #stop = new AbortController()
  readonly #running = new Set<Promise<void>>()

  constructor(atOnce: number, signal: AbortSignal) {
    this.#atOnce = atOnce
    this.signal = AbortSignal.any([signal, this.#stop.signal])
  }

  get isBusy(): boolean {
    return this.#running.size > 0
  }

  /** Starts a task as soon as there is room for it. Fails when one has failed. */
  async start(task: Task): Promise<void> {
    while (this.#running.size >= this.#atOnce) await this.next()
    this.signal.throwIfAborted()
    const running = this.#run(task).finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  /** Waits until one of those under way has ended. Fails when one has failed. */
  async next(): Promise<void> {
    await Promise.race(this.#running)
    this.signal.throwIfAborted()
  }

  /** Only the first reason counts: others fail because of it. */
  stop(reason: unknown): void {
    this.#stop.abort(reason)
  }

  async end(): Promise<void> {
    await Promise.all(this.#running)
    this.#stop.signal.throwIfAborted()
  }

  async #run(task: Task): Promise<void> {
    try {
      await task(this.signal)
    } catch (error) {
      this.stop(error)
    }
  }
}

/** The same for tasks that are all known: each of the items once. */
export async function inParallel<Item>(
  items: Iterable<Item>,
  atOnce: number,
  work: (item: Item, signal: AbortSignal) => Promise<void>,
  signal: AbortSignal = new AbortController().signal,
): Promise<void> {
  await inLanes(atOnce, signal, async (lanes) => {
    for (const item of items) await lanes.start(async (either) => await work(item, either))
  })
}
