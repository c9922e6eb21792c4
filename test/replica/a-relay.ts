/**
 * A relay between two servers of this process: an origin that answers as a test says, and a node that has every request
 * relayed, and says in the body what came of it when it was not.
 */
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { DepotError } from '../../src/model/errors.ts'
import { OriginRelay, type RelayParts } from '../../src/replica/relay.ts'

export interface Relaying extends AsyncDisposable {
  /** Of the node. */
  readonly url: string
  readonly origin: Server
  readonly originUrl: string
  readonly relay: OriginRelay
  readonly written: string[]
}

export async function relaying(onOrigin: RequestListener, more: Partial<RelayParts> = {}): Promise<Relaying> {
  const origin = createServer(onOrigin)
  const originUrl = await listening(origin)
  const written: string[] = []
  const relay = new OriginRelay({
    origin: originUrl,
    id: 'r1',
    onWritten: async (generation) => {
      written.push(generation)
      await Promise.resolve()
    },
    ...more,
  })
  const front = createServer((request, response) => {
    void relay.answer(request, response).then(
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
    written,
    [Symbol.asyncDispose]: async () => {
      for (const server of [front, origin]) await closed(server)
    },
  }
}

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
