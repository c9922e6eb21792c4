/**
 * Blobs of up to 64 KiB: rows of the table `blobs`, under the raw digest.
 *
 * They are small enough to be hashed whenever they are opened, so none is ever served damaged.
 */
import type { Purpose } from '../../disk/room.ts'
import { type Digest, digestOf, digestOfRaw, rawOf } from '../../model/digest.ts'
import { failure } from '../../model/errors.ts'
import type { Slices } from '../../model/slice.ts'
import type { Blob, Stored } from '../pool.ts'
import type { Row, Table } from './table.ts'

export interface SmallBlob {
  readonly digest: Digest
  readonly bytes: Uint8Array
}

export class SmallBlobs {
  readonly #table: Table
  readonly #slices: () => Slices

  constructor(table: Table, slices: () => Slices) {
    this.#table = table
    this.#slices = slices
  }

  /** Writes those that are not here, or not as they should be. */
  async put(blobs: readonly SmallBlob[], purpose: Purpose): Promise<void> {
    const slices = this.#slices()
    const rows: Row[] = []
    for (const { digest, bytes } of blobs) {
      const key = rawOf(digest)
      if (this.#table.get(key)?.equals(bytes) !== true) rows.push([key, bytes])
      const pause = slices.breathe()
      if (pause !== undefined) await pause
    }
    await this.#table.put(rows, purpose)
  }

  has({ digest, size }: Stored): boolean {
    return this.#table.lengthOf(rawOf(digest)) === size
  }

  open(digest: Digest): Blob | undefined {
    const bytes = this.#table.get(rawOf(digest))
    if (bytes === undefined) return undefined
    if (digestOf(bytes) !== digest)
      throw failure('blob-corrupt', { digest, reason: 'its bytes have another SHA-256' })
    return blobOf(digest, bytes)
  }

  /** Marks what is damaged, so that it counts as absent wherever nobody looks at its bytes. Its next `put` heals it. */
  async condemn(digest: Digest): Promise<void> {
    const bytes = this.#table.get(rawOf(digest))
    if (bytes === undefined || digestOf(bytes) === digest || isCondemned(bytes)) return
    await this.#table.put([[rawOf(digest), Buffer.concat([CONDEMNED, bytes])]], 'commit')
  }

  /** Reads the bytes too, for LMDB keeps their number with them. */
  async *list(after?: Digest): AsyncGenerator<Stored> {
    for await (const [key, bytes] of this.#table.rows(after && rawOf(after)))
      yield { digest: digestOfRaw(key), size: bytes.length }
  }

  async remove(digests: readonly Digest[]): Promise<void> {
    await this.#table.remove(digests.map(rawOf))
  }
}

/** Stands before the bytes of a blob that was found damaged: then its length is another one, too. */
const CONDEMNED = Buffer.from('DAMAGED\0')

function isCondemned(bytes: Buffer): boolean {
  return bytes.subarray(0, CONDEMNED.length).equals(CONDEMNED)
}

/** An open blob whose bytes are at hand. */
export function blobOf(digest: Digest, bytes: Uint8Array): Blob {
  return {
    digest,
    size: bytes.length,
    bytes,
    async *read(start = 0, end = bytes.length) {
      if (start < Math.min(end, bytes.length)) yield bytes.subarray(start, end)
    },
  }
}
