/**
 * The manifests that one metaset names and another does not, as their trees differ: what is equal on both sides is not
 * read, so it costs what changed, however many generations lie between the two.
 */
import { type Difference, diff } from '../metaset/diff.ts'
import { channelIn, type Metaset } from '../metaset/metaset.ts'
import type { NodeReader } from '../metaset/node.ts'
import { decodeRelease } from '../metaset/release.ts'
import { EMPTY_TREE, type Tree } from '../metaset/tree.ts'
import { type Digest, isDigest } from '../model/digest.ts'
import { failure } from '../model/errors.ts'
import { slices } from '../model/slice.ts'
import type { Clock } from '../model/world.ts'

export interface ChangedParts {
  readonly reader: NodeReader
  readonly clock: Pick<Clock, 'monotonic'>
}

/**
 * In the order of channel and key; some more than once. Dropped channels count: a rollback may bring one back. Fails with
 * `blob-corrupt` when a line names no manifest.
 */
export async function* changedManifests(
  parts: ChangedParts,
  before: Metaset | undefined,
  after: Metaset,
): AsyncGenerator<Digest> {
  // A channel that was cloned from another one has nothing that is new.
  const known = new Set(Object.values(before?.channels ?? {}).map(({ releases }) => releases.root))
  for (const [name, { releases }] of Object.entries(after.channels)) {
    const old = before && channelIn(before, name)?.releases
    if (!known.has(releases.root)) yield* changedBetween(parts, old ?? EMPTY_TREE, releases)
  }
}

async function* changedBetween(
  { reader, clock }: ChangedParts,
  before: Tree,
  after: Tree,
): AsyncGenerator<Digest> {
  const pace = slices(clock)
  for await (const difference of diff(reader, before, after)) {
    const manifest = newManifest(difference)
    if (manifest !== undefined) yield manifest
    const pause = pace.breathe()
    if (pause !== undefined) await pause
  }
}

function newManifest({ before, after }: Difference): Digest | undefined {
  const manifest = after && manifestIn(after)
  return before !== undefined && manifestIn(before) === manifest ? undefined : manifest
}

function manifestIn(line: Buffer): Digest {
  const { manifest, name, version } = decodeRelease(line)
  if (isDigest(manifest)) return manifest
  throw failure('blob-corrupt', { digest: String(manifest), reason: `${name} ${version} has no manifest` })
}
