/**
 * `depot serve` as a process of its own, as an operator runs it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { type Client, connect } from '../../src/client/index.ts'

export const BIN: string = resolve(import.meta.dirname, '../../src/cli/depot.mjs')

export interface ServeOptions {
  readonly data: string
  readonly flags?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  /** By default that of the depot's own administrator. */
  readonly token?: string
  /** Another program than that of this folder: a copy of it with one thing changed. */
  readonly bin?: string
  /** Another user, where the test may become one. */
  readonly uid?: number
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly log: string
}

export interface Served extends AsyncDisposable {
  readonly url: string
  readonly token: string
  readonly client: Client
  readonly process: ChildProcess
  /** From the start of the process to the moment when it said where it is. */
  readonly startedMs: number
  /** What it has logged so far. */
  log(): string
  /** Sends the signal and waits for the end. */
  end(signal: NodeJS.Signals): Promise<Exit>
  readonly ended: Promise<Exit>
}

/** Starts it and waits until it listens. Fails with what it said when it ends instead. */
export async function served(options: ServeOptions): Promise<Served> {
  const begun = performance.now()
  const { child, ended, log } = start(options)
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  const first = await Promise.race([lines.next(), ended])
  if (!('value' in first)) throw new Error(`depot serve ended: ${first.log}`)
  if (first.done === true) throw new Error(`depot serve ended: ${(await ended).log}`)
  const startedMs = performance.now() - begun
  const { url } = JSON.parse(first.value) as { url: string }
  const token = options.token ?? (await readFile(join(options.data, 'admin.token'), 'utf8')).trim()
  const end = async (signal: NodeJS.Signals): Promise<Exit> => {
    child.kill(signal)
    return await ended
  }
  return {
    url,
    token,
    client: connect({ url, token }),
    process: child,
    startedMs,
    log,
    end,
    ended,
    [Symbol.asyncDispose]: async () => void (await end('SIGKILL')),
  }
}

/** Starts it and waits for its end: for starts that are to be refused. */
export async function refused(options: ServeOptions): Promise<Exit> {
  const { child, ended } = start(options)
  child.stdout?.once('data', () => child.kill('SIGKILL'))
  const exit = await ended
  if (exit.signal === 'SIGKILL') throw new Error('it was not refused')
  return exit
}

function start({ data, flags = [], environment = {}, bin = BIN, uid }: ServeOptions): {
  readonly child: ChildProcess
  readonly ended: Promise<Exit>
  readonly log: () => string
} {
  const words = [
    'serve',
    '--json',
    '--data',
    data,
    '--listen',
    '127.0.0.1:0',
    '--drain-seconds',
    '0',
    ...flags,
  ]
  const child = spawn(process.execPath, [bin, ...words], {
    cwd: data.slice(0, data.lastIndexOf('/')),
    env: { PATH: process.env['PATH'], ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  })
  let text = ''
  child.stderr?.on('data', (piece: Buffer) => {
    text += piece.toString()
  })
  const ended = once(child, 'close').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
    log: text,
  }))
  return { child, ended, log: () => text }
}
