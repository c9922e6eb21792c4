/**
 * An origin and replicas that follow it, each a process of its own at an address that it keeps when it is started again.
 */
import { join } from 'node:path'
import { expect } from 'vitest'
import { type Exit, type Served, served } from './served.ts'

export interface Cluster extends AsyncDisposable {
  readonly origin: Served
  /** In the order of their ids, which are `r1` and so on. */
  readonly replicas: readonly Served[]
  /** Ends a replica by SIGTERM, starts it at the same address, and waits until it is ready. How it ended. */
  restart(at: number): Promise<Exit>
}

const STARTED = { timeout: 20_000 }

/** All of them are ready. `flags` are those of the replicas. */
export async function cluster(
  folder: string,
  count: number,
  flags: readonly string[] = [],
): Promise<Cluster> {
  const origin = await served({ data: join(folder, 'origin') })
  const { token: upstreamToken } = await origin.client.createToken({
    label: 'replicas',
    scopes: ['replicate'],
  })
  const start = async (id: string, listen: string): Promise<Served> => {
    const place = ['--role', 'replica', '--upstream', origin.url, '--node-id', id, '--listen', listen]
    const replica = await served({
      data: join(folder, id),
      flags: [...place, ...flags],
      environment: { DEPOT_UPSTREAM_TOKEN: upstreamToken },
      token: origin.token,
    })
    await expect.poll(async () => (await fetch(`${replica.url}/readyz`)).status, STARTED).toBe(200)
    return replica
  }
  const ids = Array.from({ length: count }, (_, at) => `r${at + 1}`)
  const replicas = await Promise.all(ids.map(async (id) => await start(id, '127.0.0.1:0')))
  return {
    origin,
    replicas,
    restart: async (at) => {
      const before = replicas[at]
      if (before === undefined) throw new Error(`there is no replica ${at}`)
      const exit = await before.end('SIGTERM')
      replicas[at] = await start(ids[at] ?? '', new URL(before.url).host)
      return exit
    },
    [Symbol.asyncDispose]: async () => {
      for (const node of [...replicas, origin]) await node[Symbol.asyncDispose]()
    },
  }
}
