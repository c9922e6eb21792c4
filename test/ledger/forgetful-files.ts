/**
 * Files whose power is cut after a number of steps, and which then forget what was not synced: the bytes, the names,
 * or both.
 */
import { readFile, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type Files, nodeFiles, type OpenFile } from '../../src/disk/durable.ts'

export class PowerCut extends Error {}

export interface Forgets {
  readonly bytes: boolean
  readonly names: boolean
}

export const FORGETTING: readonly Forgets[] = [
  { bytes: false, names: false },
  { bytes: true, names: false },
  { bytes: false, names: true },
  { bytes: true, names: true },
]

export class ForgetfulFiles implements Files {
  #left: number
  /** Files whose bytes are not synced. */
  readonly #dirty = new Set<string>()
  /** What undoes the renames in folders that are not synced. */
  #renames: { readonly folder: string; undo(): Promise<void> }[] = []

  constructor(steps: number) {
    this.#left = steps
  }

  async open(path: string, how: 'new' | 'old' | 'folder'): Promise<OpenFile> {
    this.#step()
    const file = await nodeFiles.open(path, how)
    return {
      write: async (bytes, position) => {
        this.#step()
        await file.write(bytes, position)
        this.#dirty.add(path)
      },
      sync: async () => {
        this.#step()
        this.#dirty.delete(path)
        this.#renames = this.#renames.filter(({ folder }) => folder !== path)
        await Promise.resolve()
      },
      close: async () => await file.close(),
    }
  }

  async rename(from: string, to: string): Promise<void> {
    this.#step()
    const old = await readFile(to).catch(() => undefined)
    await nodeFiles.rename(from, to)
    if (this.#dirty.delete(from)) this.#dirty.add(to)
    const undo = async (): Promise<void> => {
      await nodeFiles.rename(to, from)
      await (old === undefined ? rm(to, { force: true }) : writeFile(to, old))
    }
    this.#renames.push({ folder: dirname(to), undo })
  }

  async link(from: string, to: string): Promise<void> {
    this.#step()
    await nodeFiles.link(from, to)
  }

  async unlink(path: string): Promise<void> {
    this.#step()
    await nodeFiles.unlink(path)
  }

  async mkdir(path: string): Promise<void> {
    this.#step()
    await nodeFiles.mkdir(path)
  }

  /** What the machine finds when it starts again. */
  async forget({ bytes, names }: Forgets): Promise<void> {
    if (bytes) for (const path of this.#dirty) await writeFile(path, '')
    if (names) for (const renamed of this.#renames.reverse()) await renamed.undo()
  }

  /** Any step that touches the disk; after the last one, none comes through. */
  #step(): void {
    if (this.#left <= 0) throw new PowerCut()
    this.#left -= 1
  }
}
