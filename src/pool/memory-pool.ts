/**
 * The pool in memory, for tests and for tools that need no disk. It keeps the same promises, but for surviving the
 * process, and is full when `maximumBytes` are reached.
 *
 * What it keeps stands in a map that may be given to it, so that a test can damage it, or open it again.
 */
import { type Digest, digestOf } from '../model/digest.ts'
import { failure } from '../model/errors.ts'
import { LIMITS } from '../model/limits.ts'
import type { Clock } from '../model/world.ts'
import { measured, refuseUnless, tooLong } from './expected.ts'
import { MemoryIncoming } from './memory-incoming.ts'
import type {
  Blob,
  Bytes,
  Derived,
  Expected,
  Incoming,
  Listing,
  Nodes,
  PackedNode,
  PlainNode,
  Pool,
  Room,
  Segment,
  Stored,
} from './pool.ts'
import { encodeSegment, plainNode } from './segment.ts'

export interface MemoryStore {
  readonly pool: Pool & Listing
  readonly nodes: Nodes
  readonly incoming: Incoming
  readonly derived: Derived
  readonly room: Room
}

const MAXIMUM_BYTES = 1_073_741_824

export function openMemoryStore(
  clock: Pick<Clock, 'now'>,
  maximumBytes: number = MAXIMUM_BYTES,
): MemoryStore {
  const pool = new MemoryPool(new Map(), maximumBytes)
  return {
    pool,
    nodes: new MemoryNodes(),
    incoming: new MemoryIncoming(pool, clock),
    derived: new MemoryDerived(),
    room: pool,
  }
}

export class MemoryPool implements Pool, Listing, Room {
  readonly #kept: Map<Digest, Uint8Array>
  readonly #maximumBytes: number
  #used: number

  constructor(kept: Map<Digest, Uint8Array> = new Map(), maximumBytes: number = MAXIMUM_BYTES) {
    this.#kept = kept
    this.#maximumBytes = maximumBytes
    this.#used = [...kept.values()].reduce((sum, { length }) => sum + length, 0)
  }

  async put(bytes: Bytes, expected?: Expected): Promise<Stored> {
    const pieces: Uint8Array[] = []
    const source = bytes instanceof Uint8Array ? [bytes] : bytes
    for await (const piece of measured(source, expected)) pieces.push(Buffer.from(piece))
    const whole = Buffer.concat(pieces)
    const stored = { digest: digestOf(whole), size: whole.length }
    refuseUnless(expected, stored)
    const more = whole.length - (this.#kept.get(stored.digest)?.length ?? 0)
    await this.demand(more)
    this.#kept.set(stored.digest, whole)
    this.#used += more
    return stored
  }

  async putAll(blobs: readonly Uint8Array[], expected?: readonly Digest[]): Promise<readonly Digest[]> {
    const digests = blobs.map((bytes, at) => {
      if (bytes.length > LIMITS.smallBlobBytes) throw tooLong(LIMITS.smallBlobBytes, bytes.length)
      const digest = digestOf(bytes)
      const declared = expected?.[at]
      if (declared !== undefined) refuseUnless({ digest: declared }, { digest, size: bytes.length })
      return digest
    })
    for (const bytes of blobs) await this.put(bytes)
    return digests
  }

  async absent(blobs: readonly Stored[]): Promise<readonly Digest[]> {
    return blobs
      .filter(({ digest, size }) => this.#kept.get(digest)?.length !== size)
      .map(({ digest }) => digest)
  }

  async open(digest: Digest): Promise<Blob | undefined> {
    const bytes = this.#kept.get(digest)
    if (bytes === undefined) return undefined
    if (digestOf(bytes) !== digest)
      throw failure('blob-corrupt', { digest, reason: 'its bytes have another SHA-256' })
    const blob: Blob = {
      digest,
      size: bytes.length,
      async *read(start = 0, end = bytes.length) {
        if (start < Math.min(end, bytes.length)) yield bytes.subarray(start, end)
      },
    }
    return bytes.length <= LIMITS.smallBlobBytes ? { ...blob, bytes } : blob
  }

  async *list(after?: Digest): AsyncGenerator<Stored> {
    for (const digest of [...this.#kept.keys()].sort()) {
      const bytes = this.#kept.get(digest)
      if (bytes !== undefined && (after === undefined || digest > after)) yield { digest, size: bytes.length }
    }
  }

  async remove(digests: readonly Digest[]): Promise<void> {
    for (const digest of digests) {
      this.#used -= this.#kept.get(digest)?.length ?? 0
      this.#kept.delete(digest)
    }
  }

  async demand(bytes: number): Promise<void> {
    const free = this.#maximumBytes - this.#used
    if (bytes > free) throw failure('disk-full', { free, needed: bytes })
  }
}

export class MemoryNodes implements Nodes {
  readonly #kept: Map<Digest, Segment>

  constructor(kept: Map<Digest, Segment> = new Map()) {
    this.#kept = kept
  }

  has(digest: Digest): boolean {
    return this.#kept.has(digest)
  }

  async read(digest: Digest): Promise<Uint8Array> {
    return plainNode(digest, this.#kept.get(digest))
  }

  lent(digest: Digest): Segment | undefined {
    return this.segment(digest)
  }

  segment(digest: Digest): Segment | undefined {
    return this.#kept.get(digest)
  }

  async pack(nodes: readonly PlainNode[]): Promise<readonly PackedNode[]> {
    return nodes.map(({ digest, bytes }) => ({ digest, segment: encodeSegment(bytes) }))
  }

  async keep(nodes: readonly PackedNode[]): Promise<void> {
    for (const { digest, segment } of nodes) this.#kept.set(digest, segment)
  }

  async *list(after?: Digest): AsyncGenerator<Stored> {
    for (const digest of [...this.#kept.keys()].sort()) {
      const segment = this.#kept.get(digest)
      if (segment !== undefined && (after === undefined || digest > after))
        yield { digest, size: segment.length }
    }
  }
}

export class MemoryDerived implements Derived {
  readonly #rows = new Map<string, Uint8Array>()

  get(key: Uint8Array): Uint8Array | undefined {
    const value = this.#rows.get(nameOf(key))
    return value === undefined ? undefined : Buffer.from(value)
  }

  async put(rows: readonly (readonly [Uint8Array, Uint8Array])[]): Promise<void> {
    for (const [key, value] of rows) this.#rows.set(nameOf(key), Buffer.from(value))
  }

  async clear(): Promise<void> {
    this.#rows.clear()
  }
}

function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')
}
