/**
 * `Incoming` on the local disk: uploads under way are files `incoming/<id>.incomplete`, and how far one has come is
 * the size of its file.
 *
 * What was hashed while it came is remembered in memory, for as many uploads as `HASHES`; of any other, as after a
 * restart, the file is read once before it goes on.
 */
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Files, unlessGone } from '../disk/durable.ts'
import type { DiskRoom } from '../disk/room.ts'
import { type Digest, digestOf } from '../model/digest.ts'
import { failure } from '../model/errors.ts'
import { LIMITS } from '../model/limits.ts'
import type { Blobs } from './disk/blobs.ts'
import { type Begun, Draft } from './disk/draft.ts'
import { hashFile, readPieces } from './disk/pieces.ts'
import { demandUploadId, demandUploadSize, refuseUnless, unknownUpload, uploadTooLong } from './expected.ts'
import type { Expected, Incoming, Stored } from './pool.ts'

export interface DiskIncomingParts {
  readonly blobs: Blobs
  readonly drafts: string
  readonly files: Files
  readonly room: DiskRoom
}

const FILE = /^([A-Za-z0-9-]{1,128})\.incomplete$/
/** A state of SHA-256 is some hundred bytes. */
const HASHES = 1_000

/** What is being done with an upload at the moment. */
interface Work {
  readonly kind: 'append' | 'finish' | 'drop'
  dropped: boolean
}

export class DiskIncoming implements Incoming {
  readonly #parts: DiskIncomingParts
  readonly #works = new Map<string, Work>()
  readonly #begun = new Map<string, Begun>()

  constructor(parts: DiskIncomingParts) {
    this.#parts = parts
  }

  async offset(id: string): Promise<number | undefined> {
    return await sizeOf(this.#pathOf(id))
  }

  async append(id: string, offset: number, bytes: AsyncIterable<Uint8Array>, size: number): Promise<number> {
    const path = this.#pathOf(id)
    demandUploadSize(size)
    return await this.#alone(id, 'append', async (work) => {
      const here = await sizeOf(path)
      if (offset !== (here ?? 0)) throw failure('offset-mismatch', { expected: here ?? 0, offered: offset })
      const draft = await this.#draft(id, here, size)
      try {
        for await (const piece of bytes) {
          if (work.dropped) throw unknownUpload(id)
          const left = size - draft.size
          await draft.append(piece.subarray(0, left))
          if (piece.length > left) throw uploadTooLong(size)
        }
      } finally {
        await draft.close()
        if (!work.dropped) this.#remember(id, draft.begun)
      }
      return draft.size
    })
  }

  async *read(id: string, start: number, end: number): AsyncGenerator<Uint8Array> {
    try {
      yield* readPieces(this.#pathOf(id), start, end, LIMITS.narrowPieceBytes)
    } catch (error) {
      unlessGone(error)
    }
  }

  async finish(id: string, expected: Required<Expected>): Promise<Stored> {
    const path = this.#pathOf(id)
    return await this.#alone(id, 'finish', async () => {
      const size = await sizeOf(path)
      if (size === undefined) return await this.#finished(id, expected)
      const digest = (await this.#begunOf(id, size)).hasher.digest()
      if (digest !== expected.digest || size !== expected.size) {
        await this.#parts.blobs.discard(path)
        throw failure('digest-mismatch', { expected: expected.digest, found: `${digest} (${size} bytes)` })
      }
      if (size <= LIMITS.smallBlobBytes) await this.#keepSmall(path, digest)
      else await this.#parts.blobs.keep(path, { digest, size }, 'commit')
      return { digest, size }
    })
  }

  async drop(id: string): Promise<void> {
    const path = this.#pathOf(id)
    const work = this.#works.get(id)
    if (work !== undefined && work.kind !== 'append') throw failure('upload-busy', { digest: id })
    const discard = async (): Promise<void> => {
      this.#begun.delete(id)
      await this.#parts.blobs.discard(path)
    }
    // Nobody begins anything with a file that is about to go.
    if (work === undefined) return await this.#alone(id, 'drop', discard)
    work.dropped = true
    await discard()
  }

  async *list(): AsyncGenerator<{ id: string; size: number; modifiedMs: number }> {
    for (const name of await readdir(this.#parts.drafts)) {
      const id = FILE.exec(name)?.[1]
      const found = id === undefined ? undefined : await stat(this.#pathOf(id)).catch(unlessGone)
      if (id !== undefined && found !== undefined) yield { id, size: found.size, modifiedMs: found.mtimeMs }
    }
  }

  /** One at a time per upload. */
  async #alone<Result>(
    id: string,
    kind: Work['kind'],
    run: (work: Work) => Promise<Result>,
  ): Promise<Result> {
    if (this.#works.has(id)) throw failure('upload-busy', { digest: id })
    const work: Work = { kind, dropped: false }
    this.#works.set(id, work)
    try {
      return await run(work)
    } finally {
      this.#works.delete(id)
    }
  }

  async #draft(id: string, here: number | undefined, size: number): Promise<Draft> {
    const path = this.#pathOf(id)
    // Who does not know how long it will be allows all that a blob may have; then every piece asks for room.
    const announced = size < LIMITS.blobBytes ? size - (here ?? 0) : 0
    if (announced < 0) throw uploadTooLong(size)
    const parts = { ...this.#parts, purpose: 'upload' } as const
    if (here === undefined) return await Draft.begin(parts, path, announced)
    await parts.room.demand(announced)
    return await Draft.resume(parts, path, await this.#begunOf(id, here))
  }

  /** The hash of what is there, taken out of memory: whoever goes on puts it back. */
  async #begunOf(id: string, size: number): Promise<Begun> {
    const begun = this.#begun.get(id)
    this.#begun.delete(id)
    if (begun?.size === size) return begun
    return { hasher: (await hashFile(this.#pathOf(id), size)).hasher, size }
  }

  #remember(id: string, begun: Begun | undefined): void {
    if (begun === undefined) return
    this.#begun.set(id, begun)
    const [oldest] = this.#begun.keys()
    if (this.#begun.size > HASHES && oldest !== undefined) this.#begun.delete(oldest)
  }

  async #keepSmall(path: string, digest: Digest): Promise<void> {
    const bytes = await readFile(path)
    refuseUnless({ digest }, { digest: digestOf(bytes), size: bytes.length })
    await this.#parts.blobs.putSmall([{ digest, bytes }], 'commit')
    await this.#parts.blobs.discard(path)
  }

  /** The upload is gone: it was finished before, when the blob is here, and the answer got lost. */
  async #finished(id: string, { digest, size }: Required<Expected>): Promise<Stored> {
    const blob = await this.#parts.blobs.open(digest)
    if (blob?.size !== size) throw unknownUpload(id)
    return { digest, size }
  }

  #pathOf(id: string): string {
    demandUploadId(id)
    return join(this.#parts.drafts, `${id}.incomplete`)
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  return (await stat(path).catch(unlessGone))?.size
}
