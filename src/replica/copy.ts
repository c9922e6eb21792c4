/**
 * Copies one generation: everything that its metaset names, and the metaset last. So nothing is ever half here under
 * a digest that says it is whole: children before parents, as in a commit (DESIGN §4).
 */

import { wholeOf } from '../depot/read/whole.ts'
import { decodeMetaset, type Metaset } from '../metaset/metaset.ts'
import { type Digest, digestOf } from '../model/digest.ts'
import { failure, isFailure } from '../model/errors.ts'
import { LIMITS } from '../model/limits.ts'
import type { Nodes, Pool } from '../pool/pool.ts'
import { type CopyBlobsParts, copyBlobs } from './copy-blobs.ts'
import { copyTrees } from './copy-trees.ts'
import type { Progress } from './progress.ts'
import { RecentNodes } from './recent-nodes.ts'
import type { Upstream } from './upstream.ts'

export interface CopyParts extends Omit<CopyBlobsParts, 'progress' | 'upstream'> {
  readonly nodes: Pick<Nodes, 'has' | 'keep'>
  /** The same blobs as `pool`; a metaset may take from the reserve of a full disk. */
  readonly reserve: Pick<Pool, 'put'>
  readonly upstream: Pick<Upstream, 'nodes' | 'blob' | 'blobs'>
}

export interface Wanted {
  readonly metaset: Digest
  /** That of a generation which is complete here: only what differs is looked at. */
  readonly held: Digest | undefined
}

/**
 * Makes a generation complete here. It may be stopped at any moment, and goes on where it was. Fails as `copyTrees` and
 * `copyBlobs` do, or with `bad-request` when the metaset is none.
 */
export async function copyGeneration(
  parts: CopyParts,
  wanted: Wanted,
  progress: Progress,
  signal: AbortSignal,
): Promise<Metaset> {
  const { pool, nodes, upstream, clock, reserve } = parts
  const bytes =
    (await storedMetaset(pool, wanted.metaset)) ?? (await sentMetaset(parts, wanted.metaset, signal))
  const after = decodeMetaset(bytes)
  const held = wanted.held && (await storedMetaset(pool, wanted.held))
  const before = held && decodeMetaset(held)
  const trees = Object.values(after.channels).flatMap(({ releases, bound }) => [releases, bound])
  const recent = new RecentNodes(parts.reader)
  await copyTrees({ nodes, upstream, clock, counter: progress.nodes, recent }, trees, signal)
  await copyBlobs({ ...parts, reader: recent, progress }, { before, after }, signal)
  await reserve.put(bytes, { digest: wanted.metaset })
  return after
}

async function storedMetaset(pool: Pick<Pool, 'open'>, digest: Digest): Promise<Buffer | undefined> {
  try {
    const blob = await pool.open(digest)
    if (blob === undefined) return undefined
    const bytes = await wholeOf(blob)
    return digestOf(bytes) === digest ? bytes : undefined
  } catch (error) {
    if (isFailure(error, 'blob-corrupt')) return undefined
    throw error
  }
}

async function sentMetaset(
  { upstream }: Pick<CopyParts, 'upstream'>,
  digest: Digest,
  signal: AbortSignal,
): Promise<Buffer> {
  const bytes =
    (await smallMetaset(upstream, digest, signal)) ?? (await largeMetaset(upstream, digest, signal))
  const found = digestOf(bytes)
  if (found !== digest) throw failure('digest-mismatch', { expected: digest, found })
  return bytes
}

async function smallMetaset(
  upstream: Pick<Upstream, 'blobs'>,
  digest: Digest,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  for await (const sent of upstream.blobs([digest], signal))
    if (sent.digest === digest) return Buffer.from(sent.bytes)
  return undefined
}

async function largeMetaset(
  upstream: Pick<Upstream, 'blob'>,
  digest: Digest,
  signal: AbortSignal,
): Promise<Buffer> {
  const pieces: Buffer[] = []
  let size = 0
  try {
    for await (const piece of upstream.blob(digest, 0, signal)) {
      size += piece.length
      if (size > LIMITS.metasetBytes)
        throw failure('limit-exceeded', { what: 'bytes of a metaset', limit: LIMITS.metasetBytes })
      // A copy: the piece is ours only until we ask for the next one.
      pieces.push(Buffer.from(piece))
    }
  } catch (cause) {
    if (!isFailure(cause, 'not-found')) throw cause
    throw failure('blob-unavailable', { digest }, { cause })
  }
  return Buffer.concat(pieces)
}
