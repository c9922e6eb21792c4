/**
 * Blobs of more than 64 KiB: files `pool/<2 hex>/<62 hex>`, and a row with the size of each in the table `large`.
 *
 * The file is durable before its row is written, so a row says that the blob is here, whole; a file without a row is
 * what a crash has left, and is not here. The row tells a file that was cut short from a good one, and spares every
 * question but reading a walk through folders.
 *
 * A file that was found damaged is set aside as `<62 hex>.damaged`, for there may be something to learn from it, until
 * its blob is whole again or removed.
 *
 * Removing goes the other way: a row in `leaving`, the row in `large`, the file. What `leaving` names when the depot
 * starts is finished then.
 */
import { stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { codeOf, type Durable, type Files, unlessGone } from '../../disk/durable.ts'
import type { DiskRoom, Purpose } from '../../disk/room.ts'
import { type Digest, digestOfRaw, hexOf, rawOf } from '../../model/digest.ts'
import { failure } from '../../model/errors.ts'
import { LIMITS } from '../../model/limits.ts'
import { PIECE_BYTES } from '../expected.ts'
import type { Blob, Stored } from '../pool.ts'
import { hashFile, readPieces } from './pieces.ts'
import type { Table } from './table.ts'

export interface LargeBlobsParts {
  readonly folder: string
  readonly sizes: Table
  readonly leaving: Table
  readonly files: Files
  readonly durable: Durable
  readonly room: DiskRoom
}

/** A name, and perhaps a folder for it. */
const LINK_BYTES = 8_192
const NOTHING = new Uint8Array()

export class LargeBlobs {
  readonly #parts: LargeBlobsParts
  #readers = 0

  constructor(parts: LargeBlobsParts) {
    this.#parts = parts
  }

  /** Makes a blob of the draft, whose bytes were found to have this digest; the draft is gone then. */
  async keep(draft: string, { digest, size }: Stored, purpose: Purpose): Promise<void> {
    const { sizes, room } = this.#parts
    if (!(await this.holds(digest))) {
      await room.explained(this.#settle(draft, { digest, size }), LINK_BYTES)
      await sizes.put([[rawOf(digest), packSize(size)]], purpose)
    }
    // Before the draft: as long as that is there, a crash in between is made good.
    await this.unlink(this.#damagedOf(digest))
    await this.unlink(draft)
  }

  /** Whether the blob is here, by its size. */
  async has({ digest, size }: Stored): Promise<boolean> {
    if (this.#sizeOf(digest) !== size) return false
    return (await stat(this.#pathOf(digest)).catch(unlessGone))?.size === size
  }

  /** Whether the blob is here and every byte of it is right. */
  async holds(digest: Digest): Promise<boolean> {
    const size = this.#sizeOf(digest)
    return size !== undefined && (await this.#isSound({ digest, size }))
  }

  async open(digest: Digest): Promise<Blob | undefined> {
    const size = this.#sizeOf(digest)
    if (size === undefined) return undefined
    const path = this.#pathOf(digest)
    const found = await stat(path).catch(unlessGone)
    if (found?.size !== size)
      throw failure('blob-corrupt', { digest, reason: await this.#faultOf({ digest, size }, found?.size) })
    return {
      digest,
      size,
      read: (start = 0, end = size) => this.#read({ path, digest }, start, Math.min(end, size)),
    }
  }

  /**
   * Sets a file aside that has the right size and wrong bytes, for nobody who opens it would notice. Its row stays, so
   * that the blob is known to be damaged until it is put again.
   */
  async condemn(digest: Digest): Promise<void> {
    const size = this.#sizeOf(digest)
    const path = this.#pathOf(digest)
    if (size === undefined || (await stat(path).catch(unlessGone)) === undefined) return
    if (!(await this.#isSound({ digest, size })))
      await this.#parts.durable.replace(path, this.#damagedOf(digest))
  }

  async *list(after?: Digest): AsyncGenerator<Stored> {
    for await (const [key, size] of this.#parts.sizes.rows(after && rawOf(after)))
      yield { digest: digestOfRaw(key), size: unpackSize(size) }
  }

  async remove(digests: readonly Digest[]): Promise<void> {
    const { sizes, leaving } = this.#parts
    const here = digests.filter((digest) => sizes.has(rawOf(digest)))
    if (here.length === 0) return
    await leaving.put(
      here.map((digest) => [rawOf(digest), NOTHING]),
      'commit',
    )
    await sizes.remove(here.map(rawOf))
    await this.#finish(here)
  }

  /** Ends what a crash has interrupted. */
  async finishRemovals(): Promise<void> {
    const { sizes, leaving } = this.#parts
    for await (const [key] of leaving.rows()) {
      // Where the row of its size is still there the blob has not begun to leave: it stays.
      if (sizes.has(key)) await leaving.remove([key])
      else await this.#finish([digestOfRaw(key)])
    }
  }

  /**
   * The digest of the name in the pool that a draft has beside its own, if it has one: a crash came between the link
   * and the row. That name would take room for ever.
   */
  async strayOf(draft: string): Promise<Digest | undefined> {
    const found = await stat(draft).catch(unlessGone)
    if (found === undefined || found.nlink === 1) return undefined
    return (await hashFile(draft, found.size)).hasher.digest()
  }

  async removeStray(digest: Digest): Promise<void> {
    // With a row it is no stray: the crash came when a damaged blob was whole again.
    await this.unlink(this.#sizeOf(digest) === undefined ? this.#pathOf(digest) : this.#damagedOf(digest))
  }

  async unlink(path: string): Promise<void> {
    await this.#parts.files.unlink(path).catch(unlessGone)
  }

  /** Gives the draft its name in the pool; over what is there only when that is damaged. */
  async #settle(draft: string, stored: Stored): Promise<void> {
    const { durable } = this.#parts
    const path = this.#pathOf(stored.digest)
    const linked = await durable.link(draft, path)
    if (linked === 'taken' && !(await this.#isSound(stored))) await durable.replace(draft, path)
  }

  async #isSound({ digest, size }: Stored): Promise<boolean> {
    const path = this.#pathOf(digest)
    const found = await stat(path).catch(unlessGone)
    if (found?.size !== size) return false
    const read = await hashFile(path, size).catch(unlessUnreadable)
    return read?.hasher.digest() === digest
  }

  /** Many readers at once get small pieces, so that slow ones together hold a bounded amount of memory. */
  async *#read(
    blob: { readonly path: string; readonly digest: Digest },
    start: number,
    end: number,
  ): AsyncGenerator<Uint8Array> {
    this.#readers += 1
    try {
      const pieceBytes = this.#readers <= LIMITS.wideReaders ? PIECE_BYTES : LIMITS.narrowPieceBytes
      yield* readBlob({ ...blob, pieceBytes }, start, end)
    } finally {
      this.#readers -= 1
    }
  }

  #sizeOf(digest: Digest): number | undefined {
    const size = this.#parts.sizes.get(rawOf(digest))
    return size === undefined ? undefined : unpackSize(size)
  }

  async #finish(digests: readonly Digest[]): Promise<void> {
    const { durable, leaving } = this.#parts
    for (const digest of digests)
      for (const path of [this.#pathOf(digest), this.#damagedOf(digest)]) await this.unlink(path)
    for (const shard of new Set(digests.map((digest) => this.#shardOf(digest))))
      await durable.sync(shard, 'folder').catch(unlessGone)
    await leaving.remove(digests.map(rawOf))
  }

  /** Why the file is not what its row says; `found` is the size it has, if it is there. */
  async #faultOf({ digest, size }: Stored, found: number | undefined): Promise<string> {
    if (found !== undefined) return `its file has ${found} bytes and not ${size}`
    const damaged = this.#damagedOf(digest)
    if ((await stat(damaged).catch(unlessGone)) === undefined) return 'its file is gone'
    return `its file had other bytes and was set aside as ${basename(damaged)}`
  }

  #shardOf(digest: Digest): string {
    return join(this.#parts.folder, hexOf(digest).slice(0, 2))
  }

  #pathOf(digest: Digest): string {
    return join(this.#shardOf(digest), hexOf(digest).slice(2))
  }

  #damagedOf(digest: Digest): string {
    return `${this.#pathOf(digest)}.damaged`
  }
}

/** A disk that cannot read a file any more has damaged it; what else fails says nothing of its bytes. */
function unlessUnreadable(error: unknown): undefined {
  if (codeOf(error) !== 'EIO') throw error
}

async function* readBlob(
  {
    path,
    digest,
    pieceBytes,
  }: { readonly path: string; readonly digest: Digest; readonly pieceBytes: number },
  start: number,
  end: number,
): AsyncGenerator<Uint8Array> {
  let position = start
  try {
    for await (const piece of readPieces(path, start, end, pieceBytes)) {
      position += piece.length
      yield piece
    }
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') throw failure('not-found', { what: `blob ${digest}` }, { cause })
    if (codeOf(cause) !== 'EIO') throw cause
    throw failure('blob-corrupt', { digest, reason: 'the disk cannot read its file' }, { cause })
  }
  if (position < end) throw failure('blob-corrupt', { digest, reason: `its file ends at ${position}` })
}

const SIZE_BYTES = 6

function packSize(size: number): Buffer {
  const row = Buffer.alloc(SIZE_BYTES)
  row.writeUIntBE(size, 0, SIZE_BYTES)
  return row
}

function unpackSize(row: Uint8Array): number {
  return Buffer.from(row.buffer, row.byteOffset, row.byteLength).readUIntBE(0, SIZE_BYTES)
}
