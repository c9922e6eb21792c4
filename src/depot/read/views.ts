/**
 * The views of generations: the head's at hand, others while they are hot.
 */
import { LRUCache } from 'lru-cache'
import { decodeMetaset, type Metaset } from '../../metaset/metaset.ts'
import type { Digest } from '../../model/digest.ts'
import { failure } from '../../model/errors.ts'
import type { Generation, Gid } from '../../model/generation.ts'
import { LIMITS } from '../../model/limits.ts'
import type { Pool } from '../../pool/pool.ts'
import { type Sources, View } from './view.ts'
import { wholeOf } from './whole.ts'

export class Views {
  readonly #pool: Pick<Pool, 'open'>
  readonly #sources: Sources
  readonly #recent = new LRUCache<Gid, View>({ max: LIMITS.metasetCacheEntries })

  constructor(pool: Pick<Pool, 'open'>, sources: Sources) {
    this.#pool = pool
    this.#sources = sources
  }

  /** The view of a generation that the ledger knows. */
  async of(generation: Generation): Promise<View> {
    return this.at(generation) ?? this.keep(generation.gid, await this.#metaset(generation.record.metaset))
  }

  /** The same, when it is at hand: the hot path waits for nothing. */
  at(generation: Generation): View | undefined {
    return this.#recent.get(generation.gid)
  }

  /** A view whose metaset is at hand already, because it was just planned. */
  keep(gid: Gid, metaset: Metaset): View {
    const view = this.preview(gid, metaset)
    this.#recent.set(gid, view)
    return view
  }

  /** A view that no generation has: of a stage, read as if it were committed on `gid`. */
  preview(gid: Gid, metaset: Metaset): View {
    return new View(gid, metaset, this.#sources)
  }

  async #metaset(digest: Digest): Promise<Metaset> {
    const blob = await this.#pool.open(digest)
    if (blob === undefined) throw failure('blob-unavailable', { digest })
    return decodeMetaset(await wholeOf(blob))
  }
}
