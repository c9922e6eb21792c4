/**
 * Something that a balancer takes for a replica: its health and its answers are what the test says, and it counts
 * what came.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface FakeReplica extends AsyncDisposable {
  readonly url: string
  readonly name: string
  /** Methods and paths in the order they came, but for the checks of health. */
  readonly asked: string[]
  /** How often its health was asked for. */
  checks: number
  ready: boolean
  serving: boolean
  /** What it does with all other requests. */
  respond: (request: IncomingMessage, response: ServerResponse) => void
}

export async function fakeReplica(name: string): Promise<FakeReplica> {
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    if (path === '/readyz' || path === '/servez') {
      replica.checks += 1
      const isWell = path === '/readyz' ? replica.ready : replica.serving
      response.writeHead(isWell ? 200 : 503).end()
      return
    }
    request.resume().once('end', () => {
      replica.asked.push(`${request.method} ${path}`)
      replica.respond(request, response)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const replica: FakeReplica = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    name,
    asked: [],
    checks: 0,
    ready: true,
    serving: true,
    respond: (_request, response) => void response.writeHead(200, { 'depot-node': name }).end(name),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return replica
}

/** Answers every request with a refusal. */
export function refuse(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(503, { 'retry-after': '1', 'cache-control': 'no-store' }).end('not now')
}

/** Takes the request and breaks the connection, as a process that is killed does. */
export function hangUp(request: IncomingMessage): void {
  request.socket.resetAndDestroy()
}
