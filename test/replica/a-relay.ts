/**
 * A relay between two servers of this process: an origin that answers as a test says, and a node that has every request
 * relayed, and says in the body what came of it when it was not.
 */
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { DepotError } from '../../src/model/errors.ts'
import { MemoryIncoming } from '../../src/pool/memory-incoming.ts'
import { MemoryPool } from '../../src/pool/memory-pool.ts'
import { HttpUpstream } from '../../src/replica/http-upstream.ts'
import { Pulls } from '../../src/replica/relay/pulls.ts'
import { NodeRelay, type RelayParts, type RelayTo } from '../../src/replica/relay/relay.ts'
import { sleep } from '../../src/replica/sleep.ts'
import { Caller } from '../../src/wire/caller.ts'
import { realClock, realRandom } from '../support/real-world.ts'

export interface Relaying extends AsyncDisposable {
  /** Of the node. */
  readonly url: string
  readonly origin: Server
  readonly originUrl: string
  readonly relay: NodeRelay
  /** Requests that the node has got so far. */
  readonly asked: number
  readonly written: string[]
  /** Where objects go that are pulled through. */
  readonly pool: MemoryPool
  readonly pulls: Pulls
}

export async function relaying(
  onOrigin: RequestListener,
  { to = 'origin', withinMs, ...more }: Partial<RelayParts & RelayTo> = {},
): Promise<Relaying> {
  const origin = createServer(onOrigin)
  const originUrl = await listening(origin)
  const written: string[] = []
  const logged: object[] = []
  const pool = new MemoryPool()
  const upstream = new HttpUpstream(callerTo(originUrl))
  const pulls = new Pulls({
    incoming: new MemoryIncoming(pool, realClock),
    pool,
    upstream,
    clock: realClock,
    sleep,
  })
  const relay = new NodeRelay({
    origin: () => originUrl,
    peers: () => [],
    id: 'r1',
    pulls,
    pool,
    log: { warn: (fields) => void logged.push(fields) },
    onWritten: async (generation) => {
      written.push(generation)
      await Promise.resolve()
    },
    ...more,
  })
  let asked = 0
  const front = createServer((request, response) => {
    asked += 1
    void relay.answer(request, response, { to, ...(withinMs === undefined ? {} : { withinMs }) }).then(
      (isAnswered) => {
        if (!isAnswered) response.writeHead(503).end('nobody')
      },
      (error: unknown) => {
        response.writeHead(500).end(error instanceof DepotError ? error.code : String(error))
      },
    )
  })
  const url = await listening(front)
  return {
    url,
    origin,
    originUrl,
    relay,
    get asked() {
      return asked
    },
    written,
    pool,
    pulls,
    [Symbol.asyncDispose]: async () => {
      for (const server of [front, origin]) await closed(server)
    },
  }
}

function callerTo(url: string): Caller {
  return new Caller({
    url,
    random: realRandom,
    clock: { ...realClock, sleep: async (ms, signal) => await sleep(ms, signal ?? NEVER) },
    bounds: { patience: 300, firstPatience: 300, answerWithin: 30_000 },
  })
}

const NEVER = new AbortController().signal

export async function closed(server: Server): Promise<void> {
  server.closeAllConnections()
  if (!server.listening) return
  server.close()
  await once(server, 'close')
}

async function listening(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
