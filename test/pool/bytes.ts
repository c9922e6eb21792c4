/**
 * Bytes for tests: any number of them, the same for the same seed, whole or in pieces.
 */
import { createHash } from 'node:crypto'
import { type Digest, digestOf } from '../../src/model/digest.ts'

export function someBytes(length: number, seed: string | number = length): Buffer {
  return createHash('shake256', { outputLength: Math.max(length, 1) })
    .update(String(seed))
    .digest()
    .subarray(0, length)
}

export function digestsOf(...blobs: readonly Uint8Array[]): readonly Digest[] {
  return blobs.map((bytes) => digestOf(bytes))
}

/**
 * The bytes in pieces that end at the cuts, all in one buffer that the next piece overwrites: whoever keeps a piece
 * instead of its bytes is found out.
 */
export async function* inPieces(bytes: Uint8Array, ...cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  const ends = [...cuts.map((cut) => Math.min(cut, bytes.length)), bytes.length].sort((a, b) => a - b)
  const buffer = Buffer.alloc(bytes.length)
  let start = 0
  for (const end of ends) {
    const piece = buffer.subarray(0, end - start)
    piece.set(bytes.subarray(start, end))
    yield piece
    buffer.fill(0xee)
    start = end
  }
}

/** Pieces until the sender goes away. */
export async function* interrupted(...pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces
  throw new Error('the sender went away')
}

export async function listed<Item>(items: AsyncIterable<Item>): Promise<readonly Item[]> {
  const all: Item[] = []
  for await (const item of items) all.push(item)
  return all
}

export async function collected(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const kept: Buffer[] = []
  for await (const piece of pieces) kept.push(Buffer.from(piece))
  return Buffer.concat(kept)
}
