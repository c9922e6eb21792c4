/**
 * The floor: the newest generation that somebody has seen of a depot, and so the least one to accept (PROTOCOL §13).
 *
 * A store only keeps it; that it never goes back is `Heads`'s care. On disk it is one small file for each depot, and
 * a file that cannot be understood is a failure: to go on without it would be to forget what was promised.
 */
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { digestOf, hexOf } from '../model/digest.ts'
import { failure } from '../model/errors.ts'
import { type Gid, isGid } from '../model/generation.ts'
import type { Random } from '../model/world.ts'
import { isSystemError, onDisk, replaceFile, syncFolder } from './durable.ts'

/**
 * F1. `read` gives what the last `write` was given, in a later process too if the store is on disk.
 * F2. A `write` that fails, or dies half-way, leaves the floor before it or the new one.
 */
export interface FloorStore {
  read(): Promise<Gid | undefined>
  write(floor: Gid): Promise<void>
}

export class MemoryFloor implements FloorStore {
  #floor: Gid | undefined

  constructor(floor?: Gid) {
    this.#floor = floor
  }

  async read(): Promise<Gid | undefined> {
    return await Promise.resolve(this.#floor)
  }

  async write(floor: Gid): Promise<void> {
    this.#floor = floor
    return await Promise.resolve()
  }
}

export interface FileFloorOptions {
  /** Made when it is not there. */
  readonly folder: string
  /** Address of the depot. */
  readonly url: string
  readonly random: Random
}

export class FileFloor implements FloorStore {
  readonly path: string
  readonly #folder: string
  readonly #url: string
  readonly #random: Random

  constructor({ folder, url, random }: FileFloorOptions) {
    this.#url = url.replace(/\/+$/, '')
    this.#folder = folder
    this.#random = random
    this.path = join(folder, `${hexOf(digestOf(this.#url)).slice(0, 32)}.json`)
  }

  async read(): Promise<Gid | undefined> {
    return await onDisk(this.#folder, async () => {
      try {
        return this.#parse(await readFile(this.path, 'utf8'))
      } catch (error) {
        if (isSystemError(error, 'ENOENT')) return undefined
        throw error
      }
    })
  }

  async write(floor: Gid): Promise<void> {
    const text = `${JSON.stringify({ depot: this.#url, floor })}\n`
    await onDisk(this.#folder, async () => {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 })
      await replaceFile(this.path, { fill: async (file) => await file.writeFile(text) }, this.#random)
      await syncFolder(this.#folder)
    })
  }

  #parse(text: string): Gid {
    const { depot, floor } = membersOf(text)
    if (depot === this.#url && isGid(floor)) return floor
    throw failure('data-unusable', {
      folder: this.path,
      reason: `this is not the floor of ${this.#url}; delete the file to forget what was seen there`,
    })
  }
}

function membersOf(text: string): { readonly depot?: unknown; readonly floor?: unknown } {
  try {
    return (JSON.parse(text) ?? {}) as { depot?: unknown; floor?: unknown }
  } catch {
    return {}
  }
}
