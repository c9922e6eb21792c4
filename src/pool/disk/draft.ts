/**
 * A draft: a file under way, `incoming/<name>.incomplete`, which nobody sees and which may end half-way.
 *
 * Its bytes are hashed while they are written: one thread writes a piece while this one hashes it.
 */

import type { Files, OpenFile } from '../../disk/durable.ts'
import type { DiskRoom, Purpose } from '../../disk/room.ts'
import { type Digest, type Hasher, hasher } from '../../model/digest.ts'
import { cut } from '../expected.ts'

export interface DraftParts {
  readonly files: Files
  readonly room: DiskRoom
  readonly purpose: Purpose
}

export class Draft {
  readonly path: string
  readonly #file: OpenFile
  readonly #parts: DraftParts
  readonly #hasher: Hasher
  #size: number
  #torn = false
  #closed = false

  private constructor(path: string, file: OpenFile, parts: DraftParts, begun: Begun) {
    this.path = path
    this.#file = file
    this.#parts = parts
    this.#hasher = begun.hasher
    this.#size = begun.size
  }

  /** A new one. Fails with `disk-full` when there is no room for as many bytes as it will have. */
  static async begin(parts: DraftParts, path: string, bytes: number): Promise<Draft> {
    const { files, room, purpose } = parts
    await room.demand(bytes, purpose)
    const file = await room.claim(
      { bytes: 0, files: 1, purpose },
      async () => await room.explained(files.open(path, 'new'), bytes),
    )
    return new Draft(path, file, parts, { hasher: hasher(), size: 0 })
  }

  /** Goes on behind the bytes that are there, which are in the hash already. */
  static async resume(parts: DraftParts, path: string, begun: Begun): Promise<Draft> {
    return new Draft(path, await parts.files.open(path, 'old'), parts, begun)
  }

  get size(): number {
    return this.#size
  }

  /** What is written and hashed so far; undefined when a write failed and the two may differ. */
  get begun(): Begun | undefined {
    return this.#torn ? undefined : { hasher: this.#hasher, size: this.#size }
  }

  /** Ends the hash. */
  digest(): Digest {
    return this.#hasher.digest()
  }

  async append(bytes: Uint8Array): Promise<void> {
    const { room, purpose } = this.#parts
    for (const piece of cut(bytes))
      await room.claim({ bytes: piece.length, purpose }, async () => await this.#write(piece))
  }

  async #write(piece: Uint8Array): Promise<void> {
    const written = this.#parts.room.explained(this.#file.write(piece, this.#size), piece.length)
    this.#torn = true
    this.#hasher.update(piece)
    await written
    this.#size += piece.length
    this.#torn = false
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#file.close()
  }
}

export interface Begun {
  readonly hasher: Hasher
  readonly size: number
}
