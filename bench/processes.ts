/**
 * The processes that a bench compares: a depot as people start it, bare fastify, @fastify/static, nginx.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type Client, connect } from '../src/client/index.ts'

export interface Running extends AsyncDisposable {
  readonly pid: number
  readonly url: string
}

/** A depot that has started, whatever its role. */
export interface Started extends Running {
  readonly child: ChildProcess
  /** From the start of the process to the moment it answers, in seconds. */
  readonly startSeconds: number
  /** One number of `/metrics`. */
  metric(name: string): Promise<number>
}

export interface RunningDepot extends Started {
  readonly client: Client
  readonly data: string
}

const ROOT = new URL('..', import.meta.url).pathname
const NGINX = ['/usr/sbin/nginx', '/usr/bin/nginx'].find((path) => existsSync(path))

export async function temporaryData(): Promise<string> {
  return await mkdtemp(join(tmpdir(), 'depot-bench-'))
}

export interface StartOptions {
  readonly flags?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  /** For Node, before the program. */
  readonly nodeFlags?: readonly string[]
  /** Its log goes to whoever started it, by default to the log of the bench. */
  readonly log?: 'inherit' | 'pipe'
}

/** `depot serve`, log level as shipped. */
export async function runDepot(data: string, flags: readonly string[] = []): Promise<RunningDepot> {
  const started = await startDepot(data, { flags })
  const token = (await readFile(join(data, 'admin.token'), 'utf8')).trim()
  return { ...started, data, client: connect({ url: started.url, token }) }
}

/** The same, with whatever role the flags give it. */
export async function startDepot(
  data: string,
  { flags = [], environment = {}, nodeFlags = [], log = 'inherit' }: StartOptions,
): Promise<Started> {
  const began = performance.now()
  const program = ['src/cli/depot.mjs', 'serve', '--json', '--data', data, '--listen', '127.0.0.1:0']
  const child = spawn(process.execPath, [...nodeFlags, ...program, ...flags], {
    cwd: ROOT,
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', log],
  })
  const { url } = JSON.parse(await firstLine(child)) as { readonly url: string }
  return {
    pid: pidOf(child),
    url,
    child,
    startSeconds: (performance.now() - began) / 1000,
    metric: async (name) => {
      const text = await (await fetch(`${url}/metrics`)).text()
      return Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1])
    },
    [Symbol.asyncDispose]: async () => await end(child),
  }
}

/** A peer from `bench/peers/`, which prints its address. */
export async function runPeer(name: string, words: readonly string[] = []): Promise<Running> {
  const child = spawn(process.execPath, [join(ROOT, 'bench/peers', `${name}.ts`), ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const url = await firstLine(child)
  return { pid: pidOf(child), url, [Symbol.asyncDispose]: async () => await end(child) }
}

/** One nginx worker over a folder, with sendfile; undefined where nginx is not installed. */
export async function runNginx(folder: string): Promise<Running | undefined> {
  if (NGINX === undefined) return undefined
  const port = await freePort()
  const home = await mkdtemp(join(tmpdir(), 'depot-nginx-'))
  await mkdir(join(home, 'logs'))
  await writeFile(
    join(home, 'nginx.conf'),
    `daemon off; master_process off; pid ${home}/nginx.pid; error_log ${home}/logs/error.log;
events { worker_connections 512; }
http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; client_body_temp_path ${home}/b;
  proxy_temp_path ${home}/p; fastcgi_temp_path ${home}/f; uwsgi_temp_path ${home}/u; scgi_temp_path ${home}/s;
  server { listen 127.0.0.1:${port}; root ${folder}; } }`,
  )
  const child = spawn(NGINX, ['-c', join(home, 'nginx.conf'), '-p', home], { stdio: 'ignore' })
  const url = `http://127.0.0.1:${port}`
  await answering(url)
  return {
    pid: pidOf(child),
    url,
    [Symbol.asyncDispose]: async () => {
      await end(child)
      await rm(home, { recursive: true, force: true })
    },
  }
}

async function answering(url: string): Promise<void> {
  for (const until = performance.now() + 10_000; ; await new Promise((done) => setTimeout(done, 50))) {
    const answer = await fetch(url).catch(() => undefined)
    if (answer !== undefined) return
    if (performance.now() > until) throw new Error(`${url} does not answer`)
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { readonly port: number }
  server.close()
  return port
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('the process has no output')
  for await (const line of createInterface(child.stdout)) return line
  throw new Error('the process ended before it said anything')
}

function pidOf({ pid }: ChildProcess): number {
  if (pid === undefined) throw new Error('the process did not start')
  return pid
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGINT')
  await ended
}
