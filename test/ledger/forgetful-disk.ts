/**
 * A disk whose power is cut after a number of steps, and which then forgets what was not synced: the bytes, the names,
 * or both.
 */
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Disk } from '../../src/ledger/durable.ts'

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

export class ForgetfulDisk implements Disk {
  #left: number
  /** Files whose bytes are not synced. */
  readonly #dirty = new Set<string>()
  /** What undoes the renames in a folder that is not synced. */
  readonly #renames: { readonly folder: string; undo(): Promise<void> }[] = []

  constructor(steps: number) {
    this.#left = steps
  }

  /** Any step that touches the disk; after the last one, none comes through. */
  step(): void {
    if (this.#left <= 0) throw new PowerCut()
    this.#left -= 1
  }

  async write(path: string, bytes: Uint8Array): Promise<void> {
    this.step()
    await writeFile(path, bytes)
    this.#dirty.add(path)
  }

  async sync(path: string): Promise<void> {
    this.step()
    this.#dirty.delete(path)
    await Promise.resolve()
  }

  async rename(from: string, to: string): Promise<void> {
    this.step()
    const old = await readFile(to).catch(() => undefined)
    await rename(from, to)
    if (this.#dirty.delete(from)) this.#dirty.add(to)
    const undo = async (): Promise<void> => {
      await rename(to, from)
      await (old === undefined ? rm(to, { force: true }) : writeFile(to, old))
    }
    this.#renames.push({ folder: dirname(to), undo })
  }

  async syncFolder(path: string): Promise<void> {
    this.step()
    for (const [at, { folder }] of this.#renames.entries()) if (folder === path) this.#renames.splice(at, 1)
    await Promise.resolve()
  }

  /** What the machine finds when it starts again. */
  async forget({ bytes, names }: Forgets): Promise<void> {
    if (bytes) for (const path of this.#dirty) await writeFile(path, '')
    if (names) for (const renamed of this.#renames.reverse()) await renamed.undo()
  }
}
