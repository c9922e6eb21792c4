/**
 * A batch of small blobs as one body, `application/vnd.depot.blobs`: for each blob 32 bytes of SHA-256, four bytes of
 * length (big endian), and the bytes. A release of 18,000 small files is then no 18,000 requests.
 */
import { DIGEST_BYTES, type Digest, digestOfRaw, rawOf } from '../model/digest.ts'
import { failure } from '../model/errors.ts'
import { LIMITS } from '../model/limits.ts'

export interface BatchedBlob {
  readonly digest: Digest
  readonly bytes: Uint8Array
}

const HEADER_BYTES = DIGEST_BYTES + 4

/** Bytes that a blob of this size takes in a batch. */
export function batchedSize(size: number): number {
  return HEADER_BYTES + size
}

export function encodeBatch(blobs: readonly BatchedBlob[]): Buffer {
  return Buffer.concat(
    blobs.flatMap(({ digest, bytes }) => {
      const length = Buffer.alloc(4)
      length.writeUInt32BE(bytes.length)
      return [rawOf(digest), length, bytes]
    }),
  )
}

/** The blobs are views into `body`. Their digests are claims, not checked here. Fails with `bad-request` or `limit-exceeded`. */
export function decodeBatch(body: Buffer): readonly BatchedBlob[] {
  const blobs: BatchedBlob[] = []
  for (let at = 0; at < body.length; ) {
    if (blobs.length >= LIMITS.batchBlobs)
      throw failure('limit-exceeded', { what: 'blobs in a batch', limit: LIMITS.batchBlobs })
    if (at + HEADER_BYTES > body.length)
      throw failure('bad-request', { reason: 'the batch ends inside a header' })
    const size = body.readUInt32BE(at + DIGEST_BYTES)
    if (size > LIMITS.smallBlobBytes)
      throw failure('limit-exceeded', {
        what: 'bytes of a blob in a batch',
        limit: LIMITS.smallBlobBytes,
        found: size,
      })
    const start = at + HEADER_BYTES
    if (start + size > body.length) throw failure('bad-request', { reason: 'the batch ends inside a blob' })
    blobs.push({
      digest: digestOfRaw(body.subarray(at, at + DIGEST_BYTES)),
      bytes: body.subarray(start, start + size),
    })
    at = start + size
  }
  return blobs
}
