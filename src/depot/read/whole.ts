/**
 * A blob as one buffer, where its size is bounded by what it is: a manifest, a metaset.
 */
import type { Soon } from '../../model/soon.ts'
import type { Blob } from '../../pool/pool.ts'

/** At once when its bytes are at hand. */
export function wholeOf(blob: Blob): Soon<Buffer> {
  if (blob.bytes === undefined) return gathered(blob)
  return Buffer.from(blob.bytes.buffer, blob.bytes.byteOffset, blob.bytes.byteLength)
}

async function gathered(blob: Blob): Promise<Buffer> {
  const whole = Buffer.allocUnsafe(blob.size)
  let at = 0
  for await (const piece of blob.read()) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}
