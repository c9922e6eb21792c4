/**
 * A disk that forgets whatever was not synced: the bytes of a file, and the names in a folder.
 *
 * After a crash a real one keeps some of it and some not, so a test looks at three: nothing that was not synced, all
 * of it, and the worst of it: names without their bytes.
 */
import { dirname } from 'node:path'
import type { Files, OpenFile } from '../../src/disk/durable.ts'

interface Inode {
  bytes: Buffer
  synced: Buffer
}

interface Folder {
  names: Map<string, Inode | Folder>
  synced: Map<string, Inode | Folder>
}

export type Crash = 'forgets all' | 'keeps names' | 'keeps all'
export const CRASHES: readonly Crash[] = ['forgets all', 'keeps names', 'keeps all']

export class LossyFiles implements Files {
  readonly #root = emptyFolder()

  constructor(...folders: readonly string[]) {
    for (const path of folders) {
      const parent = this.#folder(dirname(path))
      const folder = emptyFolder()
      parent.names.set(path, folder)
      parent.synced.set(path, folder)
    }
  }

  async open(path: string, how: 'new' | 'old' | 'folder'): Promise<OpenFile> {
    if (how === 'folder') return syncing(this.#folder(path))
    const { names } = this.#folder(dirname(path))
    if (how === 'new') refuseTwice(names, path)
    const inode = how === 'new' ? { bytes: Buffer.alloc(0), synced: Buffer.alloc(0) } : this.#file(path)
    names.set(path, inode)
    return {
      write: async (bytes, position) => {
        inode.bytes = Buffer.concat([inode.bytes.subarray(0, position), bytes])
      },
      sync: async () => {
        inode.synced = inode.bytes
      },
      close: async () => undefined,
    }
  }

  async link(from: string, to: string): Promise<void> {
    const { names } = this.#folder(dirname(to))
    refuseTwice(names, to)
    names.set(to, this.#file(from))
  }

  async rename(from: string, to: string): Promise<void> {
    this.#folder(dirname(to)).names.set(to, this.#file(from))
    this.#folder(dirname(from)).names.delete(from)
  }

  async unlink(path: string): Promise<void> {
    this.#file(path)
    this.#folder(dirname(path)).names.delete(path)
  }

  async mkdir(path: string): Promise<void> {
    const { names } = this.#folder(dirname(path))
    refuseTwice(names, path)
    names.set(path, emptyFolder())
  }

  /** The bytes under a name after a crash; undefined when the name is gone. */
  after(crash: Crash, path: string): Buffer | undefined {
    const found = this.#find(path, crash === 'forgets all' ? 'synced' : 'names')
    if (found === undefined || 'names' in found) return undefined
    return crash === 'keeps all' ? found.bytes : found.synced
  }

  #folder(path: string): Folder {
    const found = this.#find(path, 'names')
    if (found === undefined || !('names' in found)) throw gone(path)
    return found
  }

  #file(path: string): Inode {
    const found = this.#find(path, 'names')
    if (found === undefined || 'names' in found) throw gone(path)
    return found
  }

  #find(path: string, which: 'names' | 'synced'): Inode | Folder | undefined {
    if (path === '/') return this.#root
    const parent = this.#find(dirname(path), which)
    return parent !== undefined && 'names' in parent ? parent[which].get(path) : undefined
  }
}

function emptyFolder(): Folder {
  return { names: new Map(), synced: new Map() }
}

function syncing(folder: Folder): OpenFile {
  return {
    write: async () => undefined,
    sync: async () => {
      folder.synced = new Map(folder.names)
    },
    close: async () => undefined,
  }
}

function refuseTwice(names: ReadonlyMap<string, unknown>, path: string): void {
  if (names.has(path)) throw Object.assign(new Error(`EEXIST: ${path}`), { code: 'EEXIST' })
}

function gone(path: string): Error {
  return Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' })
}
