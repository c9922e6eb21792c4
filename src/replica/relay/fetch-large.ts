/**
 * Brings one large blob, as an upload under way: when it is interrupted, the next try goes on where it ended, also after
 * a restart.
 */
import { copyId } from '../../depot/stage/stages.ts'
import { type Digest, hexOf } from '../../model/digest.ts'
import { failure, isFailure } from '../../model/errors.ts'
import { LIMITS } from '../../model/limits.ts'
import type { Incoming } from '../../pool/pool.ts'
import type { Counter } from '../progress.ts'
import type { Upstream } from '../upstream.ts'

export interface FetchLargeParts {
  readonly incoming: Incoming
  readonly upstream: Pick<Upstream, 'blob'>
}

export interface LargeBlob {
  readonly digest: Digest
  /** Where it is known; else it is what comes, up to `LIMITS.manifestBytes`. */
  readonly size?: number
}

/**
 * Fails with `blob-unavailable` when the upstream has it not, with `origin-unreachable` when it ends early, and with
 * `digest-mismatch`, which keeps nothing.
 */
export async function fetchLarge(
  { incoming, upstream }: FetchLargeParts,
  { digest, size }: LargeBlob,
  counter: Counter,
  signal: AbortSignal,
): Promise<void> {
  const id = copyId(hexOf(digest))
  const most = size ?? LIMITS.manifestBytes
  let here = (await incoming.offset(id)) ?? 0
  if (here > most) {
    await incoming.drop(id)
    here = 0
  }
  counter.have(0, here)
  if (size === undefined) counter.need(0, here)
  if (here !== size) {
    const source = received(upstream.blob(digest, here, signal), { digest, most: most - here }, (bytes) => {
      counter.have(0, bytes)
      if (size === undefined) counter.need(0, bytes)
    })
    // Room is asked for piece by piece when nobody knows how much there will be.
    here = await incoming.append(id, here, source, size ?? LIMITS.blobBytes)
  }
  if (size !== undefined && here < size)
    throw failure('origin-unreachable', { reason: `${digest} ended after ${here} of ${size} bytes` })
  await incoming.finish(id, { digest, size: here })
  counter.have(1, 0)
}

async function* received(
  source: AsyncIterable<Uint8Array>,
  { digest, most }: { readonly digest: Digest; readonly most: number },
  count: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  let bytes = 0
  try {
    for await (const piece of source) {
      bytes += piece.length
      if (bytes > most)
        throw failure('digest-mismatch', { expected: digest, found: 'more bytes than it has' })
      count(piece.length)
      yield piece
    }
  } catch (cause) {
    if (!isFailure(cause, 'not-found')) throw cause
    throw failure('blob-unavailable', { digest }, { cause })
  }
}
