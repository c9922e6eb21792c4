/**
 * What is left of a body when its request was refused already.
 *
 * Who closes a connection on which bytes still come takes the answer away with it: the sender is told that the
 * connection is gone, and may never read what stood before that. So the rest is read and forgotten, but no longer and
 * no more than a client needs to notice.
 */
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { LIMITS } from '../../model/limits.ts'

/** For the routes that are registered after this one in the same context. */
export function forgetUnread(server: FastifyInstance): void {
  server.addHook('onSend', (request, reply, payload, done) => {
    if (reply.statusCode >= 400 && !request.raw.complete && !request.raw.destroyed) {
      // The framework says it when it has refused a body by itself, and node:http then closes at once.
      reply.removeHeader('connection')
      forget(request.raw)
    }
    done(null, payload)
  })
}

function forget(body: IncomingMessage): void {
  let left: number = LIMITS.unreadBytes
  const cut = (): void => {
    body.destroy()
  }
  const timer = setTimeout(cut, LIMITS.unreadMs).unref()
  body.on('data', ({ length }: Uint8Array) => {
    left -= length
    if (left < 0) cut()
  })
  body.once('close', () => {
    clearTimeout(timer)
  })
  body.resume()
}
