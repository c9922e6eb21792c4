/**
 * The manifests of a batch, durable and leased, and what they want; all of that before any row names them.
 *
 * A batch has up to 20,000 manifests, and one flush of the disk for each would take a minute. So it is asked for all of
 * them at once what can be, and side by side what cannot: writes that wait at the same time share a transaction.
 */
import type { Ledger, StageId } from '../../ledger/ledger.ts'
import type { Digest } from '../../model/digest.ts'
import { LIMITS } from '../../model/limits.ts'
import { slices } from '../../model/slice.ts'
import type { Clock } from '../../model/world.ts'
import type { Pool, Stored } from '../../pool/pool.ts'
import { blobsIn, type ExaminedManifest } from '../read/examine.ts'
import type { FileIndex } from '../read/file-index.ts'

export interface KeepParts {
  readonly ledger: Pick<Ledger, 'blobs'>
  readonly pool: Pick<Pool, 'put' | 'putAll' | 'absent'>
  readonly files: Pick<FileIndex, 'keep'>
  readonly clock: Clock
}

/** A manifest that was staged, and the blobs it names that are not in the depot yet. */
export interface StagedManifest {
  readonly manifest: Digest
  readonly missing: readonly Digest[]
}

const WANTED_AT_ONCE = 256
/** Each is a file, or thousands of rows. */
const LARGE_AT_ONCE = 8

export async function keepManifests(
  parts: KeepParts,
  stage: StageId,
  examined: readonly ExaminedManifest[],
): Promise<readonly StagedManifest[]> {
  const named: (readonly Stored[])[] = []
  const pace = slices(parts.clock)
  for (const manifest of examined) {
    named.push(blobsIn(manifest))
    await pace.breathe()
  }
  const leased = new Set(examined.map(({ digest }) => digest))
  for (const blobs of named) for (const { digest } of blobs) leased.add(digest)
  await parts.ledger.blobs.lease(stage, [...leased])
  await putManifests(parts, examined)
  const absent = await absentAmong(parts, named)
  const staged = examined.map(({ digest }, at) => {
    const missing = named[at]?.filter((blob) => absent.has(blob.digest)) ?? []
    return { manifest: digest, missing }
  })
  const wanting = staged.filter(({ missing }) => missing.length > 0)
  await eachOf(wanting, WANTED_AT_ONCE, async ({ manifest, missing }) => {
    await parts.ledger.blobs.want(stage, manifest, missing)
  })
  return staged.map(({ manifest, missing }) => ({ manifest, missing: missing.map(({ digest }) => digest) }))
}

async function putManifests(
  { pool, files }: KeepParts,
  examined: readonly ExaminedManifest[],
): Promise<void> {
  const small = examined.filter(({ bytes }) => bytes.length <= LIMITS.smallBlobBytes)
  if (small.length > 0) await pool.putAll(small.map(({ bytes }) => bytes))
  const large = examined.filter(({ bytes }) => bytes.length > LIMITS.smallBlobBytes)
  await eachOf(large, LARGE_AT_ONCE, async ({ bytes }) => await pool.put(bytes))
  const indexed = examined.filter(({ rows }) => rows.length > 0)
  await eachOf(indexed, LARGE_AT_ONCE, async (manifest) => await files.keep(manifest))
}

/**
 * Each blob is looked for once, with each size that is claimed for it: a wrong size makes a blob absent, and the commit
 * then says so. That manifests with the right size seem to lack it too does no harm, for the commit looks again.
 */
async function absentAmong(
  { pool, clock }: KeepParts,
  named: readonly (readonly Stored[])[],
): Promise<ReadonlySet<Digest>> {
  const blobs = new Map<string, Stored>()
  const pace = slices(clock)
  for (const some of named) {
    for (const blob of some) blobs.set(`${blob.digest} ${blob.size}`, blob)
    await pace.breathe()
  }
  return new Set(await pool.absent([...blobs.values()]))
}

async function eachOf<Item>(
  items: readonly Item[],
  atOnce: number,
  work: (item: Item) => Promise<unknown>,
): Promise<void> {
  for (const some of groupsOf(items, atOnce)) await Promise.all(some.map(work))
}

function* groupsOf<Item>(items: readonly Item[], size: number): Generator<readonly Item[]> {
  for (let at = 0; at < items.length; at += size) yield items.slice(at, at + size)
}
