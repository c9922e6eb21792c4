/**
 * What is left of a body when its request was refused already.
 */
import type { FastifyInstance } from 'fastify'
import { forgetBody } from '../../wire/forget-body.ts'

/** For the routes that are registered after this one in the same context. */
export function forgetUnread(server: FastifyInstance): void {
  server.addHook('onSend', (request, reply, payload, done) => {
    if (reply.statusCode >= 400 && !request.raw.complete && !request.raw.destroyed) {
      // The framework says it when it has refused a body by itself, and node:http then closes at once.
      reply.removeHeader('connection')
      forgetBody(request.raw)
    }
    done(null, payload)
  })
}
