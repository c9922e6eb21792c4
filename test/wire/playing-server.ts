/**
 * A small real HTTP server for tests: it plays a depot, good or bad, and remembers what it was asked.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Asked {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  /** Number of the connection, from 1. */
  readonly connection: number
  readonly body: Buffer
}

export interface Playing extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly asked: readonly Asked[]
}

/** A part is called for every request, after its body has come, with the number of requests before it. */
export type Part = (asked: Asked, response: ServerResponse, before: number) => unknown

export async function playing(part: Part): Promise<Playing> {
  const asked: Asked[] = []
  const connections = new WeakMap<object, number>()
  let count = 0
  async function play(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer)
    } catch {
      return
    }
    const { method = '', url = '', headers, socket } = request
    const seen = {
      method,
      url,
      headers,
      connection: connections.get(socket) ?? 0,
      body: Buffer.concat(chunks),
    }
    asked.push(seen)
    await part(seen, response, asked.length - 1)
  }
  const server = createServer((request, response) => void play(request, response))
  server.on('connection', (socket) => {
    count += 1
    connections.set(socket, count)
  })
  return await listening(server, asked)
}

/** The same with a part that reads the request itself. */
export async function playingRaw(
  part: (request: IncomingMessage, response: ServerResponse) => unknown,
): Promise<Playing> {
  return await listening(
    createServer((request, response) => void part(request, response)),
    [],
  )
}

export function json(response: ServerResponse, value: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(200, { 'content-type': 'application/json', ...headers })
  response.end(JSON.stringify(value))
}

export function problem(
  response: ServerResponse,
  status: number,
  code: string,
  more: Record<string, unknown> = {},
): void {
  const { retryAfter, ...details } = more
  response.writeHead(status, {
    'content-type': 'application/problem+json',
    ...(typeof retryAfter === 'number' ? { 'retry-after': String(retryAfter) } : {}),
  })
  response.end(JSON.stringify({ type: `/problems/${code}`, title: code, status, detail: code, ...details }))
}

async function listening(server: ReturnType<typeof createServer>, asked: readonly Asked[]): Promise<Playing> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    asked,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}
