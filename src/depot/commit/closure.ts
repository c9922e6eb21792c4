/**
 * Before a commit: every blob that a manifest of the stage names is in the depot, and has the size that it says.
 */
import type { Ledger, Stage, Wanted } from '../../ledger/ledger.ts'
import type { Digest } from '../../model/digest.ts'
import { failure } from '../../model/errors.ts'
import { LIMITS } from '../../model/limits.ts'
import { slices } from '../../model/slice.ts'
import type { Clock } from '../../model/world.ts'
import type { Pool } from '../../pool/pool.ts'
import { channelsOf, releaseChangesOf } from './rows.ts'

export interface ClosureParts {
  readonly ledger: Pick<Ledger, 'blobs' | 'changes'>
  readonly pool: Pick<Pool, 'open' | 'absent'>
  readonly clock: Clock
}

const PAGE = 1000

/** Fails with `blob-missing`, which lists the first thousand, or `manifest-invalid` when a size is wrong. */
export async function demandBlobs(parts: ClosureParts, stage: Stage): Promise<void> {
  const missing = await missingBlobs(parts, stage)
  if (missing.length === 0) return
  for (const { digest, size } of missing) {
    const blob = await parts.pool.open(digest)
    if (blob !== undefined)
      throw failure('manifest-invalid', {
        reason: `${digest} has ${blob.size} bytes, a manifest says ${size}`,
      })
  }
  throw failure('blob-missing', { missing: missing.map((blob) => blob.digest), total: missing.length })
}

/** The first blobs that manifests of the stage name and that are absent; at most a thousand. */
export async function missingBlobs(parts: ClosureParts, stage: Stage): Promise<readonly Wanted[]> {
  const missing: Wanted[] = []
  let staged: ReadonlySet<Digest> | undefined
  let after: Wanted | undefined
  for (;;) {
    const page = parts.ledger.blobs.wanted(stage.id, after, PAGE)
    after = page.at(-1)
    const absent = new Set(await parts.pool.absent(page))
    const candidates = page.filter((wanted) => absent.has(wanted.digest))
    // A manifest that was staged and then replaced may still want blobs that nobody needs any more.
    if (candidates.length > 0) staged ??= await stagedManifests(parts, stage)
    missing.push(...candidates.filter((wanted) => staged?.has(wanted.manifest) === true))
    if (page.length < PAGE || missing.length >= LIMITS.missingListed)
      return missing.slice(0, LIMITS.missingListed)
  }
}

async function stagedManifests({ ledger, clock }: ClosureParts, stage: Stage): Promise<ReadonlySet<Digest>> {
  const manifests = new Set<Digest>()
  const pace = slices(clock)
  for (const channel of channelsOf(ledger.changes, stage.id))
    for (const { change } of releaseChangesOf(ledger.changes, stage.id, channel)) {
      if (change.kind === 'line') manifests.add(change.release.manifest)
      const turn = pace.breathe()
      if (turn !== undefined) await turn
    }
  return manifests
}
