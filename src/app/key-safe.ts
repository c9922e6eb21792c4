/**
 * The private keys of a depot, in `<data>/keys/`: each in a file of its own, PKCS #8 as PEM (RFC 8410), readable by its
 * owner alone. They are read by nobody but the process that signs, and sent nowhere.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open, readdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { KeySafe } from '../depot/keys/safe.ts'
import { codeOf, Durable, type Files, nodeFiles, unlessGone } from '../disk/durable.ts'
import { failure } from '../model/errors.ts'
import { isKeyId, type KeyId, SigningKey } from '../model/keys/key.ts'
import type { Random } from '../model/world.ts'

const FOLDER = 'keys'
const END = '.pem'
/** What `Durable.write` calls a file that is not whole. */
const UNFINISHED = '.new'
const OTHERS = 0o077
const SEED_BYTES = 32
/** An Ed25519 key as PKCS #8 begins like this, and ends with its 32 bytes (RFC 8410 §7). */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')

export interface KeySafeOptions {
  /** The data folder. */
  readonly folder: string
  readonly random: Random
  readonly files?: Files
}

export class DiskKeySafe implements KeySafe {
  readonly #folder: string
  readonly #random: Random
  readonly #durable: Durable

  constructor({ folder, random, files = nodeFiles }: KeySafeOptions) {
    this.#folder = join(folder, FOLDER)
    this.#random = random
    this.#durable = new Durable(files)
  }

  async make(): Promise<SigningKey> {
    const der = Buffer.concat([PKCS8, this.#random.bytes(SEED_BYTES)])
    const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    const signing = new SigningKey(key)
    await this.#durable.folder(this.#folder)
    await this.#durable.write(this.#pathOf(signing.id), Buffer.from(pemOf(key)))
    return signing
  }

  async open(id: KeyId): Promise<SigningKey | undefined> {
    let file: FileHandle
    try {
      file = await open(this.#pathOf(id), constants.O_RDONLY | constants.O_NOFOLLOW)
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined
      if (codeOf(error) === 'ELOOP') throw this.#unusable(id, 'it is a link')
      throw error
    }
    try {
      const { mode } = await file.stat()
      if ((mode & OTHERS) !== 0) throw this.#unusable(id, 'others may read or write it')
      return this.#keyIn(id, await file.readFile('utf8'))
    } finally {
      await file.close()
    }
  }

  /** What was cut short when it was made is no key, and nothing of it stays. */
  async list(): Promise<readonly KeyId[]> {
    const names = (await readdir(this.#folder).catch(unlessGone)) ?? []
    const left = names.filter((name) => name.endsWith(END + UNFINISHED))
    for (const name of left) await unlink(join(this.#folder, name)).catch(unlessGone)
    const ids = names.flatMap((name) => (name.endsWith(END) ? [name.slice(0, -END.length)] : []))
    return ids.filter(isKeyId).sort()
  }

  async drop(id: KeyId): Promise<void> {
    await unlink(this.#pathOf(id)).catch(unlessGone)
    await this.#durable.sync(this.#folder, 'folder')
  }

  #pathOf(id: KeyId): string {
    return join(this.#folder, id + END)
  }

  #keyIn(id: KeyId, text: string): SigningKey {
    let key: KeyObject
    try {
      key = createPrivateKey(text)
    } catch {
      // Not the cause: it might tell of what is in the file.
      throw this.#unusable(id, 'it holds no private key')
    }
    if (key.asymmetricKeyType === 'ed25519') {
      const signing = new SigningKey(key)
      if (signing.id === id) return signing
    }
    throw this.#unusable(id, 'it holds another key than its name says')
  }

  #unusable(id: KeyId, reason: string): Error {
    return failure('data-unusable', {
      folder: this.#pathOf(id),
      reason: `${reason}; look who did that; who has read this key can sign in the name of this depot`,
    })
  }
}

function pemOf(key: KeyObject): string {
  return key.export({ format: 'pem', type: 'pkcs8' }).toString()
}
