/** `/v1/tokens`: making, listing and revoking tokens. The secret is shown once, in the answer that makes it. */
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import type { Depot } from '../../depot/depot.ts'
import type { Token } from '../../depot/types.ts'
import { instantOf, parseInstant } from '../../model/instant.ts'
import type { TokenBody, TokenRequest } from '../../wire/bodies.ts'
import { PATHS, tokenPath } from '../../wire/paths.ts'
import { NewTokenBody, TokenRequest as TokenSchema, TokensBody } from '../../wire/schemas.ts'
import type { Guard } from '../guard.ts'

interface Parts extends Pick<Depot, 'access'> {
  /** Of a token that is given none of its own. */
  readonly quotaBytes: number | undefined
}

export function tokenRoutes(server: FastifyInstance, parts: Parts, guard: Guard): void {
  server.post<{ Body: TokenRequest }>(
    PATHS.tokens,
    {
      schema: {
        summary: 'Make a token',
        tags: ['access'],
        body: TokenSchema,
        response: { 201: NewTokenBody },
      },
    },
    async (request, reply) => {
      guard.admin(request)
      const { label, scopes, expires, quotaBytes = parts.quotaBytes } = request.body
      const { token, secret } = await parts.access.create({
        label,
        scopes,
        ...(expires === undefined ? {} : { expiresMs: parseInstant(expires) }),
        ...(quotaBytes === undefined ? {} : { quotaBytes }),
      })
      reply.header('cache-control', 'private, no-store').header('location', tokenPath(token.id))
      return reply.code(201).send({ ...bodyOf(token), token: secret })
    },
  )

  server.get(
    PATHS.tokens,
    {
      schema: {
        summary: 'All tokens, without their secrets',
        tags: ['access'],
        response: { 200: TokensBody },
      },
    },
    async (request, reply) => {
      guard.admin(request)
      return reply
        .header('cache-control', 'private, no-store')
        .send({ tokens: parts.access.list().map(bodyOf) })
    },
  )

  server.delete<{ Params: { readonly id: string } }>(
    `${PATHS.tokens}/:id`,
    { schema: { summary: 'Revoke a token', tags: ['access'], response: { 204: Type.Null() } } },
    async (request, reply) => {
      guard.admin(request)
      await parts.access.revoke(request.params.id)
      return reply.header('cache-control', 'private, no-store').code(204).send()
    },
  )
}

function bodyOf(token: Token): TokenBody {
  return {
    id: token.id,
    label: token.label,
    scopes: token.scopes,
    created: instantOf(token.createdMs),
    usedBytes: token.usedBytes,
    ...(token.expiresMs === undefined ? {} : { expires: instantOf(token.expiresMs) }),
    ...(token.revokedMs === undefined ? {} : { revoked: instantOf(token.revokedMs) }),
    ...(token.quotaBytes === undefined ? {} : { quotaBytes: token.quotaBytes }),
  }
}
