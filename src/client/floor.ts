/**
 * The floor: the newest generation that somebody has seen of a depot, and so the least one to accept (PROTOCOL §13).
 *
 * A store only keeps it; that it never goes back is `Heads`'s care. On disk it is one small file for each depot, which
 * many processes may share, and a file that cannot be understood is a failure: to go on without it would be to forget
 * what was promised.
 */
import { link, mkdir, readdir, readFile, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { digestOf, hexOf } from '../model/digest.ts'
import { failure } from '../model/errors.ts'
import { type Gid, isGid } from '../model/generation.ts'
import type { Random } from '../model/world.ts'
import { isSystemError, onDisk, replaceFile, syncFolder } from './durable.ts'

/**
 * F1. `read` gives what the last `replace` was given, in a later process too if the store is on disk.
 * F2. `replace` changes the floor only if it still is `before`, and says whether it was: of two who replace the same
 *     floor at the same time, one does.
 * F3. When `replace` says true the new floor is durable; one that fails, or dies half-way, leaves the floor before it or
 *     the new one.
 */
export interface FloorStore {
  read(): Promise<Gid | undefined>
  replace(before: Gid | undefined, floor: Gid): Promise<boolean>
}

export class MemoryFloor implements FloorStore {
  #floor: Gid | undefined

  constructor(floor?: Gid) {
    this.#floor = floor
  }

  async read(): Promise<Gid | undefined> {
    return await Promise.resolve(this.#floor)
  }

  async replace(before: Gid | undefined, floor: Gid): Promise<boolean> {
    const isReplaced = this.#floor === before
    if (isReplaced) this.#floor = floor
    return await Promise.resolve(isReplaced)
  }
}

export interface FileFloorOptions {
  /** Made when it is not there. */
  readonly folder: string
  /** Address of the depot. */
  readonly url: string
  readonly random: Random
}

interface Kept {
  /** Counts the floors that there were. */
  readonly number: number
  readonly path: string
}

/**
 * Each floor is a file of its own, `<depot>.<number>.json`, and the one with the highest number counts. A floor that is
 * replaced gets a successor with the next number by `link`, which of two processes lets one succeed; the file is whole
 * and durable before it has that name. Those before it go afterwards.
 */
export class FileFloor implements FloorStore {
  readonly #folder: string
  readonly #url: string
  readonly #name: string
  readonly #random: Random

  constructor({ folder, url, random }: FileFloorOptions) {
    this.#url = url.replace(/\/+$/, '')
    this.#folder = folder
    this.#random = random
    this.#name = hexOf(digestOf(this.#url)).slice(0, 32)
  }

  /** Fails with `data-unusable`. */
  async read(): Promise<Gid | undefined> {
    return (await onDisk(this.#folder, async () => await this.#last())).floor
  }

  /** Fails with `data-unusable`. */
  async replace(before: Gid | undefined, floor: Gid): Promise<boolean> {
    return await onDisk(this.#folder, async () => {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 })
      const last = await this.#last()
      if (last.floor !== before) return false
      const path = this.#pathOf(last.number + 1)
      if (!(await this.#put(path, floor))) return false
      // Somebody slow may have taken a number that others have passed already: then it never counted.
      const kept = await this.#kept()
      if (kept[0]?.path !== path) {
        await removeIfThere(path)
        return false
      }
      for (const { path: older } of kept.slice(1)) await removeIfThere(older)
      return true
    })
  }

  /** Whether this process gave the floor that name, and no other one did. */
  async #put(path: string, floor: Gid): Promise<boolean> {
    const text = `${JSON.stringify({ depot: this.#url, floor })}\n`
    const draft = `${path}.${Buffer.from(this.#random.bytes(12)).toString('hex')}`
    await replaceFile(draft, { fill: async (file) => await file.writeFile(text) }, this.#random)
    try {
      await link(draft, path)
    } catch (error) {
      if (isSystemError(error, 'EEXIST')) return false
      throw error
    } finally {
      await unlink(draft)
    }
    await syncFolder(this.#folder)
    return true
  }

  async #last(): Promise<{ readonly number: number; readonly floor: Gid | undefined }> {
    for (;;) {
      const [last] = await this.#kept()
      if (last === undefined) return { number: 0, floor: undefined }
      try {
        return { number: last.number, floor: this.#parse(last.path, await readFile(last.path, 'utf8')) }
      } catch (error) {
        // It has a successor by now.
        if (!isSystemError(error, 'ENOENT')) throw error
      }
    }
  }

  /** The newest first. */
  async #kept(): Promise<readonly Kept[]> {
    const names = await readdir(this.#folder).catch((error: unknown) => {
      if (isSystemError(error, 'ENOENT')) return []
      throw error
    })
    return names
      .flatMap((name) => {
        const [, depot, number] = /^([0-9a-f]{32})\.(\d{1,15})\.json$/.exec(name) ?? []
        return depot === this.#name ? [{ number: Number(number), path: join(this.#folder, name) }] : []
      })
      .sort((a, b) => b.number - a.number)
  }

  #pathOf(number: number): string {
    return join(this.#folder, `${this.#name}.${number}.json`)
  }

  #parse(path: string, text: string): Gid {
    const { depot, floor } = membersOf(text)
    if (depot === this.#url && isGid(floor)) return floor
    throw failure('data-unusable', {
      folder: path,
      reason: `this is not the floor of ${this.#url}; delete the file to forget what was seen there`,
    })
  }
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error
  }
}

function membersOf(text: string): { readonly depot?: unknown; readonly floor?: unknown } {
  try {
    return (JSON.parse(text) ?? {}) as { depot?: unknown; floor?: unknown }
  } catch {
    return {}
  }
}
