/**
 * An origin, two replicas and HAProxy, each a process of its own, with a relay on every way between them that a test
 * can cut, slow down and look into: client - HAProxy - `towards[n]` - replica n - `beyond[n]` - origin.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, connect } from '../../src/client/index.ts'
import { TcpRelay } from '../support/tcp-relay.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { balancer } from './balancer.ts'
import { type Served, served } from './served.ts'

export interface Behind extends AsyncDisposable {
  readonly origin: Served
  readonly replicas: readonly Served[]
  readonly towards: readonly TcpRelay[]
  readonly beyond: readonly TcpRelay[]
  /** Where HAProxy listens. */
  readonly url: string
  /** Through HAProxy, as the admin. */
  readonly client: Client
  /** For what a test writes. */
  readonly folder: string
  /** Starts again who was killed, heals every way, and waits until all have what the origin has. */
  restore(): Promise<void>
}

const REPLICAS = [0, 1]
const PATIENCE_MS = 20_000

export async function behindHaproxy(): Promise<Behind> {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await temporaryFolder())
  const origin = stack.use(
    await served({ data: join(folder.path, 'origin'), flags: ['--access-log', 'true'] }),
  )
  const { token } = await origin.client.createToken({ label: 'replicas', scopes: ['replicate'] })
  const beyond = await Promise.all(REPLICAS.map(async () => stack.use(await TcpRelay.to(origin.url))))
  // Replicas come later too, when this one has been moved.
  const nodes = stack.use(new AsyncDisposableStack())
  const start = async (at: number, listen: string): Promise<Served> => {
    const flags = ['--role', 'replica', '--upstream', beyond[at]?.url ?? '', '--node-id', `r${at}`]
    return nodes.use(
      await served({
        data: join(folder.path, `r${at}`),
        flags: [...flags, '--listen', listen],
        environment: { DEPOT_UPSTREAM_TOKEN: token },
        token: origin.token,
      }),
    )
  }
  const replicas = await Promise.all(REPLICAS.map(async (at) => await start(at, '127.0.0.1:0')))
  const towards = await Promise.all(replicas.map(async ({ url }) => stack.use(await TcpRelay.to(url))))
  const restore = async (): Promise<void> => {
    for (const relay of [...towards, ...beyond]) relay.heal()
    for (const [at, { url, process }] of replicas.entries())
      if (process.signalCode !== null) replicas[at] = await start(at, new URL(url).host)
    const { gid } = await origin.client.head()
    for (const { url } of replicas)
      await until(async () => (await fetch(`${url}/readyz`)).ok && (await ownHeadOf(url)) === gid)
  }
  await restore()
  const urls = towards.map(({ url }) => url)
  const front = stack.use(await balancer('haproxy', urls))
  await until(async () => (await fetch(`${front.url}/v1/head`)).ok)
  const all = stack.move()
  return {
    origin,
    replicas,
    towards,
    beyond,
    url: front.url,
    client: connect({ url: front.url, token: origin.token }),
    folder: folder.path,
    restore,
    [Symbol.asyncDispose]: async () => await all.disposeAsync(),
  }
}

/** What a node shows of its own, and does not have another one say. */
async function ownHeadOf(url: string): Promise<string | null> {
  const { headers } = await fetch(`${url}/v1/head`)
  return /state=fresh/.test(headers.get('depot-node') ?? '') ? headers.get('depot-generation') : null
}

/** Waits until something is so; for what no event tells of another process. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const ends = performance.now() + PATIENCE_MS
  while (!(await isSo())) {
    if (performance.now() > ends) throw new Error(`it did not come to that: ${isSo.toString()}`)
    await sleep(5)
  }
}

/** Bytes that are different everywhere and the same every time. */
export function manyBytes(size: number): Buffer {
  const block = Buffer.concat(
    Array.from({ length: 2_048 }, (_, at) => createHash('sha256').update(`${at}`).digest()),
  )
  return Buffer.concat(Array.from({ length: Math.ceil(size / block.length) }, () => block)).subarray(0, size)
}
