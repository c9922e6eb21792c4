/**
 * One process for each data folder: a Unix socket in the folder, which answers as long as its process lives.
 *
 *   listen on `lock-<id>.new`            nobody minds it yet
 *   rename it to `lock-<id>.sock`        from now on everybody who looks finds it, and it answers
 *   look for other `lock-*.sock`         one that refuses belongs to a dead process, and is taken away
 *   one answers "held"                   the folder is locked
 *   one answers "candidate"              both are at these steps: the lower id goes on, the other gives up
 *
 * Everybody is to be found before he looks, so of any two the later to look finds the other: they never both win. A
 * name is used once, and gets its `.sock` only when its socket answers, so one that refuses is dead for ever and to take
 * it away can never hit a living lock. (A single shared name has to be taken away from the dead and made anew, and no
 * order of `link`, `connect` and `rename` does that without a moment in which two may hold it.)
 */
import { readdir, rename, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { codeOf } from '../disk/durable.ts'
import { makeFolder } from '../disk/folder.ts'
import { failure, isFailure } from '../model/errors.ts'
import type { Random } from '../model/world.ts'
import { type Answer, answerAt, ask, type Reply, SocketFolder } from './lock-socket.ts'

const ID_BYTES = 8
const FOLDER_MODE = 0o700
const NAME = /^lock-([0-9a-f]{16})\.(new|sock)$/
/** How often a candidate begins anew whose `.new` was taken for a dead one, or who was hung up on. */
const ATTEMPTS = 10

/**
 * Makes the folder where it is absent, and holds it until it is disposed of. Fails with `data-locked` when another
 * process holds it, or `data-unusable`.
 */
export async function lockFolder(folder: string, { random }: { random: Random }): Promise<AsyncDisposable> {
  const path = resolve(folder)
  try {
    await makeFolder(path, FOLDER_MODE)
    const held = await holderOf(path, random)
    if (held !== undefined) return held
  } catch (cause) {
    if (isFailure(cause) || codeOf(cause) === undefined || !(cause instanceof Error)) throw cause
    throw failure('data-unusable', { folder: path, reason: cause.message }, { cause })
  }
  throw failure('data-locked', { folder: path })
}

/** Undefined when every attempt had to begin anew. */
async function holderOf(path: string, random: Random): Promise<AsyncDisposable | undefined> {
  const sockets = await SocketFolder.open(path)
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const candidate = new Candidate(path, sockets, Buffer.from(random.bytes(ID_BYTES)).toString('hex'))
      if (await candidate.stand()) return candidate
    }
    return undefined
  } finally {
    await sockets[Symbol.asyncDispose]()
  }
}

class Candidate implements AsyncDisposable {
  readonly #folder: string
  readonly #sockets: SocketFolder
  readonly #id: string
  #state: Reply = 'candidate'
  #socket: AsyncDisposable | undefined

  constructor(folder: string, sockets: SocketFolder, id: string) {
    this.#folder = folder
    this.#sockets = sockets
    this.#id = id
  }

  /** Whether it has the lock now; false when it has to begin anew. Fails with `data-locked`. */
  async stand(): Promise<boolean> {
    try {
      this.#socket = await answerAt(await this.#sockets.address(`lock-${this.#id}.new`), (id) =>
        this.#replyTo(id),
      )
      const won = (await this.#published()) && (await this.#alone())
      if (won && this.#state === 'candidate') {
        this.#state = 'held'
        return true
      }
      if (won) throw failure('data-locked', { folder: this.#folder })
      await this[Symbol.asyncDispose]()
      return false
    } catch (error) {
      await this[Symbol.asyncDispose]()
      throw error
    }
  }

  /** First the name, so that whoever finds the socket refusing can be sure that it is dead. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const kind of ['new', 'sock']) await rm(this.#path(kind), { force: true })
    await this.#socket?.[Symbol.asyncDispose]()
  }

  #replyTo(caller: string): Reply {
    if (this.#state === 'candidate' && caller < this.#id) this.#state = 'yielded'
    return this.#state
  }

  async #published(): Promise<boolean> {
    try {
      await rename(this.#path('new'), this.#path('sock'))
      return true
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return false
      throw error
    }
  }

  /** Whether no other living process is to be found; false when that could not be told. Fails with `data-locked`. */
  async #alone(): Promise<boolean> {
    for (const name of await readdir(this.#folder)) {
      const [, id, kind] = NAME.exec(name) ?? []
      if (id === undefined || id === this.#id) continue
      const answer = await ask(await this.#sockets.address(name), this.#id)
      if (answer === 'refused') await rm(join(this.#folder, name), { force: true })
      else if (kind === 'sock' && !this.#passes(answer)) return false
    }
    return true
  }

  #passes(answer: Answer): boolean {
    if (answer === 'gone' || answer === 'yielded') return true
    if (answer === 'hung-up') return false
    throw failure('data-locked', { folder: this.#folder })
  }

  #path(kind: string): string {
    return join(this.#folder, `lock-${this.#id}.${kind}`)
  }
}
