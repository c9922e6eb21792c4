/**
 * A real HAProxy or nginx as a process of its own, run by what `depot lb-config` prints.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { run } from '../cli/run.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

export type Program = 'haproxy' | 'nginx'

export interface Balancer extends AsyncDisposable {
  readonly url: string
  readonly process: ChildProcess
  /** What it has said so far. */
  log(): string
  /** Has it read its configuration again, as an operator does: new workers take over, the old ones end what they have. */
  reload(): void
}

const FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/usr/bin', '/usr/local/bin']
const PATIENCE_MS = 10_000

/** For `beforeEach`: without the program the test is skipped, and in CI it fails. */
export function needs(program: Program): (context: { readonly skip: (note: string) => void }) => void {
  return ({ skip }) => {
    if (programAt(program) !== undefined) return
    const sentence = `${program} is not installed, so its story is not told; apt-get install ${program}`
    if (process.env['CI'] === 'true') throw new Error(sentence)
    skip(sentence)
  }
}

export function programAt(program: Program): string | undefined {
  return FOLDERS.map((folder) => join(folder, program)).find((path) => existsSync(path))
}

/** Starts it in front of the replicas, and waits until it listens. */
export async function balancer(program: Program, replicas: readonly string[]): Promise<Balancer> {
  const path = programAt(program)
  if (path === undefined) throw new Error(`${program} is not installed`)
  const folder = await temporaryFolder()
  // The workers of nginx are another user.
  await chmod(folder.path, 0o755)
  const port = await freePort()
  const listen = `127.0.0.1:${port}`
  const words = ['lb-config', program, '--listen', listen, '--replica', ...replicas]
  const cache = program === 'nginx' ? ['--cache-dir', join(folder.path, 'cache')] : []
  const made = await run([...words, ...cache])
  if (made.exit !== 0) throw new Error(made.stderr)
  const file = join(folder.path, 'config')
  await writeFile(file, made.stdout)
  const child = spawn(path, flagsOf(program, file), { stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (piece: Buffer) => {
      text += piece.toString()
    })
  const ended = once(child, 'close')
  const end = async (): Promise<void> => {
    child.kill('SIGTERM')
    await ended
    await folder[Symbol.asyncDispose]()
  }
  try {
    await listening(port, child, () => text)
  } catch (error) {
    await end()
    throw error
  }
  return {
    url: `http://${listen}`,
    process: child,
    log: () => text,
    reload: () => void child.kill(program === 'haproxy' ? 'SIGUSR2' : 'SIGHUP'),
    [Symbol.asyncDispose]: end,
  }
}

/** Asks the program itself whether it takes the configuration; what it has against it. */
export async function judge(program: Program, config: string): Promise<string> {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'config')
  await writeFile(file, config)
  const check = program === 'haproxy' ? ['-c', '-f', file] : ['-t', '-g', `pid ${file}.pid;`, '-c', file]
  const child = spawn(programAt(program) ?? program, check, { stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (piece: Buffer) => {
      text += piece.toString()
    })
  const [code] = (await once(child, 'close')) as [number]
  // It says more than whether it would start: what it warns of should not be there either.
  return code === 0 && !/warn/i.test(text) ? '' : text
}

function flagsOf(program: Program, file: string): readonly string[] {
  // A master that takes a reload, in the foreground.
  if (program === 'haproxy') return ['-W', '-db', '-f', file]
  const globals = `daemon off; pid ${file}.pid; error_log stderr warn;`
  return ['-e', 'stderr', '-g', globals, '-c', file]
}

/** One that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function listening(port: number, child: ChildProcess, log: () => string): Promise<void> {
  for (const until = performance.now() + PATIENCE_MS; performance.now() < until; ) {
    if (child.exitCode !== null) throw new Error(`the balancer ended: ${log()}`)
    const socket = connect(port, '127.0.0.1')
    try {
      await once(socket, 'connect')
      return
    } catch {
      await sleep(20)
    } finally {
      socket.destroy()
    }
  }
  throw new Error(`the balancer does not listen: ${log()}`)
}
