/**
 * Reads everything that is here and checks it against its digest: what `open` checks, and what would cost too much
 * there. It holds one piece at a time and leaves the event loop its turns; it changes nothing by itself.
 */
import { type Digest, digestOf, hasher } from '../model/digest.ts'
import { isFailure } from '../model/errors.ts'
import { slices } from '../model/slice.ts'
import type { Clock } from '../model/world.ts'
import type { Listing, Nodes, Pool, Stored } from './pool.ts'

export interface ScrubParts {
  readonly pool: Pick<Pool, 'open'> & Listing
  readonly nodes: Pick<Nodes, 'read' | 'list'>
}

export type ScrubFinding =
  | { readonly kind: 'progress'; readonly checked: number; readonly bytes: number }
  | { readonly kind: 'damaged'; readonly digest: Digest; readonly reason: string }
  | { readonly kind: 'done'; readonly checked: number; readonly bytes: number; readonly damaged: number }

export interface ScrubOptions {
  readonly clock: Pick<Clock, 'monotonic'>
  readonly signal?: AbortSignal
  /** Hears of every damaged blob, before the finding is told. */
  readonly onDamaged?: (digest: Digest) => Promise<void>
}

/** Progress is told after so many bytes, or so many blobs and nodes. */
const PROGRESS_BYTES = 67_108_864
const PROGRESS_COUNT = 1_000

/** First the blobs, then the nodes. Fails with the signal's reason when that is aborted. */
export async function* scrub(
  { pool, nodes }: ScrubParts,
  { clock, signal, onDamaged }: ScrubOptions,
): AsyncGenerator<ScrubFinding> {
  const pace = slices(clock)
  const sum = { checked: 0, bytes: 0, damaged: 0 }
  let told = { checked: 0, bytes: 0 }
  for await (const { stored, reason } of everyFault(pool, nodes, signal)) {
    sum.checked += 1
    sum.bytes += stored.size
    if (reason !== undefined) {
      sum.damaged += 1
      await onDamaged?.(stored.digest)
      yield { kind: 'damaged', digest: stored.digest, reason }
    }
    if (sum.bytes - told.bytes >= PROGRESS_BYTES || sum.checked - told.checked >= PROGRESS_COUNT) {
      told = { checked: sum.checked, bytes: sum.bytes }
      yield { kind: 'progress', ...told }
    }
    const pause = pace.breathe()
    if (pause !== undefined) await pause
  }
  yield { kind: 'done', ...sum }
}

interface Checked {
  readonly stored: Stored
  /** Why it is damaged, if it is. */
  readonly reason: string | undefined
}

async function* everyFault(
  pool: ScrubParts['pool'],
  nodes: ScrubParts['nodes'],
  signal: AbortSignal | undefined,
): AsyncGenerator<Checked> {
  for await (const stored of pool.list())
    yield { stored, reason: await reasonOf(faultOfBlob(pool, stored, signal)) }
  for await (const stored of nodes.list()) {
    signal?.throwIfAborted()
    yield { stored, reason: await reasonOf(faultOfNode(nodes, stored)) }
  }
}

async function faultOfBlob(
  pool: Pick<Pool, 'open'>,
  { digest }: Stored,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const blob = await pool.open(digest)
  // Removed since it was listed; and what is at hand was hashed to open it.
  if (blob === undefined || blob.bytes !== undefined) return undefined
  const sum = hasher()
  for await (const piece of blob.read()) {
    signal?.throwIfAborted()
    sum.update(piece)
  }
  const found = sum.digest()
  return found === digest ? undefined : `its bytes have the digest ${found}`
}

async function faultOfNode(nodes: Pick<Nodes, 'read'>, { digest }: Stored): Promise<string | undefined> {
  const found = digestOf(await nodes.read(digest))
  return found === digest ? undefined : `its bytes have the digest ${found}`
}

/** Damage that was noticed on the way is a reason like any other; what was removed meanwhile is none. */
async function reasonOf(fault: Promise<string | undefined>): Promise<string | undefined> {
  try {
    return await fault
  } catch (error) {
    if (isFailure(error, 'blob-corrupt')) return String(error.details['reason'])
    if (isFailure(error, 'not-found') || isFailure(error, 'blob-unavailable')) return undefined
    throw error
  }
}
