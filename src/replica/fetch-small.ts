/**
 * Brings small blobs, many in one request, and keeps them in transactions of a megabyte. The pool checks every digest.
 */
import type { Digest } from '../model/digest.ts'
import { failure } from '../model/errors.ts'
import type { Pool } from '../pool/pool.ts'
import type { Counter } from './progress.ts'
import type { SentBlob, Upstream } from './upstream.ts'

export interface FetchSmallParts {
  readonly pool: Pick<Pool, 'putAll'>
  readonly upstream: Pick<Upstream, 'blobs'>
}

export interface Count {
  readonly counter: Counter
  /** Nobody knew how many bytes there would be. */
  readonly sizesAreNews?: boolean
}

const GROUP_BYTES = 1_048_576

/** Those that did not come: the upstream has them not, or not as small ones. Fails with `digest-mismatch`. */
export async function fetchSmall(
  { pool, upstream }: FetchSmallParts,
  digests: readonly Digest[],
  { counter, sizesAreNews = false }: Count,
  signal: AbortSignal,
): Promise<readonly Digest[]> {
  const asked = new Set(digests)
  let group: SentBlob[] = []
  let bytes = 0
  async function keep(): Promise<void> {
    if (group.length === 0) return
    const [blobs, expected] = [group.map((sent) => sent.bytes), group.map(({ digest }) => digest)]
    const [count, length] = [group.length, bytes]
    group = []
    bytes = 0
    await pool.putAll(blobs, expected)
    if (sizesAreNews) counter.need(0, length)
    counter.have(count, length)
  }
  try {
    for await (const sent of upstream.blobs(digests, signal)) {
      if (!asked.delete(sent.digest))
        throw failure('digest-mismatch', { expected: 'a blob that was asked for', found: sent.digest })
      group.push(sent)
      bytes += sent.bytes.length
      if (bytes >= GROUP_BYTES) await keep()
    }
  } finally {
    // What came before the connection broke need not come again.
    await keep()
  }
  return [...asked]
}
