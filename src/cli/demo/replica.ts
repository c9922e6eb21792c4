/**
 * A replica of the demo: `depot serve --role replica` as a process of its own, so that a restart is one.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { isReady } from './round-robin.ts'

export interface ReplicaWish {
  readonly id: string
  /** An empty one of its own. */
  readonly data: string
  readonly upstream: string
  /** With the scope `replicate`. */
  readonly token: string
}

const PROGRAM = fileURLToPath(new URL('../depot.mjs', import.meta.url))
/** Long enough for the balancer of the demo to find out. */
const DRAIN_SECONDS = '1'
const LOOK_AGAIN_MS = 50
/** Of what a process has said, for its failure. */
const SAID_CHARACTERS = 4_000

export class DemoReplica implements AsyncDisposable {
  readonly id: string
  readonly #wish: ReplicaWish
  #process: ChildProcess
  #url = ''
  #said = ''

  private constructor(wish: ReplicaWish) {
    this.id = wish.id
    this.#wish = wish
    this.#process = this.#spawn('127.0.0.1:0')
  }

  /** It is ready. Fails with what it said when it ended instead. */
  static async start(wish: ReplicaWish, signal: AbortSignal): Promise<DemoReplica> {
    const replica = new DemoReplica(wish)
    try {
      await replica.#ready(signal)
      return replica
    } catch (error) {
      await replica[Symbol.asyncDispose]()
      throw error
    }
  }

  get url(): string {
    return this.#url
  }

  /** Asks it to end as an operator would, waits for that, and starts it again at the same address. */
  async restart(signal: AbortSignal): Promise<void> {
    const before = this.#process
    const ended = once(before, 'close')
    before.kill('SIGTERM')
    const [code] = (await ended) as [number | null]
    if (code !== 0) throw this.#failure(`ended with ${code}`)
    this.#process = this.#spawn(new URL(this.#url).host)
    await this.#ready(signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const ended = once(this.#process, 'close')
    this.#process.kill('SIGKILL')
    await ended
  }

  #spawn(listen: string): ChildProcess {
    const { id, data, upstream, token } = this.#wish
    const place = ['--role', 'replica', '--upstream', upstream, '--node-id', id]
    const rest = ['--data', data, '--listen', listen, '--drain-seconds', DRAIN_SECONDS, '--log-level', 'warn']
    const child = fork(PROGRAM, ['serve', '--json', ...place, ...rest], {
      execArgv: [],
      // A replica of the demo is told all by its flags, whatever the environment of the demo says.
      env: { DEPOT_UPSTREAM_TOKEN: token },
      cwd: fileURLToPath(new URL('.', import.meta.url)),
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    child.stderr?.on('data', (piece: Buffer) => {
      this.#said = (this.#said + piece.toString()).slice(-SAID_CHARACTERS)
    })
    return child
  }

  async #ready(signal: AbortSignal): Promise<void> {
    const child = this.#process
    const ended = once(child, 'close')
    const line = await firstLine(child)
    if (line === undefined) throw this.#failure(`ended with ${((await ended) as [number | null])[0]}`)
    this.#url = (JSON.parse(line) as { readonly url: string }).url
    while (!(await isReady(this.#url))) {
      if (child.exitCode !== null) throw this.#failure(`ended with ${child.exitCode}`)
      await sleep(LOOK_AGAIN_MS, undefined, { signal })
    }
  }

  #failure(what: string): Error {
    return new Error(`the replica ${this.id} of the demo ${what}: ${this.#said}`)
  }
}

/** Undefined when it ends without one. */
async function firstLine({ stdout }: ChildProcess): Promise<string | undefined> {
  if (stdout === null) return undefined
  for await (const line of createInterface({ input: stdout })) return line
  return undefined
}
