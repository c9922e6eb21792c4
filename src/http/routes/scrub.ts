/** `POST /v1/scrub`: reads every blob and node and tells which are damaged, as it goes. */
import type { FastifyInstance } from 'fastify'
import type { Clock } from '../../model/world.ts'
import type { ScrubLine } from '../../wire/bodies.ts'
import { MEDIA } from '../../wire/headers.ts'
import { PATHS } from '../../wire/paths.ts'
import type { Guard } from '../guard.ts'
import { ndjson } from '../ndjson.ts'
import { pump } from '../pump.ts'

export interface ScrubParts {
  readonly scrub: (signal: AbortSignal) => AsyncIterable<ScrubLine>
  readonly clock: Clock
}

export function scrubRoute(server: FastifyInstance, { scrub, clock }: ScrubParts, guard: Guard): void {
  server.post(
    PATHS.scrub,
    { schema: { summary: 'Check every blob', tags: ['operate'], produces: [MEDIA.ndjson] } },
    async (request, reply) => {
      guard.admin(request)
      const gone = new AbortController()
      reply.raw.once('close', () => {
        gone.abort()
      })
      reply.type(MEDIA.ndjson).header('cache-control', 'private, no-store')
      return pump(reply, ndjson(scrub(gone.signal), clock, 1))
    },
  )
}
