/**
 * Bringing bytes into a stage: declared first, so that the publisher learns what is missing, then uploaded in batches
 * or one by one, to be continued when interrupted.
 *
 * A digest is leased before anybody is told that its bytes are there, so that no sweep takes them away in between.
 */
import type { Ledger, Stage } from '../../ledger/ledger.ts'
import { type Digest, hexOf } from '../../model/digest.ts'
import { failure, isFailure } from '../../model/errors.ts'
import { LIMITS } from '../../model/limits.ts'
import { slices } from '../../model/slice.ts'
import type { Clock } from '../../model/world.ts'
import type { Incoming, Pool, Room, Stored } from '../../pool/pool.ts'
import type { Access } from '../access.ts'
import type { Actor } from '../actor.ts'
import type { Allowance } from '../quotas.ts'
import { type Pace, watched } from './sender.ts'
import { uploadId } from './stages.ts'

export interface BlobParts {
  readonly ledger: Pick<Ledger, 'blobs'>
  readonly pool: Pick<Pool, 'put' | 'putAll' | 'absent' | 'open'>
  readonly incoming: Incoming
  readonly access: Pick<Access, 'charge' | 'afford' | 'allowance' | 'isLive'>
  readonly room: Room
  readonly clock: Clock
  /** What every upload has to keep. */
  readonly pace?: Pace
}

/** A part of an upload, or all of it. */
export interface UploadPart {
  readonly digest: Digest
  readonly offset: number
  readonly bytes: AsyncIterable<Uint8Array>
  /** Bytes of the whole blob, where the sender said so; then no byte more is taken. */
  readonly size?: number
  /** Whether the blob ends with this part. */
  readonly complete: boolean
}

export type UploadOutcome =
  | { readonly kind: 'stored'; readonly stored: Stored; readonly fresh: boolean }
  | { readonly kind: 'partial'; readonly offset: number }

export interface Progress {
  readonly offset: number
  /** Whether the blob is in the depot; else its upload is to be gone on with, or finished when all bytes are there. */
  readonly complete: boolean
}

/** An upload that is under way. */
interface Place {
  readonly id: string
  /** Id of the token that sends it. */
  readonly sender: string
}

/** Leasing what is leased already waits for nothing, so that many would hold up the event loop. */
const LEASED_AT_ONCE = 10_000
const PACE: Pace = { bytes: LIMITS.uploadPaceBytes, perMs: LIMITS.uploadPaceMs }

export class StageBlobs {
  readonly #parts: BlobParts
  readonly #uploading = new Set<Place>()

  constructor(parts: BlobParts) {
    this.#parts = parts
  }

  /** Leases what was declared and tells what is absent. Fails with `quota-exceeded` or `disk-full` if that cannot come. */
  async missing(actor: Actor, stage: Stage, declared: readonly Stored[]): Promise<readonly Digest[]> {
    const { ledger, pool, access, room } = this.#parts
    const pace = slices(this.#parts.clock)
    for (let at = 0; at < declared.length; at += LEASED_AT_ONCE) {
      const some = declared.slice(at, at + LEASED_AT_ONCE)
      await ledger.blobs.lease(
        stage.id,
        some.map((blob) => blob.digest),
      )
      await pace.breathe()
    }
    const absent = new Set(await pool.absent(declared))
    const coming = declared.reduce((sum, blob) => sum + (absent.has(blob.digest) ? blob.size : 0), 0)
    await access.afford(actor.id, coming)
    if (coming > 0) await room.demand(coming)
    return [...absent]
  }

  /** Many small blobs at once. Fails with `digest-mismatch` and keeps nothing when one is not what it claims to be. */
  async putAll(
    actor: Actor,
    stage: Stage,
    blobs: readonly { readonly digest: Digest; readonly bytes: Uint8Array }[],
  ): Promise<readonly Digest[]> {
    const { ledger, pool, access } = this.#parts
    const digests = blobs.map((blob) => blob.digest)
    const bytes = blobs.map((blob) => blob.bytes)
    const sum = bytes.reduce((before, { length }) => before + length, 0)
    return await access.charge(actor.id, sum, async () => {
      await ledger.blobs.lease(stage.id, digests)
      return await pool.putAll(bytes, digests)
    })
  }

  /** How far a blob has come: whole, whoever brought it, or in part; undefined when nothing of it is here. */
  async progress(stage: Stage, digest: Digest): Promise<Progress | undefined> {
    const { ledger, incoming } = this.#parts
    await ledger.blobs.lease(stage.id, [digest])
    const size = await this.#sizeOf(digest)
    if (size !== undefined) return { offset: size, complete: true }
    const offset = await incoming.offset(uploadId(stage.id, hexOf(digest)))
    return offset === undefined ? undefined : { offset, complete: false }
  }

  /**
   * Takes a part of a blob, or all of it. Fails with `offset-mismatch`, `upload-busy`, `upload-too-slow`,
   * `digest-mismatch`, `limit-exceeded`, `quota-exceeded` or `disk-full`, with `unauthorised` when the token ends
   * before the upload, or with `hold-limit` when too many are under way.
   */
  async upload(actor: Actor, stage: Stage, part: UploadPart): Promise<UploadOutcome> {
    const { clock, access, pace = PACE } = this.#parts
    const bytes = watched(part.bytes, { clock, pace, isLive: () => access.isLive(actor.id) })
    return await this.#counted({ id: uploadId(stage.id, hexOf(part.digest)), sender: actor.id }, async () =>
      (await this.#isWholeAndThere(stage, part))
        ? await this.#check(stage, { ...part, bytes })
        : await this.#take(actor, stage, { ...part, bytes }),
    )
  }

  async #counted<Result>(place: Place, work: () => Promise<Result>): Promise<Result> {
    if (this.#uploading.size >= LIMITS.parallelUploads)
      throw failure('hold-limit', { limit: LIMITS.parallelUploads, what: 'places for uploads' })
    const own = [...this.#uploading].filter(({ sender }) => sender === place.sender)
    if (own.length >= LIMITS.parallelUploadsPerToken)
      throw failure('hold-limit', {
        limit: LIMITS.parallelUploadsPerToken,
        what: 'places for uploads of one token',
      })
    this.#uploading.add(place)
    try {
      return await work()
    } finally {
      this.#uploading.delete(place)
    }
  }

  async #isWholeAndThere(stage: Stage, { digest, size, offset, complete }: UploadPart): Promise<boolean> {
    return size !== undefined && offset === 0 && complete && (await this.#has(stage, { digest, size }))
  }

  /** The blob is here already: what comes is only looked at, and an earlier part of it is of no use any more. */
  async #check(stage: Stage, { digest, size, bytes }: UploadPart): Promise<UploadOutcome> {
    const { pool, incoming } = this.#parts
    const stored = await pool.put(bytes, { digest, ...(size === undefined ? {} : { size }) })
    const id = uploadId(stage.id, hexOf(digest))
    // Whoever is in the middle of sending the same may go on: taking his bytes away would be an error to him.
    const isAlone = [...this.#uploading].filter((one) => one.id === id).length === 1
    if (isAlone) await incoming.drop(id)
    return { kind: 'stored', stored, fresh: false }
  }

  /** Whether the blob is in the depot, whoever brought it. */
  async #has(stage: Stage, blob: Stored): Promise<boolean> {
    await this.#parts.ledger.blobs.lease(stage.id, [blob.digest])
    return (await this.#parts.pool.absent([blob])).length === 0
  }

  /** The size of a blob that is in the depot, and not one that is damaged: whoever has its bytes may heal it. */
  async #sizeOf(digest: Digest): Promise<number | undefined> {
    try {
      return (await this.#parts.pool.open(digest))?.size
    } catch (error) {
      if (isFailure(error, 'blob-corrupt')) return undefined
      throw error
    }
  }

  async #take(actor: Actor, stage: Stage, part: UploadPart): Promise<UploadOutcome> {
    const { ledger, incoming } = this.#parts
    const id = uploadId(stage.id, hexOf(part.digest))
    await ledger.blobs.lease(stage.id, [part.digest])
    const offset = await naming(part.digest, this.#append(actor, id, part))
    if (!part.complete) return { kind: 'partial', offset }
    if (part.size !== undefined && offset < part.size)
      throw failure('bad-request', {
        reason: `the upload ended after ${offset} of ${part.size} bytes; go on from Upload-Offset`,
      })
    const stored = await naming(part.digest, incoming.finish(id, { digest: part.digest, size: offset }))
    return { kind: 'stored', stored, fresh: true }
  }

  /** What came counts against the quota, also when the sender went away half-way, and no more than that is taken. */
  async #append(actor: Actor, id: string, part: UploadPart): Promise<number> {
    const size = Math.min(part.size ?? LIMITS.blobBytes, LIMITS.blobBytes)
    const allowance = this.#parts.access.allowance(actor.id)
    let came = 0
    // Nothing is held before the upload has its turn: whoever is busy with it holds the same bytes.
    async function* held(): AsyncGenerator<Uint8Array> {
      if (part.size !== undefined) allowance.hold(size - part.offset)
      for await (const piece of part.bytes) {
        if (part.size === undefined) allowance.hold(piece.length)
        came += piece.length
        yield piece
      }
    }
    try {
      return await this.#parts.incoming.append(id, part.offset, held(), size)
    } catch (error) {
      const isEmpty = part.offset === 0 && came === 0
      if (isEmpty && isFailure(error, 'quota-exceeded')) await this.#drop(id)
      throw error
    } finally {
      await this.#settle(id, allowance, came)
    }
  }

  /** Nothing stays that nobody pays for; but who was sending when the depot was stopped goes on after its next start. */
  async #settle(id: string, allowance: Allowance, came: number): Promise<void> {
    try {
      await allowance.settle(came)
    } catch (error) {
      if (!isFailure(error, 'draining')) await this.#drop(id)
      throw error
    }
  }

  async #drop(id: string): Promise<void> {
    try {
      await this.#parts.incoming.drop(id)
    } catch (error) {
      // It became a blob meanwhile, or goes already.
      if (!isFailure(error, 'upload-busy')) throw error
    }
  }
}

/** Who is told that an upload is busy knows it by its digest; the id is a matter between us and the pool. */
async function naming<Result>(digest: Digest, work: Promise<Result>): Promise<Result> {
  try {
    return await work
  } catch (error) {
    throw isFailure(error, 'upload-busy') ? failure('upload-busy', { digest }, { cause: error }) : error
  }
}
