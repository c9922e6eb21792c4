/**
 * A batch of small blobs as one body, `application/vnd.depot.blobs`: for each blob 32 bytes of SHA-256, four bytes of
 * length (big endian), and the bytes. A release of 18,000 small files is then no 18,000 requests.
 *
 * Packed nodes travel in the same form, and may be larger.
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
  return Buffer.concat(blobs.flatMap(({ digest, bytes }) => [batchHeader(digest, bytes.length), bytes]))
}

/** What stands before the bytes of a blob. */
export function batchHeader(digest: Digest, size: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  rawOf(digest).copy(header)
  header.writeUInt32BE(size, DIGEST_BYTES)
  return header
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

export interface BatchBounds {
  /** Where the batch comes from, for a failure's text. */
  readonly url: string
  readonly blobs: number
  readonly blobBytes: number
}

/**
 * The blobs of a batch that comes piece by piece, each as soon as it is whole. Only that one is kept, and what it says
 * of its size is looked at before any of it. Their digests are claims, not checked here. Fails with `answer-invalid`.
 */
export async function* decodeBatchStream(
  chunks: AsyncIterable<Uint8Array>,
  bounds: BatchBounds,
): AsyncGenerator<BatchedBlob> {
  const coming = new ComingBatch(bounds)
  for await (const chunk of chunks) yield* coming.add(chunk)
  coming.end()
}

class ComingBatch {
  readonly #bounds: BatchBounds
  readonly #header = Buffer.alloc(HEADER_BYTES)
  /** Of the blob that is coming; undefined while its header is. */
  #bytes: Buffer | undefined
  /** How much of the header, or of the bytes, is here. */
  #filled = 0
  #count = 0

  constructor(bounds: BatchBounds) {
    this.#bounds = bounds
  }

  *add(chunk: Uint8Array): Generator<BatchedBlob> {
    for (let at = 0; at < chunk.length; ) {
      at += this.#fill(chunk.subarray(at))
      const blob = this.#whole()
      if (blob !== undefined) yield blob
    }
  }

  end(): void {
    if (this.#bytes !== undefined || this.#filled > 0)
      throw this.#invalid('a batch that ends in the middle of a blob')
  }

  #fill(bytes: Uint8Array): number {
    const filling = this.#bytes ?? this.#header
    const taken = Math.min(bytes.length, filling.length - this.#filled)
    filling.set(bytes.subarray(0, taken), this.#filled)
    this.#filled += taken
    return taken
  }

  #whole(): BatchedBlob | undefined {
    if (this.#bytes === undefined) {
      if (this.#filled < HEADER_BYTES) return undefined
      this.#bytes = this.#room()
      this.#filled = 0
    }
    if (this.#filled < this.#bytes.length) return undefined
    const blob = { digest: digestOfRaw(this.#header), bytes: this.#bytes }
    this.#bytes = undefined
    this.#filled = 0
    return blob
  }

  /** For the bytes that come behind the header. */
  #room(): Buffer {
    const { blobs, blobBytes } = this.#bounds
    this.#count += 1
    if (this.#count > blobs) throw this.#invalid(`more than ${blobs} blobs`)
    const size = this.#header.readUInt32BE(DIGEST_BYTES)
    if (size > blobBytes)
      throw this.#invalid(`a blob of ${size} bytes in a batch, and ${blobBytes} is the most`)
    return Buffer.allocUnsafe(size)
  }

  #invalid(reason: string): Error {
    return failure('answer-invalid', { url: this.#bounds.url, reason })
  }
}
