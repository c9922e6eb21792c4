/**
 * Follows an upstream: watches its head, copies the newest generation that it has heard of, and shows it when it is
 * complete (PROTOCOL §4). Two loops, which never wait for each other: what is known goes on growing while a long copy is
 * under way, and the copy after it takes all that has come meanwhile as one difference.
 *
 * What fails is tried again, later after each time; nothing but a new head or the end of such a pause wakes a loop.
 */

import type { Head } from '../depot/head.ts'
import type { Views } from '../depot/read/views.ts'
import { isCopy } from '../depot/stage/stages.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { type DepotError, failure, isFailure } from '../model/errors.ts'
import { checkedRecord, type Generation, type Gid, partsOf } from '../model/generation.ts'
import { LIMITS } from '../model/limits.ts'
import type { Clock, Random } from '../model/world.ts'
import type { Incoming } from '../pool/pool.ts'
import { Backfill, type BackfillParts } from './backfill.ts'
import type { CopyParts } from './copy.ts'
import type { UpstreamTrust } from './keys/trust.ts'
import type { Target } from './lineage/adoption.ts'
import { takeGeneration } from './lineage/take.ts'
import { patient } from './patient.ts'
import { Progress, type ProgressReport } from './progress.ts'
import type { Pulls } from './relay/pulls.ts'
import { overAndOver, type Sleep, WaitingAsk } from './sleep.ts'
import type { SentRecord, Upstream } from './upstream.ts'

export interface FollowerParts extends Omit<CopyParts, 'upstream' | 'clock'> {
  readonly upstream: Upstream
  /** Nothing is heard of, and nothing taken over, that it does not let pass. */
  readonly trust: Pick<UpstreamTrust, 'demand' | 'refusal'>
  readonly incoming: Pick<Incoming, 'list' | 'drop'>
  readonly pulls: Pick<Pulls, 'bring' | 'owns'>
  readonly generations: Pick<Ledger['generations'], 'head' | 'get' | 'adopt' | 'lineages'> &
    BackfillParts['generations']
  readonly head: Pick<Head, 'move'>
  readonly views: Pick<Views, 'keep'>
  /** Whether the upstream is the one that commits; by default it is. Another replica may be behind this one. */
  readonly isUpstreamOrigin?: () => boolean
  readonly room: BackfillParts['room']
  readonly clock: Clock
  readonly random: Random
  readonly sleep: Sleep
  readonly events?: Partial<FollowerEvents>
}

/** Called in passing: they must be short, and never fail. */
export interface FollowerEvents {
  /** The upstream has a newer head than was known. */
  heard(gid: Gid): void
  /** A generation is complete here, durable, and the head. */
  shown(generation: Generation, copied: ProgressReport): void
  failed(error: unknown, attempt: Attempt): void
  /** One that was passed over is complete here, too. */
  filled(generation: Generation): void
  /** One that was passed over is not copied: the upstream has it no more, or there is no room for it. */
  left(generation: Generation, error: Error): void
}

export interface Attempt {
  readonly doing: 'watch' | 'copy'
  readonly retryMs: number
}

export interface FollowerState {
  /** What this node has; undefined before its first copy is complete. */
  readonly head: Generation | undefined
  /** The newest head it has heard of; its own until it hears of another. */
  readonly known: Gid | undefined
  /** Monotonic time of the last word from upstream that agreed with what is known; undefined before the first. */
  readonly confirmedAt: number | undefined
  /** The upstream tells another history than this node has, or none that is signed (PROTOCOL §10). It is heard again when it no longer does. */
  readonly isDiverged: boolean
  /** Why the keys or signatures of the upstream are refused. */
  readonly refusal: DepotError | undefined
  /** Of the copy under way. */
  readonly progress: ProgressReport | undefined
}

export class Follower {
  readonly #parts: FollowerParts
  readonly #upstream: Upstream
  #known: Target | undefined
  #confirmedAt: number | undefined
  readonly #asks: WaitingAsk
  #progress: Progress | undefined
  readonly #backfill: Backfill
  readonly #diverged = { watch: false, copy: false }
  #wake: () => void = () => undefined

  constructor(parts: FollowerParts) {
    this.#parts = parts
    this.#asks = new WaitingAsk(parts.clock, LIMITS.waitMs)
    this.#upstream = patient(parts.upstream, parts)
    this.#backfill = new Backfill({ ...parts, upstream: this.#upstream })
  }

  state(): FollowerState {
    const head = this.#parts.generations.head()
    const refusal = this.#parts.trust.refusal()
    return {
      head,
      known: this.#known?.gid ?? head?.gid,
      confirmedAt: this.#confirmedAt,
      isDiverged: this.#diverged.watch || this.#diverged.copy || refusal !== undefined,
      refusal,
      progress: this.#progress?.report(),
    }
  }

  /** Follows until the signal is aborted, and resolves when nothing is under way any more. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([
      this.#again('watch', signal, async () => await this.#watch(signal)),
      this.#again('copy', signal, async () => await this.#catchUp(signal)),
    ])
  }

  async #again(doing: Attempt['doing'], signal: AbortSignal, once: () => Promise<void>): Promise<void> {
    await overAndOver(
      this.#parts,
      signal,
      async () => {
        await once()
        this.#diverged[doing] = false
      },
      (error, retryMs) => {
        this.#diverged[doing] = isFailure(error, 'origin-diverged')
        this.#parts.events?.failed?.(error, { doing, retryMs })
      },
    )
  }

  /** Asks once for a head that is not known yet. Only an answer that agrees with what is known lets the next ask wait. */
  async #watch(signal: AbortSignal): Promise<void> {
    const newest = this.#newest()
    await this.#asks.once(
      async (waitMs) => await this.#upstream.head(newest?.gid, waitMs, signal),
      async (sent) => {
        await this.#parts.trust.demand([sent], signal)
        this.#hear(sent)
      },
    )
    this.#confirmedAt = this.#parts.clock.monotonic()
  }

  /**
   * Fails with `origin-diverged` when that head is not newer than what is known, and not the same; with
   * `generation-behind` when the upstream is a replica that only has not come so far.
   */
  #hear({ gid, bytes, signatures }: SentRecord): void {
    const record = checkedRecord(gid, bytes)
    const newest = this.#newest()
    if (newest?.gid === gid) return
    if (newest !== undefined && record.number <= newest.record.number) {
      if (this.#isBehind(gid)) throw failure('generation-behind', { wanted: newest.gid, generation: gid })
      throw failure('origin-diverged', { generation: newest.gid, seen: gid })
    }
    this.#known = { gid, bytes, signatures, record }
    this.#parts.events?.heard?.(gid)
    this.#wake()
  }

  /** Whether an older head is one that this node has had, or may be on its way to. */
  #isBehind(gid: Gid): boolean {
    const { generations, isUpstreamOrigin } = this.#parts
    if (isUpstreamOrigin?.() !== false) return false
    const { number, lineage } = partsOf(gid)
    const head = generations.head()
    if (head !== undefined && number <= head.record.number) return generations.get(gid) !== undefined
    return this.#known !== undefined && lineage === partsOf(this.#known.gid).lineage
  }

  #newest(): Pick<Target, 'gid' | 'record'> | undefined {
    return this.#known ?? this.#parts.generations.head()
  }

  /** Copies and shows what is known, or waits for something to become known. */
  async #catchUp(signal: AbortSignal): Promise<void> {
    const target = this.#known
    if (target === undefined || target.gid === this.#parts.generations.head()?.gid) {
      await this.#fillIn(signal)
      return
    }
    const progress = new Progress(target.gid)
    this.#progress = progress
    const generation = await this.#take(target, progress, signal).finally(() => {
      this.#progress = undefined
    })
    this.#parts.events?.shown?.(generation, progress.report())
    await this.#dropLeftovers()
  }

  /** Everything is durable before the head is; and the head before anybody sees it. */
  async #take(target: Target, progress: Progress, signal: AbortSignal): Promise<Generation> {
    const { views, head } = this.#parts
    const parts = { ...this.#parts, upstream: this.#upstream }
    const { generation, metaset } = await takeGeneration(parts, target, progress, signal)
    views.keep(generation.gid, metaset)
    head.move(generation)
    return generation
  }

  /** Parts of large blobs that an earlier copy has left, of a generation that was passed over then. */
  async #dropLeftovers(): Promise<void> {
    const { incoming, pulls } = this.#parts
    for await (const { id } of incoming.list()) if (isCopy(id) && !pulls.owns(id)) await incoming.drop(id)
  }

  /** Copies what was passed over, until a newer head is known; when there is none of that, waits for one. */
  async #fillIn(signal: AbortSignal): Promise<void> {
    const { events } = this.#parts
    const missing = this.#backfill.next()
    if (missing === undefined) {
      await this.#woken(signal)
      return
    }
    const stop = new AbortController()
    this.#wake = () => {
      stop.abort(new Error('a newer head is known'))
    }
    try {
      const problem = await this.#backfill.bring(missing, AbortSignal.any([signal, stop.signal]))
      if (problem === undefined) events?.filled?.(missing)
      else events?.left?.(missing, problem)
    } catch (error) {
      if (!stop.signal.aborted) throw error
    }
  }

  async #woken(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const wake = (): void => resolve()
    this.#wake = wake
    signal.addEventListener('abort', wake)
    await promise
    signal.removeEventListener('abort', wake)
  }
}
