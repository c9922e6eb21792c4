/**
 * Bytes that come, held against what was declared of them and against what a blob may have.
 */
import { failure } from '../model/errors.ts'
import { LIMITS } from '../model/limits.ts'
import type { Expected, Stored } from './pool.ts'

export type Pieces = Iterable<Uint8Array> | AsyncIterable<Uint8Array>

/** Hashing so much takes less than a millisecond: nobody waits for a piece. */
export const PIECE_BYTES = 1_048_576

/** The pieces, as long as there is no more than was declared, or than a blob may have. */
export async function* measured(source: Pieces, expected: Expected | undefined): AsyncGenerator<Uint8Array> {
  let size = 0
  for await (const piece of source) {
    size += piece.length
    if (expected?.size !== undefined && size > expected.size)
      throw failure('digest-mismatch', {
        expected: expected.digest,
        found: `more than ${expected.size} bytes`,
      })
    if (size > LIMITS.blobBytes) throw tooLong(LIMITS.blobBytes)
    yield* cut(piece)
  }
}

export function* cut(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES)
}

/** Fails with `digest-mismatch`. */
export function refuseUnless(expected: Expected | undefined, { digest, size }: Stored): void {
  if (expected === undefined) return
  if (expected.digest !== digest)
    throw failure('digest-mismatch', { expected: expected.digest, found: digest })
  if (expected.size !== undefined && expected.size !== size)
    throw failure('digest-mismatch', { expected: `${expected.size} bytes`, found: `${size} bytes` })
}

export function tooLong(limit: number, found?: number): Error {
  return failure('limit-exceeded', {
    what: 'bytes of a blob',
    limit,
    ...(found === undefined ? {} : { found }),
  })
}

const UPLOAD_ID = /^[A-Za-z0-9-]{1,128}$/

/** The id of an upload becomes the name of a file. Fails with `bad-request`. */
export function demandUploadId(id: string): void {
  if (!UPLOAD_ID.test(id))
    throw failure('bad-request', { reason: 'the id of an upload is 1 to 128 letters, digits and "-"' })
}

/** Fails with `limit-exceeded`. */
export function demandUploadSize(size: number): void {
  if (size > LIMITS.blobBytes) throw tooLong(LIMITS.blobBytes, size)
}

export function unknownUpload(id: string): Error {
  return failure('not-found', { what: `upload ${id}` })
}

export function uploadTooLong(limit: number): Error {
  return failure('limit-exceeded', { what: 'bytes of this upload', limit })
}
