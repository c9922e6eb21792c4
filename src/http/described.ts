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

export function described({ schema, url, route }: Route): { schema: FastifySchema; url: string } {
  const isWriting = [route.method].flat().some((method) => !READING.includes(method))
  const needsToken = isWriting || url.startsWith(PATHS.stages) || url.startsWith(PATHS.tokens)
  return {
    schema: needsToken ? ({ ...schema, security: [{ token: [] }] } as FastifySchema) : schema,
    url: url.replace(/\*$/, ':path'),
  }
}
