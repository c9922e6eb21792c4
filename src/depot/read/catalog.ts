/**
 * A whole catalog as bytes, straight from the stored segments of its leaves (DESIGN §3).
 *
 * As gzip nothing is compressed, inflated or parsed: a header, the segments as they are, an empty last block, and the
 * combined CRC-32 that the tree knows. As plain NDJSON the segments are inflated, many at once, off the main thread.
 *
 * A piece is valid until the next one is asked for.
 */
import { strict as assert } from 'node:assert'
import { constants, crc32, inflateRaw } from 'node:zlib'
import type { NodeReader } from '../../metaset/node.ts'
import { runsOfLeaves } from '../../metaset/read.ts'
import type { Tree } from '../../metaset/tree.ts'
import { failure } from '../../model/errors.ts'
import type { Slices } from '../../model/slice.ts'
import type { Nodes, Segment } from '../../pool/pool.ts'

export interface CatalogSources {
  readonly reader: NodeReader
  readonly nodes: Pick<Nodes, 'segment' | 'lent'>
  readonly slices: Slices
}

/** Magic, deflate, no flags, no time, no extra flags, unknown system (RFC 1952 §2.3). */
const GZIP_HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])
/** A last block of fixed Huffman codes with nothing in it (RFC 1951 §3.2.3). */
const LAST_BLOCK = Buffer.from([0x03, 0x00])
const TRAILER_BYTES = 8
const GZIP_PIECE_BYTES = 262_144
/** What one trip to a thread inflates: 2 ms of its time. */
const PLAIN_PIECE_BYTES = 524_288
/** Pieces that are inflated while one is sent: two threads are busy. */
const PLAIN_AHEAD = 2

/** One ordinary gzip member. Fails with `blob-unavailable` or `blob-corrupt`. */
export async function* gzippedCatalog(sources: CatalogSources, tree: Tree): AsyncGenerator<Uint8Array> {
  const piece = Buffer.allocUnsafeSlow(GZIP_PIECE_BYTES)
  let size = GZIP_HEADER.copy(piece)
  for await (const run of runsOfLeaves(sources.reader, tree)) {
    for (const leaf of run) {
      let { deflated } = demandRight(leaf, sources.nodes.lent(leaf.root))
      if (size + deflated.length > piece.length) {
        // Others read while the piece is on its way, and what was lent is theirs then.
        deflated = Buffer.from(deflated)
        yield piece.subarray(0, size)
        size = 0
      }
      if (deflated.length > piece.length) yield deflated
      else {
        piece.set(deflated, size)
        size += deflated.length
      }
    }
    await sources.slices.breathe()
  }
  yield Buffer.concat([piece.subarray(0, size), LAST_BLOCK, trailerOf(tree)])
}

/** The leaves one after the other. Fails with `blob-unavailable` or `blob-corrupt`. */
export async function* plainCatalog(sources: CatalogSources, tree: Tree): AsyncGenerator<Uint8Array> {
  const ahead: Promise<Uint8Array>[] = []
  for await (const batch of batchesOf(sources, tree)) {
    const next = inflated(batch)
    next.catch(() => undefined)
    ahead.push(next)
    if (ahead.length > PLAIN_AHEAD) yield await firstOf(ahead)
  }
  while (ahead.length > 0) yield await firstOf(ahead)
}

function firstOf(ahead: Promise<Uint8Array>[]): Promise<Uint8Array> {
  const first = ahead.shift()
  assert(first !== undefined)
  return first
}

async function* batchesOf(sources: CatalogSources, tree: Tree): AsyncGenerator<Batch> {
  let batch = new Batch()
  for await (const run of runsOfLeaves(sources.reader, tree)) {
    for (const leaf of run) {
      batch.add(leaf, demandRight(leaf, sources.nodes.segment(leaf.root)))
      if (batch.bytes < PLAIN_PIECE_BYTES) continue
      yield batch
      batch = new Batch()
    }
    await sources.slices.breathe()
  }
  if (batch.bytes > 0) yield batch
}

/** Leaves that are inflated together: their segments one after the other are one deflate stream. */
class Batch {
  readonly leaves: Tree[] = []
  readonly deflated: Uint8Array[] = []
  bytes = 0

  add(leaf: Tree, { deflated }: Segment): void {
    this.leaves.push(leaf)
    this.deflated.push(deflated)
    this.bytes += leaf.bytes
  }
}

/** The segment of a leaf, which has the length and the checksum that the tree says. */
function demandRight(leaf: Tree, segment: Segment | undefined): Segment {
  if (segment === undefined) throw failure('blob-unavailable', { digest: leaf.root })
  if (segment.crc32 !== leaf.crc32 || segment.length !== leaf.bytes)
    throw failure('blob-corrupt', { digest: leaf.root, reason: 'its checksum is not the one the tree has' })
  return segment
}

async function inflated({ leaves, deflated, bytes }: Batch): Promise<Uint8Array> {
  const plain = await inflate(Buffer.concat(deflated), bytes).catch((error: unknown) => String(error))
  if (typeof plain === 'string' || plain.length !== bytes)
    throw failure('blob-corrupt', {
      digest: leaves[0]?.root ?? '',
      reason: `it, or one of the ${leaves.length - 1} leaves behind it, does not inflate to what the tree has`,
    })
  let at = 0
  for (const leaf of leaves) {
    if (crc32(plain.subarray(at, at + leaf.bytes)) !== leaf.crc32)
      throw failure('blob-corrupt', { digest: leaf.root, reason: 'its bytes do not have its checksum' })
    at += leaf.bytes
  }
  return plain
}

function inflate(deflated: Uint8Array, bytes: number): Promise<Buffer> {
  const options = {
    // A segment ends with a full flush and not with a last block, so the end of the input is not an error.
    finishFlush: constants.Z_SYNC_FLUSH,
    // All of it, and a byte by which zlib sees the end, in one trip to a thread: of chunks of the usual 16 KiB each
    // would be one, and they cost more than the inflating.
    chunkSize: Math.max(bytes + 1, constants.Z_MIN_CHUNK),
    maxOutputLength: bytes,
  }
  return new Promise((resolve, reject) => {
    inflateRaw(deflated, options, (error, plain) => {
      if (error === null) resolve(plain)
      else reject(error)
    })
  })
}

function trailerOf(tree: Tree): Buffer {
  const trailer = Buffer.alloc(TRAILER_BYTES)
  trailer.writeUInt32LE(tree.crc32 >>> 0)
  trailer.writeUInt32LE(tree.bytes % 2 ** 32, 4)
  return trailer
}
