/**
 * What one node asks of another goes through here, request by request, and a test says which come through and when. What
 * does not is refused with 503.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, request as send } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'

export interface Door extends AsyncDisposable {
  readonly url: string
  /** Methods and paths of all that came, in order. */
  readonly asked: string[]
  /** By default all come through. */
  passes: (request: IncomingMessage) => boolean | Promise<boolean>
}

export async function doorTo(target: string): Promise<Door> {
  const { hostname, port } = new URL(target)
  const server = createServer((request, response) => {
    void (async () => {
      door.asked.push(`${request.method} ${request.url}`)
      if (!(await door.passes(request))) {
        response.writeHead(503, { 'retry-after': '1' }).end()
        return
      }
      const { method, url: path, headers } = request
      const out = send({ hostname, port, path, method, headers, agent: false })
      response.once('close', () => out.destroy())
      try {
        const answered = once(out, 'response') as Promise<[IncomingMessage]>
        request.pipe(out)
        const [answer] = await answered
        response.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
        await pipeline(answer, response)
      } catch {
        // Whoever asked sees what a broken connection shows.
        response.destroy()
      }
    })()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const door: Door = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: [],
    passes: () => true,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return door
}

/** Nothing but heartbeats: a node behind it knows what there is, and cannot get it. */
export function onlyHeartbeats({ url = '' }: IncomingMessage): boolean {
  return url.startsWith('/v1/nodes/')
}
