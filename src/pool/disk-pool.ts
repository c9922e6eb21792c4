/**
 * `Pool` on the local disk (DESIGN §3, "Small things", and §4).
 *
 * Up to 64 KiB a blob is gathered in memory and becomes a row in LMDB; what is longer goes to a draft under
 * `incoming/` while it is hashed, and then becomes a file in `pool/`. Either is durable before anybody is told.
 */
import { join } from 'node:path'
import type { Files } from '../disk/durable.ts'
import type { DiskRoom, Purpose } from '../disk/room.ts'
import { type Digest, digestOf, hasher } from '../model/digest.ts'
import { LIMITS } from '../model/limits.ts'
import type { Slices } from '../model/slice.ts'
import type { Soon } from '../model/soon.ts'
import type { Random } from '../model/world.ts'
import type { Blobs } from './disk/blobs.ts'
import { Draft } from './disk/draft.ts'
import type { SmallBlob } from './disk/small-blobs.ts'
import { measured, type Pieces, refuseUnless, tooLong } from './expected.ts'
import type { Blob, Bytes, Expected, Listing, Pool, Stored } from './pool.ts'

export interface DiskPoolParts {
  readonly blobs: Blobs
  readonly drafts: string
  readonly files: Files
  readonly room: DiskRoom
  readonly random: Random
  readonly slices: () => Slices
  readonly purpose: Purpose
}

/** Drafts of `put`, which no upload can be called like: what a crash leaves of them goes when the depot starts. */
export const DRAFT: RegExp = /^put_[0-9a-f]{32}\.incomplete$/

export class DiskPool implements Pool, Listing {
  readonly #parts: DiskPoolParts

  constructor(parts: DiskPoolParts) {
    this.#parts = parts
  }

  async put(bytes: Bytes, expected?: Expected): Promise<Stored> {
    if (bytes instanceof Uint8Array && bytes.length <= LIMITS.smallBlobBytes)
      return await this.#putSmall(bytes, expected)
    const source = bytes instanceof Uint8Array ? [bytes] : bytes
    if (expected !== undefined && (await this.#parts.blobs.holdsLarge(expected.digest)))
      return await this.#hashOnly(source, expected)
    return await this.#putStream(source, expected)
  }

  /** In one transaction, or in a few when they are thousands: see `Table`. */
  async putAll(blobs: readonly Uint8Array[], expected?: readonly Digest[]): Promise<readonly Digest[]> {
    const slices = this.#parts.slices()
    const small: SmallBlob[] = []
    for (const bytes of blobs) {
      if (bytes.length > LIMITS.smallBlobBytes) throw tooLong(LIMITS.smallBlobBytes, bytes.length)
      const digest = digestOf(bytes)
      const declared = expected?.[small.length]
      if (declared !== undefined) refuseUnless({ digest: declared }, { digest, size: bytes.length })
      small.push({ digest, bytes })
      const pause = slices.breathe()
      if (pause !== undefined) await pause
    }
    await this.#parts.blobs.putSmall(small, this.#parts.purpose)
    return small.map(({ digest }) => digest)
  }

  async absent(blobs: readonly Stored[]): Promise<readonly Digest[]> {
    const slices = this.#parts.slices()
    const absent: Digest[] = []
    for (let at = 0; at < blobs.length; at += LOOKED_UP_AT_ONCE) {
      const some = blobs.slice(at, at + LOOKED_UP_AT_ONCE)
      const here = await Promise.all(some.map(async (blob) => await this.#parts.blobs.has(blob)))
      absent.push(...some.filter((_, index) => here[index] !== true).map(({ digest }) => digest))
      const pause = slices.breathe()
      if (pause !== undefined) await pause
    }
    return absent
  }

  open(digest: Digest): Soon<Blob | undefined> {
    return this.#parts.blobs.open(digest)
  }

  list(after?: Digest): AsyncIterable<Stored> {
    return this.#parts.blobs.list(after)
  }

  async remove(digests: readonly Digest[]): Promise<void> {
    await this.#parts.blobs.remove(digests)
  }

  async #putSmall(bytes: Uint8Array, expected: Expected | undefined): Promise<Stored> {
    const stored = { digest: digestOf(bytes), size: bytes.length }
    refuseUnless(expected, stored)
    await this.#parts.blobs.putSmall([{ digest: stored.digest, bytes }], this.#parts.purpose)
    return stored
  }

  /** It is here already: what comes is only checked. */
  async #hashOnly(source: Pieces, expected: Expected): Promise<Stored> {
    const slices = this.#parts.slices()
    const sum = hasher()
    let size = 0
    for await (const piece of measured(source, expected)) {
      sum.update(piece)
      size += piece.length
      const pause = slices.breathe()
      if (pause !== undefined) await pause
    }
    const stored = { digest: sum.digest(), size }
    refuseUnless(expected, stored)
    return stored
  }

  async #putStream(source: Pieces, expected: Expected | undefined): Promise<Stored> {
    const begun: Uint8Array[] = []
    let size = 0
    let draft: Draft | undefined
    try {
      for await (const piece of measured(source, expected)) {
        size += piece.length
        if (size <= LIMITS.smallBlobBytes) {
          // A copy: the piece is ours only until we ask for the next one.
          begun.push(Buffer.from(piece))
          continue
        }
        draft ??= await this.#begin(expected?.size ?? size)
        for (const earlier of begun.splice(0)) await draft.append(earlier)
        await draft.append(piece)
      }
      if (draft === undefined) return await this.#putSmall(Buffer.concat(begun), expected)
      const stored = { digest: draft.digest(), size }
      refuseUnless(expected, stored)
      await draft.close()
      await this.#parts.blobs.keep(draft.path, stored, this.#parts.purpose)
      return stored
    } catch (error) {
      if (draft !== undefined) await this.#drop(draft)
      throw error
    }
  }

  async #begin(bytes: number): Promise<Draft> {
    const { random, drafts } = this.#parts
    const name = Buffer.from(random.bytes(DRAFT_NAME_BYTES)).toString('hex')
    return await Draft.begin(this.#parts, join(drafts, `put_${name}.incomplete`), bytes)
  }

  /** Whether that succeeds or not, the failure that led here is what counts; the next start tries again. */
  async #drop(draft: Draft): Promise<void> {
    await draft.close().catch(() => undefined)
    await this.#parts.blobs.discard(draft.path).catch(() => undefined)
  }
}

const DRAFT_NAME_BYTES = 16
/** Large ones are files, and looking for a file is a trip to a thread. */
const LOOKED_UP_AT_ONCE = 64
