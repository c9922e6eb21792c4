/**
 * What a node asks of the one that it follows. Everything that comes is checked by whoever asked: a digest is the
 * digest of the bytes, a record is the one of its gid (PROTOCOL §4).
 */
import type { Digest } from '../model/digest.ts'
import type { Gid, Lineage } from '../model/generation.ts'
import type { PackedNode } from '../pool/pool.ts'

/** A generation as it travels: its id, the canonical bytes of its record, and who has signed them. */
export interface SentRecord {
  readonly gid: Gid
  readonly bytes: Uint8Array
  /** None from an upstream of before generations were signed. */
  readonly signatures: readonly string[]
}

export interface SentBlob {
  readonly digest: Digest
  readonly bytes: Uint8Array
}

/**
 * Every method fails with `origin-unreachable` when nobody answers, or with what was answered. None of them needs an eye
 * on the time: whoever asks through `patient` never waits for one that has fallen silent.
 */
export interface Upstream {
  /** The active head, as soon as it is another one than `after`; undefined when none came within `waitMs`. */
  head(after: Gid | undefined, waitMs: number, signal: AbortSignal): Promise<SentRecord | undefined>
  /** The records of the generations with a number above `after`, up to `upTo`, oldest first. */
  log(after: number, upTo: number, signal: AbortSignal): AsyncIterable<SentRecord>
  /** Every lineage that it knows. */
  lineages(signal: AbortSignal): Promise<readonly Lineage[]>
  /** Nodes of trees, as they are stored; at most `LIMITS.replicationBatch` digests. What it has not is left out. */
  nodes(digests: readonly Digest[], signal: AbortSignal): AsyncIterable<PackedNode>
  /** Small blobs, in the order asked; at most `LIMITS.replicationBatch` digests. What it has not, or is large, is left out. */
  blobs(digests: readonly Digest[], signal: AbortSignal): AsyncIterable<SentBlob>
  /** The bytes of one blob of any size, from `offset` on; none when that is its size. Fails with `not-found`. */
  blob(digest: Digest, offset: number, signal: AbortSignal): AsyncIterable<Uint8Array>
}
