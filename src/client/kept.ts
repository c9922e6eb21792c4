/**
 * What a client keeps of a depot from one process to the next: a floor, or a key ring. On disk each of them is one small
 * file for each depot, which many processes may share, and a file that cannot be understood is a failure: to go on
 * without it would be to forget what was promised.
 */
import { link, mkdir, readdir, readFile, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { digestOf, hexOf } from '../model/digest.ts'
import { type DepotError, failure, isFailure } from '../model/errors.ts'
import type { Random } from '../model/world.ts'
import { isSystemError, onDisk, replaceFile, syncFolder } from './durable.ts'

/**
 * F1. `read` gives what the last `replace` was given, in a later process too if the store is on disk.
 * F2. `replace` changes the value only if it still is `before`, and says whether it was: of two who replace the same
 *     value at the same time, one does.
 * F3. When `replace` says true the new value is durable; one that fails, or dies half-way, leaves the value before it or
 *     the new one.
 */
export interface Kept<Value extends string> {
  read(): Promise<Value | undefined>
  replace(before: Value | undefined, value: Value): Promise<boolean>
}

/** What is kept: how it is called, and how it is told from what it is not. */
export interface Kind<Value extends string> {
  /** The member of the file, and what people call it. */
  readonly name: string
  /** Stands in the names of its files, so that several kinds share a folder. */
  readonly mark: string
  readonly is: (text: string) => text is Value
}

export class MemoryKept<Value extends string> implements Kept<Value> {
  #value: Value | undefined

  constructor(value?: Value) {
    this.#value = value
  }

  async read(): Promise<Value | undefined> {
    return await Promise.resolve(this.#value)
  }

  async replace(before: Value | undefined, value: Value): Promise<boolean> {
    const isReplaced = this.#value === before
    if (isReplaced) this.#value = value
    return await Promise.resolve(isReplaced)
  }
}

export interface FileOptions {
  /** Made when it is not there. */
  readonly folder: string
  /** Address of the depot. */
  readonly url: string
  readonly random: Random
}

interface File {
  /** Counts the values that there were. */
  readonly number: number
  readonly path: string
}

/**
 * Each value is a file of its own, `<depot>.<number>.json`, and the one with the highest number counts. One that is
 * replaced gets a successor with the next number by `link`, which of two processes lets one succeed; the file is whole
 * and durable before it has that name. Those before it go afterwards.
 */
export class FileKept<Value extends string> implements Kept<Value> {
  readonly #folder: string
  readonly #url: string
  readonly #kind: Kind<Value>
  readonly #name: string
  readonly #random: Random

  constructor({ folder, url, random }: FileOptions, kind: Kind<Value>) {
    this.#url = url.replace(/\/+$/, '')
    this.#folder = folder
    this.#random = random
    this.#kind = kind
    this.#name = `${hexOf(digestOf(this.#url)).slice(0, 32)}${kind.mark}.`
  }

  /** Fails with `data-unusable`. */
  async read(): Promise<Value | undefined> {
    return (await onDisk(this.#folder, async () => await this.#last())).value
  }

  /** Fails with `data-unusable`. */
  async replace(before: Value | undefined, value: Value): Promise<boolean> {
    return await onDisk(this.#folder, async () => {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 })
      const last = await this.#last()
      if (last.value !== before) return false
      const path = this.#pathOf(last.number + 1)
      if (!(await this.#put(path, value))) return false
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

  /** Whether this process gave the value that name, and no other one did. */
  async #put(path: string, value: Value): Promise<boolean> {
    const text = `${JSON.stringify({ depot: this.#url, [this.#kind.name]: value })}\n`
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

  async #last(): Promise<{ readonly number: number; readonly value: Value | undefined }> {
    for (;;) {
      const [last] = await this.#kept()
      if (last === undefined) return { number: 0, value: undefined }
      try {
        return { number: last.number, value: this.#parse(last.path, await readFile(last.path, 'utf8')) }
      } catch (error) {
        // It has a successor by now.
        if (!isSystemError(error, 'ENOENT')) throw error
      }
    }
  }

  /** The newest first. */
  async #kept(): Promise<readonly File[]> {
    const names = await readdir(this.#folder).catch((error: unknown) => {
      if (isSystemError(error, 'ENOENT')) return []
      throw error
    })
    return names
      .flatMap((name) => {
        const [, number] = /^(\d{1,15})\.json$/.exec(name.slice(this.#name.length)) ?? []
        const isOwn = name.startsWith(this.#name) && number !== undefined
        return isOwn ? [{ number: Number(number), path: join(this.#folder, name) }] : []
      })
      .sort((a, b) => b.number - a.number)
  }

  #pathOf(number: number): string {
    return join(this.#folder, `${this.#name}${number}.json`)
  }

  #parse(path: string, text: string): Value {
    const { name, is } = this.#kind
    const { depot, [name]: value } = membersOf(text)
    if (depot === this.#url && typeof value === 'string' && is(value)) return value
    throw failure('data-unusable', {
      folder: path,
      reason: `this is not the ${name} of ${this.#url}; delete the file to forget what was seen there`,
    })
  }
}

/** Told once, with the failure that the kept value would have ended with. */
export type WhenUnusable = (error: DepotError) => void

/**
 * A value that is kept where it can be, and in memory where the disk does not let it: a container may have no home, or
 * one that is read-only, and whoever only wants to read shall not need one (PROTOCOL §13).
 *
 * Only what the system refuses is passed over. A value that is there and cannot be understood stays a failure, and what
 * was read before counts on.
 */
export class LenientKept<Value extends string> implements Kept<Value> {
  readonly #kept: Kept<Value>
  readonly #whenUnusable: WhenUnusable
  #seen: Value | undefined
  /** In the place of the kept one, once that was of no use. */
  #memory: MemoryKept<Value> | undefined

  constructor(kept: Kept<Value>, whenUnusable: WhenUnusable) {
    this.#kept = kept
    this.#whenUnusable = whenUnusable
  }

  async read(): Promise<Value | undefined> {
    return await this.#where(async (store) => {
      this.#seen = await store.read()
      return this.#seen
    })
  }

  async replace(before: Value | undefined, value: Value): Promise<boolean> {
    return await this.#where(async (store) => await store.replace(before, value))
  }

  async #where<Result>(work: (store: Kept<Value>) => Promise<Result>): Promise<Result> {
    if (this.#memory !== undefined) return await work(this.#memory)
    try {
      return await work(this.#kept)
    } catch (error) {
      if (!isFailure(error, 'data-unusable') || !isSystemError(error.cause)) throw error
      return await work(this.#forget(error))
    }
  }

  /** Of several who fail at the same time one tells of it, and all go on with one value. */
  #forget(error: DepotError): Kept<Value> {
    if (this.#memory === undefined) {
      this.#memory = new MemoryKept(this.#seen)
      this.#whenUnusable(error)
    }
    return this.#memory
  }
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error
  }
}

function membersOf(text: string): Readonly<Record<string, unknown>> {
  try {
    return (JSON.parse(text) ?? {}) as Readonly<Record<string, unknown>>
  } catch {
    return {}
  }
}
