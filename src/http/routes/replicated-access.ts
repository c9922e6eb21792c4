/**
 * `GET /v1/replication/access`: who may do what, for nodes that let others in (PROTOCOL §4). Hashes of secrets, never a
 * secret; and who has the last edition may wait for the next one, so that a revocation is there at once.
 */
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import type { Depot } from '../../depot/depot.ts'
import type { Token } from '../../depot/types.ts'
import { failure } from '../../model/errors.ts'
import { instantOf } from '../../model/instant.ts'
import { MEDIA } from '../../wire/headers.ts'
import { PATHS } from '../../wire/paths.ts'
import type { AccessHead, AccessToken } from '../../wire/replication.ts'
import type { Guard } from '../guard.ts'
import { ndjson } from '../ndjson.ts'
import { held } from '../prefer.ts'
import { pump } from '../pump.ts'

type Parts = Pick<Depot, 'access' | 'head' | 'clock'>

const After = Type.Object({
  after: Type.Optional(
    Type.String({ maxLength: 64, description: 'edition; what changed since, or wait for it' }),
  ),
})

export function replicatedAccessRoute(server: FastifyInstance, parts: Parts, guard: Guard): void {
  const { access, head, clock } = parts
  server.get<{ Querystring: { readonly after?: string } }>(
    PATHS.access,
    {
      schema: {
        summary: 'Tokens without their secrets: the edition, then a token a line',
        tags: ['replicate'],
        querystring: After,
        produces: [MEDIA.ndjson],
      },
    },
    async (request, reply) => {
      const { after } = request.query
      reply.header('cache-control', 'private, no-store')
      if (after !== undefined) {
        const hasMoved = await held(request, reply, async (waitMs, gone) => {
          // Who would be let go at once would ask again at once.
          if (waitMs > 0 && access.isClosing() && access.edition() === after) throw failure('draining', {})
          return await access.movedFrom(after, waitMs, gone)
        })
        // Perhaps it is the token of this node that was revoked.
        guard.node(request)
        if (head.isClosing()) reply.header('connection', 'close')
        if (!hasMoved) return reply.code(304).send()
      }
      const { edition, isWhole, tokens } = access.since(after)
      reply.type(MEDIA.ndjson)
      return pump(reply, ndjson(linesOf({ edition, whole: isWhole }, tokens), clock))
    },
  )
}

async function* linesOf(
  first: AccessHead,
  tokens: readonly Token[],
): AsyncGenerator<AccessHead | AccessToken> {
  yield first
  for (const { id, hash, label, scopes, createdMs, ...more } of tokens) {
    const { expiresMs, revokedMs, quotaBytes, usedBytes } = more
    yield {
      id,
      hash,
      label,
      scopes,
      created: instantOf(createdMs),
      ...(expiresMs === undefined ? {} : { expires: instantOf(expiresMs) }),
      ...(revokedMs === undefined ? {} : { revoked: instantOf(revokedMs) }),
      ...(quotaBytes === undefined ? {} : { quotaBytes }),
      ...(usedBytes === 0 ? {} : { usedBytes }),
    }
  }
}
