/**
 * A blob as one buffer, where its size is bounded by what it is: a manifest, a metaset.
 */
import type { Blob } from '../../pool/pool.ts'

export async function wholeOf(blob: Blob): Promise<Buffer> {
  if (blob.bytes !== undefined)
    return Buffer.from(blob.bytes.buffer, blob.bytes.byteOffset, blob.bytes.byteLength)
  const whole = Buffer.allocUnsafe(blob.size)
  let at = 0
  for await (const piece of blob.read()) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}
