/**
 * All blobs of the disk, small ones in LMDB and large ones in files, behind one door.
 *
 * Putting and removing the same blob take turns; else a put might find a blob there that is about to leave.
 */
import type { Purpose } from '../../disk/room.ts'
import type { Digest } from '../../model/digest.ts'
import { LIMITS } from '../../model/limits.ts'
import type { Soon } from '../../model/soon.ts'
import type { Blob, Stored } from '../pool.ts'
import type { LargeBlobs } from './large-blobs.ts'
import type { SmallBlob, SmallBlobs } from './small-blobs.ts'
import { Turns } from './turns.ts'

export class Blobs {
  readonly #small: SmallBlobs
  readonly #large: LargeBlobs
  readonly #turns = new Turns()

  constructor(small: SmallBlobs, large: LargeBlobs) {
    this.#small = small
    this.#large = large
  }

  async putSmall(blobs: readonly SmallBlob[], purpose: Purpose): Promise<void> {
    const digests = blobs.map(({ digest }) => digest)
    await this.#turns.take(digests, async () => await this.#small.put(blobs, purpose))
  }

  /** Makes a large blob of a draft, see `LargeBlobs.keep`. */
  async keep(draft: string, stored: Stored, purpose: Purpose): Promise<void> {
    await this.#turns.take([stored.digest], async () => await this.#large.keep(draft, stored, purpose))
  }

  /** Unlinks a draft that nobody writes to, and what a crash has left of it in the pool. */
  async discard(draft: string): Promise<void> {
    const stray = await this.#large.strayOf(draft)
    if (stray !== undefined) await this.#turns.take([stray], async () => await this.#large.removeStray(stray))
    await this.#large.unlink(draft)
  }

  /** Whether a blob of that size is here, which tells where to look. */
  has(blob: Stored): boolean | Promise<boolean> {
    return blob.size <= LIMITS.smallBlobBytes ? this.#small.has(blob) : this.#large.has(blob)
  }

  /** A small blob at once. */
  open(digest: Digest): Soon<Blob | undefined> {
    try {
      return this.#small.open(digest) ?? this.#large.open(digest)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Sees to it that nobody gets what was found damaged, and that it counts as absent, until it is put again. */
  async condemn(digest: Digest): Promise<void> {
    await this.#turns.take([digest], async () => {
      await this.#small.condemn(digest)
      await this.#large.condemn(digest)
    })
  }

  /** Whether every byte of a large blob is here as it should be. */
  async holdsLarge(digest: Digest): Promise<boolean> {
    return await this.#large.holds(digest)
  }

  async *list(after?: Digest): AsyncGenerator<Stored> {
    const [small, large] = [this.#small.list(after), this.#large.list(after)]
    let [a, b] = await Promise.all([small.next(), large.next()])
    while (a.done !== true || b.done !== true) {
      if (b.done === true || (a.done !== true && a.value.digest < b.value.digest)) {
        if (a.done !== true) yield a.value
        a = await small.next()
      } else {
        yield b.value
        b = await large.next()
      }
    }
  }

  async remove(digests: readonly Digest[]): Promise<void> {
    await this.#turns.take(digests, async () => {
      await this.#small.remove(digests)
      await this.#large.remove(digests)
    })
  }
}
