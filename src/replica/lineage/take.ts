/**
 * Takes over one generation of an upstream: copied whole, every byte of it checked, and only then the head. Everything is
 * durable before the head is.
 *
 * A replica does so again and again; a backup, a restore and an adoption do it once.
 */
import type { Ledger } from '../../ledger/ledger.ts'
import type { Metaset } from '../../metaset/metaset.ts'
import { failure } from '../../model/errors.ts'
import { checkedRecord, compareGids, type Generation } from '../../model/generation.ts'
import type { Clock } from '../../model/world.ts'
import type { Incoming } from '../../pool/pool.ts'
import { Backfill, type BackfillParts } from '../backfill.ts'
import { type CopyParts, copyGeneration } from '../copy.ts'
import { patient } from '../patient.ts'
import { Progress, type ProgressReport } from '../progress.ts'
import { Pulls } from '../relay/pulls.ts'
import { sleep } from '../sleep.ts'
import type { Upstream } from '../upstream.ts'
import { type AdoptionParts, adoptionOf, type Target } from './adoption.ts'

export interface TakeParts extends CopyParts, Omit<AdoptionParts, 'upstream' | 'generations'> {
  readonly upstream: Upstream
  readonly generations: Pick<Ledger['generations'], 'head' | 'lineages' | 'adopt'>
}

/** Resolves when it is the head of the log. Fails as `copyGeneration`, `adoptionOf` and `Generations.adopt` do. */
export async function takeGeneration(
  parts: TakeParts,
  target: Target,
  progress: Progress,
  signal: AbortSignal,
): Promise<{ readonly generation: Generation; readonly metaset: Metaset }> {
  const { generations } = parts
  const held = generations.head()?.record.metaset
  const metaset = await copyGeneration(parts, { metaset: target.record.metaset, held }, progress, signal)
  const adoption = await adoptionOf(parts, target, signal)
  signal.throwIfAborted()
  return { generation: await generations.adopt(adoption), metaset }
}

/** The stores of one depot, and the upstream whose head is to be its head, too. */
export interface OnceParts
  extends Omit<TakeParts, 'pulls' | 'generations' | 'clock' | 'pool'>,
    Pick<BackfillParts, 'room' | 'pool'> {
  readonly pool: CopyParts['pool']
  readonly incoming: Incoming
  readonly generations: TakeParts['generations'] & BackfillParts['generations']
  readonly clock: Clock
}

export interface Taken {
  readonly generation: Generation
  /** Undefined where that was the head already. */
  readonly metaset: Metaset | undefined
}

/** Hears how far it has come, now and then. */
export type OnProgress = (report: ProgressReport) => void

/**
 * The head of an upstream, which goes on from what is here; nothing has changed yet. Fails with `lineage-foreign` when it is of
 * another depot, and with `origin-diverged` when it is another history of this one, or an older moment of it.
 */
export async function targetOf(parts: OnceParts, signal: AbortSignal): Promise<Target> {
  const upstream = patient(parts.upstream, { clock: parts.clock, sleep })
  const sent = await upstream.head(undefined, 0, signal)
  if (sent === undefined) throw failure('origin-unreachable', { reason: 'it has no generation' })
  const target = { ...sent, record: checkedRecord(sent.gid, sent.bytes) }
  const head = parts.generations.head()
  if (head === undefined) return target
  const isOther = head.record.lineage !== target.record.lineage
  const told = isOther ? await upstream.lineages(signal) : []
  const known = new Map([
    ...told.map((lineage) => [lineage.id, lineage] as const),
    ...parts.generations.lineages(),
  ])
  const compared = compareGids(head.gid, target.gid, known)
  if (compared === 'satisfied' || compared === 'lost') return target
  if (compared === 'unknown')
    throw failure('lineage-foreign', { wanted: target.gid, generation: head.gid, floor: false })
  throw failure('origin-diverged', { generation: head.gid, seen: target.gid })
}

/** Makes the head of an upstream, as `targetOf` has told it, the head here, unless it is that already. */
export async function takeHead(
  parts: OnceParts,
  target: Target,
  signal: AbortSignal,
  onProgress: OnProgress = () => undefined,
): Promise<Taken> {
  const upstream = patient(parts.upstream, { clock: parts.clock, sleep })
  const head = parts.generations.head()
  if (head?.gid === target.gid) return { generation: head, metaset: undefined }
  const progress = new Progress(target.gid)
  const taken = await withPulls(parts, upstream, async (pulls) => {
    const copying = { ...parts, upstream, pulls: telling(pulls, progress, onProgress) }
    return await takeGeneration(copying, target, progress, signal)
  })
  onProgress(progress.report())
  return taken
}

/** Copies what the log has and nobody has brought here, as far as the upstream has it; tells how many that were. */
export async function takeHistory(
  parts: OnceParts,
  signal: AbortSignal,
  onProgress: OnProgress = () => undefined,
): Promise<number> {
  const upstream = patient(parts.upstream, { clock: parts.clock, sleep })
  return await withPulls(parts, upstream, async (pulls) => {
    const backfill = new Backfill({ ...parts, upstream, pulls })
    let brought = 0
    for (let next = backfill.next(); next !== undefined; next = backfill.next()) {
      signal.throwIfAborted()
      const problem = await backfill.bring(next, signal, onProgress)
      if (problem === undefined) brought += 1
    }
    return brought
  })
}

async function withPulls<Result>(
  { incoming, pool, clock }: OnceParts,
  upstream: Upstream,
  work: (pulls: Pulls) => Promise<Result>,
): Promise<Result> {
  const pulls = new Pulls({ incoming, pool, upstream, clock, sleep })
  try {
    return await work(pulls)
  } finally {
    await pulls.close()
  }
}

/** Large files take long: each of them is worth a word. */
function telling(pulls: Pulls, progress: Progress, onProgress: OnProgress): CopyParts['pulls'] {
  return {
    bring: async (...asked) => {
      onProgress(progress.report())
      await pulls.bring(...asked)
    },
  }
}
