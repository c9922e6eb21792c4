/**
 * Large blobs on their way here, each of them once, whoever wants it: the copy of a generation and clients that ask for
 * it meanwhile (PROTOCOL §5 K4, edge case 16). What has come can be read while the rest still comes, at the pace of each
 * reader; the last byte only when the whole is what its digest says.
 *
 * A pull goes on as long as anybody wants it. What it has brought until then stays, for the next one.
 */
import { copyId } from '../../depot/stage/stages.ts'
import { type Digest, hexOf } from '../../model/digest.ts'
import { DepotError, failure } from '../../model/errors.ts'
import type { Incoming, Pool, Stored } from '../../pool/pool.ts'
import { type Patience, patient } from '../patient.ts'
import type { Counter } from '../progress.ts'
import type { Upstream } from '../upstream.ts'
import { fetchLarge, type LargeBlob } from './fetch-large.ts'
import { unlessAborted } from './unless-aborted.ts'

export interface PullParts extends Patience {
  readonly incoming: Incoming
  readonly pool: Pick<Pool, 'open'>
  readonly upstream: Upstream
}

/** The bytes from the first on, where somebody has begun to send them already. */
export type Begun = AsyncIterable<Uint8Array> & { destroy(): unknown }

export class Pulls {
  readonly #parts: PullParts
  readonly #upstream: Upstream
  readonly #pulls = new Map<Digest, Pull>()

  constructor(parts: PullParts) {
    this.#parts = parts
    this.#upstream = patient(parts.upstream, parts)
  }

  /** Blobs that are on their way at this moment. */
  get underWay(): number {
    return this.#pulls.size
  }

  /** Whether an upload under way is one of a pull, which nobody else may end. */
  owns(id: string): boolean {
    return [...this.#pulls.keys()].some((digest) => idOf(digest) === id)
  }

  /** Stops what is on its way, and resolves when nothing is written any more. */
  async close(): Promise<void> {
    await Promise.all(
      [...this.#pulls.values()].map(async (pull) => {
        pull.stop(new Error('the node is closing'))
        await pull.ended()
      }),
    )
  }

  /** Brings a blob, or waits for whoever brings it. Fails as `fetchLarge` does, or as the signal was aborted. */
  async bring(blob: LargeBlob, counter: Counter, signal: AbortSignal, begun?: Begun): Promise<void> {
    signal.throwIfAborted()
    let running = this.#pulls.get(blob.digest)
    // One that nobody wanted any more: its bytes stay, and it can be gone on with as soon as it has let go of them.
    while (running?.isStopped === true) {
      await running.ended()
      running = this.#pulls.get(blob.digest)
    }
    if (running === undefined) {
      await this.#begin(blob, counter, begun).wanted(signal)
      return
    }
    begun?.destroy()
    await running.wanted(signal)
    const bytes = blob.size ?? running.bytes
    if (blob.size === undefined) counter.need(0, bytes)
    counter.have(1, bytes)
  }

  /**
   * The bytes of a blob that is being brought, or is here. Fails with `blob-unavailable` when it is neither, and as the
   * pull does; then its last byte was not given.
   */
  async *follow({ digest, size }: Stored, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const { incoming, pool } = this.#parts
    const pull = this.#pulls.get(digest)
    let at = 0
    while (pull?.isOver === false) {
      // Asked for first: what comes while the file is looked at is not missed.
      const moved = pull.moved()
      const before = at
      const here = Math.min((await incoming.offset(idOf(digest))) ?? 0, size - 1)
      for await (const piece of incoming.read(idOf(digest), at, here)) {
        at += piece.length
        yield piece
      }
      if (at === before) await unlessAborted(moved, signal)
    }
    await pull?.ended()
    const blob = await pool.open(digest)
    if (blob?.size !== size) throw failure('blob-unavailable', { digest })
    yield* blob.read(at)
  }

  #begin(blob: LargeBlob, counter: Counter, begun: Begun | undefined): Pull {
    const pull = new Pull(async (stop, onPiece) => {
      try {
        await this.#fetch(blob, { counter, onPiece, begun }, stop)
      } finally {
        this.#pulls.delete(blob.digest)
      }
    })
    this.#pulls.set(blob.digest, pull)
    return pull
  }

  /** What somebody has begun to send may end early: then the upstream sends the rest. */
  async #fetch(blob: LargeBlob, { counter, onPiece, begun }: Fetching, stop: AbortSignal): Promise<void> {
    const { incoming } = this.#parts
    const over = async (open: Upstream['blob']): Promise<void> => {
      const upstream = { blob: noting(open, onPiece) }
      await fetchLarge({ incoming, upstream }, blob, counter, stop)
    }
    if (begun !== undefined && ((await incoming.offset(idOf(blob.digest))) ?? 0) === 0)
      try {
        await over((_digest, _offset, signal) => until(begun, signal))
        return
      } catch (error) {
        if (stop.aborted || !isBrokenOff(error)) throw error
      }
    else begun?.destroy()
    await over((...asked) => this.#upstream.blob(...asked))
  }
}

type OnPiece = (bytes: number) => void

interface Fetching {
  readonly counter: Counter
  readonly onPiece: OnPiece
  readonly begun: Begun | undefined
}

/** One blob on its way: who wants it, and how far it has come. */
class Pull {
  bytes = 0
  isOver = false
  readonly #stop = new AbortController()
  readonly #end: Promise<void>
  #failure: Error | undefined
  #wanted = 0
  #moved = Promise.withResolvers<void>()

  constructor(run: (stop: AbortSignal, onPiece: OnPiece) => Promise<void>) {
    const onPiece: OnPiece = (bytes) => {
      this.bytes += bytes
      this.#move()
    }
    this.#end = run(this.#stop.signal, onPiece)
      .catch((error: unknown) => {
        this.#failure = error instanceof Error ? error : new Error(String(error))
      })
      .then(() => {
        this.isOver = true
        this.#move()
      })
  }

  /** Whether nobody wanted it any more: then it ends without having come to an end. */
  get isStopped(): boolean {
    return this.#stop.signal.aborted
  }

  /** Resolves when more has come, or no more will. */
  async moved(): Promise<void> {
    await this.#moved.promise
  }

  /** Resolves when it has come to its end, however that was. Fails as it has failed, but for one that was stopped. */
  async ended(): Promise<void> {
    await this.#end
    if (this.#failure !== undefined && !this.isStopped) throw this.#failure
  }

  stop(reason: unknown): void {
    this.#stop.abort(reason)
  }

  /** Waits for its end. When nobody waits any more it is stopped. */
  async wanted(signal: AbortSignal): Promise<void> {
    this.#wanted += 1
    try {
      await unlessAborted(this.ended(), signal)
    } finally {
      this.#wanted -= 1
      if (this.#wanted === 0 && !this.isOver) this.stop(signal.reason)
    }
  }

  #move(): void {
    const { resolve } = this.#moved
    this.#moved = Promise.withResolvers<void>()
    resolve()
  }
}

function idOf(digest: Digest): string {
  return copyId(hexOf(digest))
}

/** Tells of every piece when the next one is asked for: then it has been written. */
function noting(open: Upstream['blob'], onPiece: OnPiece): Upstream['blob'] {
  return async function* (digest, offset, signal) {
    for await (const piece of open(digest, offset, signal)) {
      const { length } = piece
      yield piece
      onPiece(length)
    }
  }
}

async function* until(begun: Begun, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const onAbort = (): void => {
    begun.destroy()
  }
  signal.addEventListener('abort', onAbort)
  try {
    yield* begun
  } finally {
    signal.removeEventListener('abort', onAbort)
    begun.destroy()
  }
}

/** Whether the other side went away, and not that what came is wrong or has no room. */
function isBrokenOff(error: unknown): boolean {
  return !(error instanceof DepotError) || error.code === 'origin-unreachable'
}
