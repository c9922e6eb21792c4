/**
 * The stores of a depot on this machine as an upstream: what is copied from a folder goes the same way, and is checked in
 * the same way, as what comes from another node.
 */
import { objectsOf } from '../../depot/read/objects.ts'
import type { Ledger } from '../../ledger/ledger.ts'
import type { Digest } from '../../model/digest.ts'
import { failure } from '../../model/errors.ts'
import { encodeRecord, type Generation, type Lineage } from '../../model/generation.ts'
import { slices } from '../../model/slice.ts'
import type { Clock } from '../../model/world.ts'
import type { Nodes, PackedNode, Pool } from '../../pool/pool.ts'
import { unpackSegment } from '../../pool/segment.ts'
import type { SentBlob, SentRecord, Upstream } from '../upstream.ts'

export interface StoredParts {
  readonly pool: Pick<Pool, 'open'>
  readonly nodes: Pick<Nodes, 'segment'>
  readonly generations: Pick<Ledger['generations'], 'head' | 'list' | 'lineages'>
  readonly clock: Pick<Clock, 'monotonic'>
}

/** Records that are read at once. */
const PAGE = 100

export class StoredUpstream implements Upstream {
  readonly #parts: StoredParts

  constructor(parts: StoredParts) {
    this.#parts = parts
  }

  /** Nothing moves it, so nobody waits. */
  async head(): Promise<SentRecord | undefined> {
    const head = this.#parts.generations.head()
    return await Promise.resolve(head && recordOf(head))
  }

  async *log(after: number, upTo: number): AsyncGenerator<SentRecord> {
    for (let above = after; above < upTo; ) {
      const page = this.#parts.generations.list({ kind: 'above', number: above }, PAGE)
      for (const generation of page) {
        above = generation.record.number
        if (above > upTo) return
        yield await Promise.resolve(recordOf(generation))
      }
      if (page.length < PAGE) return
    }
  }

  async lineages(): Promise<readonly Lineage[]> {
    return await Promise.resolve([...this.#parts.generations.lineages().values()])
  }

  async *nodes(digests: readonly Digest[]): AsyncGenerator<PackedNode> {
    for await (const { digest, bytes } of this.#objects(digests, 'segment'))
      yield { digest, segment: unpackSegment(bytes) }
  }

  async *blobs(digests: readonly Digest[]): AsyncGenerator<SentBlob> {
    yield* this.#objects(digests, 'blob')
  }

  async *blob(digest: Digest, offset: number): AsyncGenerator<Uint8Array> {
    const blob = await this.#parts.pool.open(digest)
    if (blob === undefined) throw failure('not-found', { what: `blob ${digest}` })
    yield* blob.read(offset)
  }

  /** Fails with `blob-corrupt` where something is damaged: there is nobody else who has it. */
  #objects(digests: readonly Digest[], form: 'segment' | 'blob'): AsyncGenerator<SentBlob> {
    const onDamaged = (error: Error): void => {
      throw error
    }
    return objectsOf(this.#parts, { digests, form, slices: slices(this.#parts.clock), onDamaged })
  }
}

function recordOf({ gid, record, signatures }: Generation): SentRecord {
  return { gid, bytes: encodeRecord(record), signatures }
}
