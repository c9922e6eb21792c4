/**
 * 405 for a method that a URL does not have, with `Allow` (RFC 9110 §15.5.6), where the framework would say 404.
 */
import type { FastifyInstance, HTTPMethods } from 'fastify'
import { failure } from '../model/errors.ts'

const METHODS: readonly HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE']

/** Called before the routes are registered; the function it gives is called after. */
export function watchMethods(server: FastifyInstance): () => void {
  const methodsOf = new Map<string, Set<string>>()
  server.addHook('onRoute', ({ method, url }) => {
    const methods = methodsOf.get(url) ?? new Set<string>()
    for (const name of Array.isArray(method) ? method : [method]) methods.add(name)
    methodsOf.set(url, methods)
  })
  return () => {
    for (const [url, methods] of Array.from(methodsOf)) refuseOthers(server, url, methods)
  }
}

function refuseOthers(server: FastifyInstance, url: string, methods: ReadonlySet<string>): void {
  const allowed = [...methods].sort().join(', ')
  server.route({
    method: METHODS.filter((method) => !methods.has(method)),
    url,
    schema: { hide: true },
    // Before any body is read.
    onRequest: (request, reply, done) => {
      reply.header('allow', allowed)
      done(failure('method-not-allowed', { method: request.method, allowed }))
    },
    handler: () => undefined,
  })
}
