/** `GET /problems/{code}`: what a problem's `type` points at, for people. */
import type { FastifyInstance } from 'fastify'
import { errorCodes, failure, titleOf } from '../../model/errors.ts'
import { clip } from '../../model/name.ts'
import { PATHS } from '../../wire/paths.ts'
import { statusOfCode } from '../problem.ts'

const CACHE = 'public, max-age=3600'

export function problemRoutes(server: FastifyInstance): void {
  server.get(
    PATHS.problems,
    { schema: { summary: 'All problems', tags: ['about'] } },
    async (_request, reply) =>
      reply
        .header('cache-control', CACHE)
        .type('text/plain; charset=utf-8')
        .send(
          errorCodes()
            .map((code) => `${statusOfCode(code)} ${PATHS.problems}/${code}  ${titleOf(code)}\n`)
            .join(''),
        ),
  )

  server.get<{ Params: { readonly code: string } }>(
    `${PATHS.problems}/:code`,
    { schema: { summary: 'One problem', tags: ['about'] } },
    async (request, reply) => {
      const code = errorCodes().find((candidate) => candidate === request.params.code)
      if (code === undefined) throw failure('not-found', { what: `problem ${clip(request.params.code)}` })
      return reply
        .header('cache-control', CACHE)
        .type('text/plain; charset=utf-8')
        .send(
          `${titleOf(code)}\n\nHTTP status ${statusOfCode(code)}. The member "detail" of the problem says what happened and what to do next.\n`,
        )
    },
  )
}
