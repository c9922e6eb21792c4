/**
 * What other nodes copy: blobs and tree nodes by their digests, checked before they leave, so that damage here is not
 * damage there.
 *
 * Nodes leave as they are stored, for whoever keeps them verbatim serves the same catalog bytes (PROTOCOL §4).
 */
import { type Digest, digestOf } from '../../model/digest.ts'
import { failure, isFailure } from '../../model/errors.ts'
import { LIMITS } from '../../model/limits.ts'
import type { Slices } from '../../model/slice.ts'
import type { Nodes, Pool } from '../../pool/pool.ts'
import { packSegment, plainNode } from '../../pool/segment.ts'

export interface ObjectSources {
  readonly pool: Pick<Pool, 'open'>
  readonly nodes: Pick<Nodes, 'segment'>
}

/** `blob`: small blobs. `segment`: nodes of trees, packed. */
export type ObjectForm = 'blob' | 'segment'

export interface SentObject {
  readonly digest: Digest
  readonly bytes: Uint8Array
}

export interface ObjectsWish {
  readonly digests: readonly Digest[]
  readonly form: ObjectForm
  readonly slices: Slices
  /** Told of what is here and damaged. */
  readonly onDamaged: (error: Error) => void
}

/**
 * Those that are here, in the order asked. What is not here, large or damaged is left out: whoever needs it asks for it
 * alone, and is told why. Nothing is open between two of them.
 */
export async function* objectsOf(sources: ObjectSources, wish: ObjectsWish): AsyncGenerator<SentObject> {
  const { digests, form, slices, onDamaged } = wish
  for (const digest of digests) {
    const pause = slices.breathe()
    if (pause !== undefined) await pause
    try {
      const bytes =
        form === 'segment' ? packedNode(sources.nodes, digest) : await smallBlob(sources.pool, digest)
      if (bytes !== undefined) yield { digest, bytes }
    } catch (error) {
      if (!isFailure(error, 'blob-corrupt')) throw error
      onDamaged(error)
    }
  }
}

/** A node as it is stored; undefined when it is not here. Fails with `blob-corrupt`. */
export function packedNode(nodes: Pick<Nodes, 'segment'>, digest: Digest): Uint8Array | undefined {
  const segment = nodes.segment(digest)
  if (segment === undefined) return undefined
  if (digestOf(plainNode(digest, segment)) !== digest)
    throw failure('blob-corrupt', { digest, reason: 'its bytes have another SHA-256' })
  return packSegment(segment)
}

async function smallBlob(pool: Pick<Pool, 'open'>, digest: Digest): Promise<Uint8Array | undefined> {
  const blob = await pool.open(digest)
  return blob !== undefined && blob.size <= LIMITS.smallBlobBytes ? blob.bytes : undefined
}
