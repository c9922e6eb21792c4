/**
 * A store on a real disk for a test, which can be restarted, and damaged below its feet.
 */
import { readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { open } from 'lmdb'
import { type Files, nodeFiles } from '../../src/disk/durable.ts'
import { type Digest, hexOf, rawOf } from '../../src/model/digest.ts'
import { type DiskStore, openDiskStore } from '../../src/pool/open-disk.ts'
import { realClock, realRandom } from '../support/real-world.ts'
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts'

export class StoreAtHand implements AsyncDisposable {
  readonly folder: TemporaryFolder
  readonly #files: Files
  store: DiskStore

  private constructor(folder: TemporaryFolder, files: Files, store: DiskStore) {
    this.folder = folder
    this.#files = files
    this.store = store
  }

  static async open(files: Files = nodeFiles, folder?: TemporaryFolder): Promise<StoreAtHand> {
    const held = folder ?? (await temporaryFolder())
    return new StoreAtHand(held, files, await openStore(held.path, files))
  }

  get pool(): DiskStore['pool'] {
    return this.store.pool
  }

  async restart(): Promise<void> {
    await this.store.close()
    this.store = await openStore(this.folder.path, this.#files)
  }

  async damage(digest: Digest, how: 'flip' | 'cut' | 'lose'): Promise<void> {
    const path = this.pathOf(digest)
    if (how === 'lose') return await rm(path)
    if (how === 'cut') return await truncate(path, 1_000)
    const bytes = await readFile(path).catch(() => undefined)
    if (bytes === undefined) await this.damageRow('blobs', digest, flipped)
    else await writeFile(path, flipped(bytes))
  }

  /** Changes a row while nobody has the store open. */
  async damageRow(name: string, digest: Digest, change: (bytes: Buffer) => Uint8Array): Promise<void> {
    await this.store.close()
    const binary = { encoding: 'binary', keyEncoding: 'binary' } as const
    const root = open<Buffer, Buffer>({
      ...binary,
      path: join(this.folder.path, 'pool.lmdb'),
      overlappingSync: false,
    })
    const table = root.openDB<Uint8Array, Buffer>({ ...binary, name })
    const row = Buffer.from(table.get(rawOf(digest)) ?? [])
    await table.put(rawOf(digest), change(row))
    await root.close()
    this.store = await openStore(this.folder.path, this.#files)
  }

  async leftovers(): Promise<readonly string[]> {
    return await readdir(join(this.folder.path, 'incoming'))
  }

  pathOf(digest: Digest): string {
    return join(this.folder.path, 'pool', hexOf(digest).slice(0, 2), hexOf(digest).slice(2))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store.close()
    await this.folder[Symbol.asyncDispose]()
  }
}

export function flipped(bytes: Uint8Array, at: number = bytes.length >> 1): Buffer {
  const copy = Buffer.from(bytes)
  copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}

async function openStore(path: string, files: Files): Promise<DiskStore> {
  return await openDiskStore(path, { clock: realClock, random: realRandom, files })
}
