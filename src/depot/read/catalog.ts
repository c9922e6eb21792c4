/**
 * A whole catalog as bytes, straight from the stored segments of its leaves (DESIGN §3).
 *
 * As gzip nothing is compressed, inflated or parsed: a header, the segments as they are, an empty last block, and the
 * combined CRC-32 that the tree knows. As plain NDJSON the segments are inflated, many at a time, off the main thread.
 */
import { constants, crc32, inflateRaw } from 'node:zlib'
import type { NodeReader } from '../../metaset/node.ts'
import { leaves } from '../../metaset/read.ts'
import type { Tree } from '../../metaset/tree.ts'
import { failure } from '../../model/errors.ts'
import type { Nodes, Segment } from '../../pool/pool.ts'

export interface CatalogSources {
  readonly reader: NodeReader
  readonly nodes: Pick<Nodes, 'segment'>
}

/** Magic, deflate, no flags, no time, no extra flags, unknown system (RFC 1952 §2.3). */
const GZIP_HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])
/** A last block of fixed Huffman codes with nothing in it (RFC 1951 §3.2.3). */
const LAST_BLOCK = Buffer.from([0x03, 0x00])
const TRAILER_BYTES = 8
const GZIP_PIECE_BYTES = 262_144
const PLAIN_PIECE_BYTES = 1_048_576

/** One ordinary gzip member. Fails with `blob-unavailable` or `blob-corrupt`. */
export async function* gzippedCatalog(sources: CatalogSources, tree: Tree): AsyncGenerator<Uint8Array> {
  let pieces: Uint8Array[] = [GZIP_HEADER]
  let size = GZIP_HEADER.length
  for await (const leaf of leaves(sources.reader, tree)) {
    const { deflated } = segmentOf(sources, leaf)
    pieces.push(deflated)
    size += deflated.length
    if (size < GZIP_PIECE_BYTES) continue
    yield Buffer.concat(pieces)
    pieces = []
    size = 0
  }
  yield Buffer.concat([...pieces, LAST_BLOCK, trailerOf(tree)])
}

/** The leaves one after the other. Fails with `blob-unavailable` or `blob-corrupt`. */
export async function* plainCatalog(sources: CatalogSources, tree: Tree): AsyncGenerator<Uint8Array> {
  // The next pieces are inflated while the one before is sent.
  let ahead: Promise<Uint8Array> | undefined
  for await (const batch of batchesOf(sources, tree)) {
    const next = inflated(batch)
    next.catch(() => undefined)
    if (ahead !== undefined) yield await ahead
    ahead = next
  }
  if (ahead !== undefined) yield await ahead
}

async function* batchesOf(sources: CatalogSources, tree: Tree): AsyncGenerator<readonly StoredLeaf[]> {
  let batch: StoredLeaf[] = []
  let size = 0
  for await (const leaf of leaves(sources.reader, tree)) {
    batch.push({ leaf, segment: segmentOf(sources, leaf) })
    size += leaf.bytes
    if (size < PLAIN_PIECE_BYTES) continue
    yield batch
    batch = []
    size = 0
  }
  if (batch.length > 0) yield batch
}

interface StoredLeaf {
  readonly leaf: Tree
  readonly segment: Segment
}

function segmentOf({ nodes }: CatalogSources, leaf: Tree): Segment {
  const segment = nodes.segment(leaf.root)
  if (segment === undefined) throw failure('blob-unavailable', { digest: leaf.root })
  if (segment.crc32 !== leaf.crc32 || segment.length !== leaf.bytes)
    throw failure('blob-corrupt', { digest: leaf.root, reason: 'its checksum is not the one the tree has' })
  return segment
}

async function inflated(batch: readonly StoredLeaf[]): Promise<Uint8Array> {
  const deflated = Buffer.concat(batch.map(({ segment }) => segment.deflated))
  const plain = await new Promise<Buffer>((resolve, reject) => {
    // A segment ends with a full flush and not with a last block, so the end of the input is not an error.
    inflateRaw(deflated, { finishFlush: constants.Z_SYNC_FLUSH }, (error, bytes) => {
      if (error === null) resolve(bytes)
      else reject(error)
    })
  })
  let at = 0
  for (const { leaf } of batch) {
    if (crc32(plain.subarray(at, at + leaf.bytes)) !== leaf.crc32)
      throw failure('blob-corrupt', { digest: leaf.root, reason: 'its bytes do not have its checksum' })
    at += leaf.bytes
  }
  return plain
}

function trailerOf(tree: Tree): Buffer {
  const trailer = Buffer.alloc(TRAILER_BYTES)
  trailer.writeUInt32LE(tree.crc32 >>> 0)
  trailer.writeUInt32LE(tree.bytes % 2 ** 32, 4)
  return trailer
}
