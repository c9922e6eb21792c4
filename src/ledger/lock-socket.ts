/**
 * The socket of a lock: one line is asked (who calls), one word is answered.
 *
 * A socket's address holds about a hundred bytes, and a data folder may have a longer path; on Linux the folder is then
 * reached through its descriptor.
 */
import { access, type FileHandle, open } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { codeOf } from '../disk/durable.ts'
import { failure } from '../model/errors.ts'

/** What a living process says: it has the lock, wants it and goes before the caller, or lets the caller go first. */
export type Reply = 'held' | 'candidate' | 'yielded'

/** Nobody listens there (for ever), the name is gone, he hung up without a word, or says nothing. */
export type Answer = Reply | 'refused' | 'gone' | 'hung-up' | 'silent'

const REPLIES: readonly string[] = ['held', 'candidate', 'yielded'] satisfies readonly Reply[]
/** What fits into the address everywhere: Linux has 107 bytes, macOS 103. */
const ADDRESS_BYTES = 103
const DESCRIPTORS = '/proc/self/fd'
const PATIENCE_MS = 2_000
const LINE_BYTES = 64
const NOTHING = ''
const ANSWERS: ReadonlyMap<string | number | undefined, Answer> = new Map([
  ['ECONNREFUSED', 'refused'],
  ['ENOENT', 'gone'],
  ['ECONNRESET', 'hung-up'],
  ['EPIPE', 'hung-up'],
  ['EAGAIN', 'silent'], // its queue is full
])
const ID = /^[0-9a-f]{16}$/

/** The addresses of sockets in a folder, for as long as it is not disposed of. */
export class SocketFolder implements AsyncDisposable {
  readonly #folder: string
  readonly #handle: FileHandle

  private constructor(folder: string, handle: FileHandle) {
    this.#folder = folder
    this.#handle = handle
  }

  static async open(folder: string): Promise<SocketFolder> {
    return new SocketFolder(folder, await open(folder, 'r'))
  }

  /** Fails with `data-unusable` when the path is too long for this system. */
  async address(name: string): Promise<string> {
    const path = join(this.#folder, name)
    if (Buffer.byteLength(path) <= ADDRESS_BYTES) return path
    try {
      await access(DESCRIPTORS)
    } catch (cause) {
      const reason = `the path is too long for the socket in it: ${name} must end within ${ADDRESS_BYTES} bytes`
      throw failure('data-unusable', { folder: this.#folder, reason }, { cause })
    }
    return `${DESCRIPTORS}/${this.#handle.fd}/${name}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close()
  }
}

/** A socket that answers callers, and does not keep its process alive by itself. */
export async function answerAt(
  address: string,
  replyTo: (caller: string) => Reply,
): Promise<AsyncDisposable> {
  const callers = new Set<Socket>()
  const server = createServer((caller) => {
    callers.add(caller)
    caller.on('close', () => callers.delete(caller))
    void answer(caller, replyTo)
  })
  await listening(server, address)
  server.unref()
  return {
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const caller of callers) caller.destroy()
      await closed
    },
  }
}

/** Asks whoever is there. Fails as the system does when it does not let us ask. */
export async function ask(address: string, id: string): Promise<Answer> {
  const socket = connect(address)
  try {
    socket.write(`${id}\n`)
    const word = await lineOf(socket)
    if (word === undefined) return 'hung-up'
    return isReply(word) ? word : 'silent'
  } catch (error) {
    return answerOf(error)
  } finally {
    socket.destroy()
  }
}

function answerOf(error: unknown): Answer {
  const answer = ANSWERS.get(codeOf(error))
  if (answer === undefined) throw error
  return answer
}

async function answer(caller: Socket, replyTo: (caller: string) => Reply): Promise<void> {
  try {
    const id = await lineOf(caller)
    if (id !== undefined && ID.test(id)) caller.end(`${replyTo(id)}\n`)
    else caller.destroy()
  } catch {
    caller.destroy()
  }
}

/** The first line that comes; `NOTHING` when none comes in time, undefined when the other side hung up. */
async function lineOf(socket: Socket): Promise<string | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>()
  let text = ''
  socket.setTimeout(PATIENCE_MS, () => resolve(NOTHING))
  socket.on('data', (piece: Buffer) => {
    text += piece.toString('latin1')
    const end = text.indexOf('\n')
    if (end >= 0 || text.length > LINE_BYTES) resolve(text.slice(0, end))
  })
  socket.on('error', reject)
  socket.on('close', () => resolve(undefined))
  return await promise
}

async function listening(server: Server, address: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.on('error', reject) // later ones too: a caller that could not be accepted will ask again
    server.listen(address, resolve)
  })
}

function isReply(word: string): word is Reply {
  return REPLIES.includes(word)
}
