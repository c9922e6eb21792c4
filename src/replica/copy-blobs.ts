/**
 * Makes every blob durable that a metaset needs beyond another one, whose blobs are here: the manifests of the releases
 * that differ, and the files that these name.
 *
 * Nothing is remembered of an earlier try, for absence is the work list: a manifest that is here is read all the same,
 * and of its files only those are asked for that are not here.
 *
 * Memory: one batch of manifest names, one manifest, the names of the files that are looked up together, and what is on
 * its way: small blobs a megabyte at a time in each lane, large ones piece by piece.
 */
import { blobsIn, type Examine } from '../depot/read/examine.ts'
import { wholeOf } from '../depot/read/whole.ts'
import type { Metaset } from '../metaset/metaset.ts'
import { type Digest, isDigest } from '../model/digest.ts'
import { failure, isFailure } from '../model/errors.ts'
import { LIMITS } from '../model/limits.ts'
import { slices } from '../model/slice.ts'
import type { Blob, Pool, Stored } from '../pool/pool.ts'
import { inLanes } from '../wire/lanes.ts'
import { type ChangedParts, changedManifests } from './changed-manifests.ts'
import { type CopyFilesParts, FileCopies } from './copy-files.ts'
import { fetchSmall } from './fetch-small.ts'
import type { Progress } from './progress.ts'

export interface CopyBlobsParts extends ChangedParts, CopyFilesParts {
  readonly pool: Pick<Pool, 'open' | 'putAll' | 'absent'>
  /** For a manifest that is too large to be parsed at one go. */
  readonly examine: Examine
  readonly progress: Pick<Progress, 'manifests' | 'files'>
}

/**
 * Fails with `blob-unavailable` when the upstream has not what it names, with `digest-mismatch` when it sends something
 * else, and as the upstream does. What came until then is kept.
 */
export async function copyBlobs(
  parts: CopyBlobsParts,
  metasets: { readonly before: Metaset | undefined; readonly after: Metaset },
  signal: AbortSignal,
): Promise<void> {
  await inLanes(LIMITS.replicationLanes, signal, async (lanes) => {
    const files = new FileCopies(parts, lanes)
    const pace = slices(parts.clock)
    for await (const batch of batchesOf(changedManifests(parts, metasets.before, metasets.after))) {
      await bringManifests(parts, batch, lanes.signal)
      for (const manifest of batch) {
        await files.add(await filesOf(parts, manifest))
        lanes.signal.throwIfAborted()
        const pause = pace.breathe()
        if (pause !== undefined) await pause
      }
    }
    await files.flush()
  })
}

/** Each once in its batch. */
async function* batchesOf(digests: AsyncIterable<Digest>): AsyncGenerator<readonly Digest[]> {
  let batch = new Set<Digest>()
  for await (const digest of digests) {
    batch.add(digest)
    if (batch.size < LIMITS.replicationBatch) continue
    yield [...batch]
    batch = new Set()
  }
  if (batch.size > 0) yield [...batch]
}

async function bringManifests(
  parts: CopyBlobsParts,
  digests: readonly Digest[],
  signal: AbortSignal,
): Promise<void> {
  const counter = parts.progress.manifests
  const absent: Digest[] = []
  const pace = slices(parts.clock)
  for (const digest of digests) {
    if ((await opened(parts.pool, digest)) === undefined) absent.push(digest)
    const pause = pace.breathe()
    if (pause !== undefined) await pause
  }
  if (absent.length === 0) return
  counter.need(absent.length, 0)
  const left = await fetchSmall(parts, absent, { counter, sizesAreNews: true }, signal)
  for (const digest of left) await parts.pulls.bring({ digest }, counter, signal)
}

/** What is damaged is brought again, which heals it. */
async function opened(pool: Pick<Pool, 'open'>, digest: Digest): Promise<Blob | undefined> {
  try {
    return await pool.open(digest)
  } catch (error) {
    if (isFailure(error, 'blob-corrupt')) return undefined
    throw error
  }
}

/** The blobs that a manifest names. Its digest was checked, so it is what the origin took for a manifest. */
async function filesOf(
  { pool, examine }: Pick<CopyBlobsParts, 'pool' | 'examine'>,
  digest: Digest,
): Promise<readonly Stored[]> {
  const blob = await pool.open(digest)
  if (blob === undefined) throw failure('blob-unavailable', { digest })
  const text = await wholeOf(blob)
  if (text.length > LIMITS.manifestInlineBytes) return blobsIn(await examine(text))
  try {
    const { files } = JSON.parse(text.toString()) as { readonly files: readonly Stored[] }
    return files.map(storedOf)
  } catch (cause) {
    throw failure('blob-corrupt', { digest, reason: 'it is no manifest' }, { cause })
  }
}

function storedOf({ digest, size }: Stored): Stored {
  if (!isDigest(digest) || !Number.isSafeInteger(size) || size < 0) throw new TypeError('this is no file')
  return { digest, size }
}
