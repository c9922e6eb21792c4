/**
 * The pool never changes: every byte of the depot is a blob in it, put once under its SHA-256 (DESIGN §2, §4).
 *
 * Three ports, each kept by every implementation and held to its promises by one suite in `test/pool/`:
 *
 *   Pool      blobs: files and manifests, small ones inside LMDB, large ones as files
 *   Nodes     the nodes of the trees, kept as deflate segments that make up a catalog without being touched
 *   Incoming  uploads that are under way, which may be interrupted and go on later
 */

import type { Purpose } from '../disk/room.ts'
import type { Digest } from '../model/digest.ts'
import type { Soon } from '../model/soon.ts'

export type { Purpose }

/** Bytes at hand, or bytes that come piece by piece. */
export type Bytes = Uint8Array | AsyncIterable<Uint8Array>

/** What bytes must turn out to be; where it is given and they are not, `digest-mismatch` and nothing is kept. */
export interface Expected {
  readonly digest: Digest
  readonly size?: number
}

export interface Stored {
  readonly digest: Digest
  readonly size: number
}

/** An open blob. It holds no transaction and no lock: reading may take as long as the reader likes. */
export interface Blob extends Stored {
  /** All bytes, when the blob is small enough to be at hand (64 KiB); never changed by whoever gets it. */
  readonly bytes?: Uint8Array
  /**
   * The bytes from `start` up to, not including, `end`. A piece is valid until the next one is asked for: large
   * blobs are read into buffers that are used again.
   */
  read(start?: number, end?: number): AsyncIterable<Uint8Array>
}

/**
 * P1. What `put` and `putAll` have returned is durable: it outlives a crash of this machine.
 * P2. `open` gives exactly the bytes that hash to the digest, as far as a check costs little (small blobs are
 *     checked whole, large ones by size), or fails with `blob-corrupt`; `scrub` checks the rest.
 * P3. `put` of bytes that are there already is a cheap success; `put` over a damaged blob heals it.
 * P4. A `put` that fails, or dies half-way, leaves the whole blob or nothing of it.
 * P5. A full disk refuses with `disk-full` before anything is written, and reading goes on.
 */
export interface Pool {
  /** Fails with `digest-mismatch`, `limit-exceeded` or `disk-full`. */
  put(bytes: Bytes, expected?: Expected): Promise<Stored>
  /**
   * Many small blobs (64 KiB each at most) in one durable transaction, or a few when they are thousands; the digests
   * come in the same order. Where `expected` digests are given and one is another, fails with `digest-mismatch` and
   * keeps nothing.
   */
  putAll(blobs: readonly Uint8Array[], expected?: readonly Digest[]): Promise<readonly Digest[]>
  /**
   * The digests of those that are not here with that size, in the order asked, without reading any bytes: 18,000 small
   * ones cost no access to the file system, for the size tells where a blob lives.
   */
  absent(blobs: readonly Stored[]): Promise<readonly Digest[]>
  /**
   * The blob, or undefined when it is not here; at once where it costs no wait. Fails with `blob-corrupt`, as a promise
   * that is rejected.
   */
  open(digest: Digest): Soon<Blob | undefined>
  remove(digests: readonly Digest[]): Promise<void>
}

/** What `scrub` and the sweep walk over: everything that is here, in the order of digests, from the one after `after`. */
export interface Listing {
  list(after?: Digest): AsyncIterable<Stored>
}

/** A node of a tree as it is stored: a raw deflate segment ended by a full flush, and what a gzip trailer needs. */
export interface Segment {
  readonly crc32: number
  /** Bytes of the plain text. */
  readonly length: number
  readonly deflated: Uint8Array
}

export interface PlainNode {
  readonly digest: Digest
  readonly bytes: Uint8Array
}

/** A node in the form in which it is stored. */
export interface PackedNode {
  readonly digest: Digest
  readonly segment: Segment
}

/**
 * N1. What `keep` has returned is durable.
 * N2. `read` gives bytes whose CRC-32 was checked, or fails with `blob-corrupt`.
 * N3. Segments put one after the other, with a gzip header before and an empty last block, the combined CRC-32 and
 *     the length behind, are one gzip member.
 */
export interface Nodes {
  /** Whether a node is here, without reading it. */
  has(digest: Digest): boolean
  /** The plain bytes. Fails with `blob-unavailable` when it is not here. */
  read(digest: Digest): Promise<Uint8Array>
  /** The stored form, verbatim; undefined when it is not here. */
  segment(digest: Digest): Segment | undefined
  /** As `segment`, but its bytes are good only until the next read of anything: for those who copy or inflate at once. */
  lent(digest: Digest): Segment | undefined
  /** Packs nodes, in the same order; many of them on other threads. Nothing is kept. */
  pack(nodes: readonly PlainNode[]): Promise<readonly PackedNode[]>
  /**
   * Writes those that are not here yet, and those that are here and damaged. Only a commit may take from the reserve
   * of a full disk. Fails with `disk-full`.
   */
  keep(nodes: readonly PackedNode[], purpose: Purpose): Promise<void>
  list(after?: Digest): AsyncIterable<Stored>
}

/**
 * Uploads under way, each under an id of its uploader's choice (letters, digits, `-`).
 *
 * U1. `append` writes nothing but the bytes from `offset` on, and only where `offset` is what is there already.
 * U2. What was appended before a crash may be there after it, or less of it; `offset` tells.
 * U3. `finish` hashes what it has not hashed while the bytes came, and then keeps the promises of `Pool.put`.
 * U4. `read` gives what `append` has taken, also while it takes more: as many bytes as `offset` has told before.
 */
export interface Incoming {
  /** Bytes that are there; undefined when no such upload is under way. */
  offset(id: string): Promise<number | undefined>
  /**
   * Appends what comes, up to `size` in all, and returns the new offset; also when the sender went away half-way
   * (the error is then thrown after what came was kept). Fails with `offset-mismatch`, `limit-exceeded`,
   * `disk-full`, or `upload-busy` when another request appends to the same upload.
   */
  append(id: string, offset: number, bytes: AsyncIterable<Uint8Array>, size: number): Promise<number>
  /**
   * The bytes from `start` up to, not including, `end`, whose digest nobody has looked at yet; fewer when it has ended
   * or was dropped meanwhile. A piece is valid until the next one is asked for.
   */
  read(id: string, start: number, end: number): AsyncIterable<Uint8Array>
  /** Makes a blob of it. Fails with `digest-mismatch` and keeps nothing when it is not `expected`. */
  finish(id: string, expected: Required<Expected>): Promise<Stored>
  drop(id: string): Promise<void>
  list(): AsyncIterable<{ readonly id: string; readonly size: number; readonly modifiedMs: number }>
}

/** What can be made again from the blobs: indexes. Rows need not be durable when `put` returns; they come whole or not. */
export interface Derived {
  get(key: Uint8Array): Uint8Array | undefined
  put(rows: readonly (readonly [Uint8Array, Uint8Array])[]): Promise<void>
  clear(): Promise<void>
}

/** The room on the disk below the pool. */
export interface Room {
  /** Fails with `disk-full` when so many bytes more would leave less than the reserve. */
  demand(bytes: number): Promise<void>
}
