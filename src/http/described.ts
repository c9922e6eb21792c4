/**
 * What the API description says of a route beyond its schema: which routes need a token in any case, and the name of
 * the path of a file, which the router knows as `*`.
 */
import type { FastifySchema, HTTPMethods } from 'fastify'
import { PATHS } from '../wire/paths.ts'

interface Route {
  readonly schema: FastifySchema
  readonly url: string
  readonly route: { readonly method: HTTPMethods | readonly HTTPMethods[] }
}

const READING: readonly string[] = ['GET', 'HEAD']
/** Whatever is below them is for who may write, administer or replicate. */
const CLOSED: readonly string[] = [PATHS.stages, PATHS.tokens, PATHS.replication, PATHS.nodes]

export function described({ schema, url, route }: Route): { schema: FastifySchema; url: string } {
  const isWriting = [route.method].flat().some((method) => !READING.includes(method))
  const needsToken = isWriting || CLOSED.some((path) => url.startsWith(path))
  return {
    schema: needsToken ? ({ ...schema, security: [{ token: [] }] } as FastifySchema) : schema,
    url: url.replace(/\*$/, ':path'),
  }
}
