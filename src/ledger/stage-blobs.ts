/**
 * The blobs of stages: leases, which keep them from the pool's sweep, and those that are wanted still.
 *
 * A lease stands under the stage, so that it ends with it, and under the digest, so that the sweep finds it. Long lists
 * are written in batches: each row is true by itself, and a list that a crash cut short was promised to nobody.
 */
import { type Digest, digestOfRaw, hexOf, rawOf } from '../model/digest.ts'
import { type Slices, slices } from '../model/slice.ts'
import type { Clock } from '../model/world.ts'
import { after, numberKey, numberOf, stageIn, stageKey, within } from './keys.ts'
import type { StageBlobs, StageId, Wanted } from './ledger.ts'
import type { LmdbStages } from './stages.ts'
import { PRESENT, type Row, type Store, type Tables } from './store.ts'
import type { Turns } from './turns.ts'

export interface StageBlobParts {
  readonly store: Store
  readonly turns: Turns
  readonly stages: LmdbStages
  readonly clock: Clock
}

type WantedBlob = Omit<Wanted, 'manifest'>

/** Digests that go in one transaction. */
const BATCH = 1_000
const DIGEST_BYTES = 32
/** Under the stage and under the digest. */
const ROWS_OF_LEASE = 2

export class LmdbStageBlobs implements StageBlobs {
  readonly #parts: StageBlobParts
  readonly #tables: Tables

  constructor(parts: StageBlobParts) {
    this.#parts = parts
    this.#tables = parts.store.tables
  }

  async lease(stage: StageId, digests: readonly Digest[]): Promise<void> {
    const { turns, stages, clock } = this.#parts
    stages.mustBeOpen(stage)
    if (digests.length <= BATCH && this.#newLeases(stage, digests).length === 0) return
    await turns.share(stage, async () => {
      stages.mustBeOpen(stage)
      const pace = slices(clock)
      const near = await neighboursTogether(digests, pace)
      for (let at = 0; at < near.length; at += BATCH) {
        const pause = pace.breathe()
        if (pause !== undefined) await pause
        await this.#writeLeases(stage, this.#newLeases(stage, near.slice(at, at + BATCH)))
      }
    })
  }

  isLeased(digest: Digest): boolean {
    const keys = this.#tables.leased.getKeys(within(rawOf(digest)))
    for (const key of keys) if (this.#parts.stages.isOpen(stageIn(key, DIGEST_BYTES))) return true
    return false
  }

  async want(stage: StageId, manifest: Digest, blobs: readonly WantedBlob[]): Promise<void> {
    const { turns, stages } = this.#parts
    stages.mustBeOpen(stage)
    await turns.share(stage, async () => {
      await turns.alone(`${stage} ${manifest}`, async () => {
        stages.mustBeOpen(stage)
        await this.#replaceWanted(Buffer.concat([stageKey(stage), rawOf(manifest)]), blobs)
      })
    })
  }

  wanted(stage: StageId, last: Wanted | undefined, limit: number): readonly Wanted[] {
    if (!this.#parts.stages.isOpen(stage)) return []
    const prefix = stageKey(stage)
    const start = last && after(Buffer.concat([prefix, rawOf(last.manifest), rawOf(last.digest)]))
    const rows = this.#tables.wanted.getRange({ ...within(prefix, start), limit })
    return [...rows].map(({ key, value }) => ({
      manifest: digestOfRaw(key.subarray(prefix.length)),
      digest: digestOfRaw(key.subarray(prefix.length + DIGEST_BYTES)),
      size: numberOf(value),
    }))
  }

  async #writeLeases(stage: StageId, rows: readonly Row[]): Promise<void> {
    if (rows.length === 0) return
    const { store, stages } = this.#parts
    const leases = rows.length / ROWS_OF_LEASE
    await store.claim(rows, async () => {
      const count = stages.countLeases(stage, leases)
      try {
        await store.write([...rows, count], 'upload')
      } catch (error) {
        stages.countLeases(stage, -leases)
        throw error
      }
    })
  }

  #newLeases(id: StageId, digests: readonly Digest[]): readonly Row[] {
    const { leases, leased } = this.#tables
    const stage = stageKey(id)
    return digests.flatMap((digest): readonly Row[] => {
      const raw = rawOf(digest)
      const key = Buffer.concat([stage, raw])
      if (leases.doesExist(key)) return []
      return [
        [leases, key, PRESENT],
        [leased, Buffer.concat([raw, stage]), PRESENT],
      ]
    })
  }

  async #replaceWanted(prefix: Buffer, blobs: readonly WantedBlob[]): Promise<void> {
    const { wanted } = this.#tables
    for (let at = 0; at < blobs.length; at += BATCH) {
      const rows = blobs
        .slice(at, at + BATCH)
        .map(({ digest, size }): Row => [wanted, Buffer.concat([prefix, rawOf(digest)]), numberKey(size)])
      await this.#write(rows.filter(([, key]) => !wanted.doesExist(key)))
    }
    // At last, so that a full disk loses nothing of what was wanted before.
    const keep = new Set(blobs.map((blob) => blob.digest))
    let last: Buffer | undefined = prefix
    while (last !== undefined) {
      const keys: Buffer[] = [...wanted.getKeys({ ...within(prefix, after(last)), limit: BATCH })]
      const gone = keys.filter((key) => !keep.has(digestOfRaw(key.subarray(prefix.length))))
      await this.#write(gone.map((key) => [wanted, key, undefined]))
      last = keys.at(-1)
    }
  }

  async #write(rows: readonly Row[]): Promise<void> {
    const { store } = this.#parts
    if (rows.length === 0) return
    await store.claim(rows, async () => await store.write(rows, 'upload'))
  }
}

/** Digests with the same first byte one after the other, so that a batch touches few pages of the table. */
async function neighboursTogether(digests: readonly Digest[], pace: Slices): Promise<readonly Digest[]> {
  const groups = new Map<string, Digest[]>()
  for (const digest of digests) {
    const byte = hexOf(digest).slice(0, 2)
    const group = groups.get(byte)
    if (group === undefined) groups.set(byte, [digest])
    else group.push(digest)
    const pause = pace.breathe()
    if (pause !== undefined) await pause
  }
  return [...groups.keys()].sort().flatMap((byte) => groups.get(byte) ?? [])
}
