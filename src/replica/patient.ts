/**
 * An upstream that is given up when nothing comes of it for too long, or nobody wants it any more; however deaf the one
 * below is to its signal.
 */
import { failure } from '../model/errors.ts'
import { LIMITS } from '../model/limits.ts'
import type { Clock } from '../model/world.ts'
import type { Sleep } from './sleep.ts'
import type { Upstream } from './upstream.ts'

export interface Patience {
  readonly clock: Pick<Clock, 'monotonic'>
  readonly sleep: Sleep
}

/** Fails with `origin-unreachable` after `LIMITS.upstreamSilenceMs`; a watch may take as long as it says besides. */
export function patient(upstream: Upstream, patience: Patience): Upstream {
  const within = LIMITS.upstreamSilenceMs
  return {
    head: async (after, waitMs, signal) =>
      await watched(
        patience,
        { within: within + waitMs, signal },
        async (watch) => await watch.next(upstream.head(after, waitMs, watch.signal)),
      ),
    lineages: async (signal) =>
      await watched(
        patience,
        { within, signal },
        async (watch) => await watch.next(upstream.lineages(watch.signal)),
      ),
    log: (after, upTo, signal) => pieces(patience, signal, (own) => upstream.log(after, upTo, own)),
    nodes: (digests, signal) => pieces(patience, signal, (own) => upstream.nodes(digests, own)),
    blobs: (digests, signal) => pieces(patience, signal, (own) => upstream.blobs(digests, own)),
    blob: (digest, offset, signal) => pieces(patience, signal, (own) => upstream.blob(digest, offset, own)),
  }
}

async function* pieces<Piece>(
  patience: Patience,
  signal: AbortSignal,
  open: (signal: AbortSignal) => AsyncIterable<Piece>,
): AsyncGenerator<Piece> {
  const watch = new Watch(patience, { within: LIMITS.upstreamSilenceMs, signal })
  const source = open(watch.signal)[Symbol.asyncIterator]()
  try {
    for (;;) {
      const piece = await watch.next(source.next())
      if (piece.done === true) return
      yield piece.value
    }
  } finally {
    watch.end()
    // Not waited for: one that has fallen silent would never say that it has ended.
    source.return?.().catch(() => undefined)
  }
}

async function watched<Answer>(
  patience: Patience,
  bounds: Bounds,
  ask: (watch: Watch) => Promise<Answer>,
): Promise<Answer> {
  const watch = new Watch(patience, bounds)
  try {
    return await ask(watch)
  } finally {
    watch.end()
  }
}

interface Bounds {
  readonly within: number
  readonly signal: AbortSignal
}

/** One exchange: its signal, and the time since something came of it. Time in which nobody asks does not count. */
class Watch {
  readonly signal: AbortSignal
  readonly #patience: Patience
  readonly #within: number
  readonly #stop = new AbortController()
  #waitsSince: number | undefined
  #giveUp: ((reason: unknown) => void) | undefined

  constructor(patience: Patience, { within, signal }: Bounds) {
    this.#patience = patience
    this.#within = within
    this.signal = AbortSignal.any([signal, this.#stop.signal])
    this.signal.addEventListener('abort', () => this.#giveUp?.(this.signal.reason), { once: true })
    void this.#keepTime()
  }

  async next<Answer>(coming: Promise<Answer>): Promise<Answer> {
    this.#waitsSince = this.#patience.clock.monotonic()
    try {
      return await new Promise<Answer>((resolve, reject) => {
        this.#giveUp = reject
        coming.then(resolve, reject)
        if (this.signal.aborted) reject(this.signal.reason as Error)
      })
    } finally {
      this.#waitsSince = undefined
    }
  }

  end(): void {
    this.#giveUp = undefined
    this.#stop.abort()
  }

  async #keepTime(): Promise<void> {
    const { clock, sleep } = this.#patience
    let left = this.#within
    while (!this.signal.aborted) {
      await sleep(left, this.signal)
      const silentMs = this.#waitsSince === undefined ? 0 : clock.monotonic() - this.#waitsSince
      if (silentMs >= this.#within)
        this.#stop.abort(failure('origin-unreachable', { reason: `nothing came for ${silentMs} ms` }))
      // Never a bare turn, though the clock and the timer may disagree by a part of a millisecond.
      left = Math.max(this.#within - silentMs, 1)
    }
  }
}
