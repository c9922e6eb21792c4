/**
 * `Incoming` in memory, over any pool: uploads under way are lists of pieces.
 */
import { digestOf } from '../model/digest.ts'
import { failure } from '../model/errors.ts'
import type { Clock } from '../model/world.ts'
import { demandUploadId, demandUploadSize, refuseUnless, unknownUpload, uploadTooLong } from './expected.ts'
import type { Expected, Incoming, Pool, Stored } from './pool.ts'

interface Upload {
  readonly pieces: Uint8Array[]
  size: number
  modifiedMs: number
  busy: 'append' | 'finish' | undefined
  dropped: boolean
}

export class MemoryIncoming implements Incoming {
  readonly #pool: Pick<Pool, 'put' | 'open'>
  readonly #clock: Pick<Clock, 'now'>
  readonly #uploads = new Map<string, Upload>()

  constructor(pool: Pick<Pool, 'put' | 'open'>, clock: Pick<Clock, 'now'>) {
    this.#pool = pool
    this.#clock = clock
  }

  async offset(id: string): Promise<number | undefined> {
    demandUploadId(id)
    return this.#uploads.get(id)?.size
  }

  async append(id: string, offset: number, bytes: AsyncIterable<Uint8Array>, size: number): Promise<number> {
    demandUploadId(id)
    demandUploadSize(size)
    const upload = this.#uploads.get(id) ?? this.#fresh()
    if (upload.busy !== undefined) throw failure('upload-busy', { digest: id })
    if (offset !== upload.size) throw failure('offset-mismatch', { expected: upload.size, offered: offset })
    if (upload.size > size) throw uploadTooLong(size)
    this.#uploads.set(id, upload)
    upload.busy = 'append'
    try {
      for await (const piece of bytes) this.#take(id, upload, piece, size)
    } finally {
      upload.busy = undefined
    }
    return upload.size
  }

  async *read(id: string, start: number, end: number): AsyncGenerator<Uint8Array> {
    demandUploadId(id)
    let at = 0
    for (const piece of this.#uploads.get(id)?.pieces ?? []) {
      if (at >= end) return
      const wanted = piece.subarray(Math.max(0, start - at), end - at)
      at += piece.length
      if (wanted.length > 0) yield wanted
    }
  }

  async finish(id: string, expected: Required<Expected>): Promise<Stored> {
    demandUploadId(id)
    const upload = this.#uploads.get(id)
    if (upload === undefined) return await this.#finished(id, expected)
    if (upload.busy !== undefined) throw failure('upload-busy', { digest: id })
    const bytes = Buffer.concat(upload.pieces)
    const stored = { digest: digestOf(bytes), size: bytes.length }
    upload.busy = 'finish'
    try {
      if (stored.digest === expected.digest && stored.size === expected.size) await this.#pool.put(bytes)
    } finally {
      upload.busy = undefined
    }
    this.#uploads.delete(id)
    refuseUnless(expected, stored)
    return stored
  }

  async drop(id: string): Promise<void> {
    demandUploadId(id)
    const upload = this.#uploads.get(id)
    if (upload?.busy === 'finish') throw failure('upload-busy', { digest: id })
    if (upload !== undefined) upload.dropped = true
    this.#uploads.delete(id)
  }

  async *list(): AsyncGenerator<{ id: string; size: number; modifiedMs: number }> {
    for (const [id, { size, modifiedMs }] of this.#uploads) yield { id, size, modifiedMs }
  }

  #fresh(): Upload {
    return { pieces: [], size: 0, modifiedMs: this.#clock.now(), busy: undefined, dropped: false }
  }

  #take(id: string, upload: Upload, piece: Uint8Array, most: number): void {
    if (upload.dropped) throw unknownUpload(id)
    const kept = piece.subarray(0, most - upload.size)
    upload.pieces.push(Buffer.from(kept))
    upload.size += kept.length
    upload.modifiedMs = this.#clock.now()
    if (kept.length < piece.length) throw uploadTooLong(most)
  }

  async #finished(id: string, { digest, size }: Required<Expected>): Promise<Stored> {
    const blob = await this.#pool.open(digest)
    if (blob?.size !== size) throw unknownUpload(id)
    return { digest, size }
  }
}
