/** `/livez`, `/readyz`, `/servez`, `/metrics`: for supervisors, balancers and Prometheus (K0). */
import { timingSafeEqual } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Depot } from '../../depot/depot.ts'
import type { Node } from '../../depot/node.ts'
import { digestOf, rawOf } from '../../model/digest.ts'
import { failure } from '../../model/errors.ts'
import { HEADERS } from '../../wire/headers.ts'
import { PATHS } from '../../wire/paths.ts'
import { gidOfHead } from '../answer.ts'
import type { Guard } from '../guard.ts'
import type { Metrics } from '../metrics.ts'

export interface ControlParts {
  readonly depot: Pick<Depot, 'head'>
  readonly guard: Guard
  readonly metrics: Metrics
  readonly standing: Node
  readonly metricsToken: string | undefined
}

const LOOPBACK = /^(?:::ffff:)?127\.|^::1$/
/** What proxies add, each in its own way. */
const FORWARDED = ['x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'forwarded', 'via']

export function controlRoutes(
  server: FastifyInstance,
  { depot, guard, metrics, standing, metricsToken }: ControlParts,
): void {
  const stamp = (reply: FastifyReply): FastifyReply =>
    reply
      .header('cache-control', 'no-store')
      .header(HEADERS.head, gidOfHead(depot.head))
      .type('text/plain; charset=utf-8')

  server.get(
    PATHS.livez,
    { schema: { summary: 'The process lives', tags: ['control'] } },
    async (_request, reply) => stamp(reply).send('live\n'),
  )

  for (const path of [PATHS.readyz, PATHS.servez])
    server.get(
      path,
      { schema: { summary: 'Whether a balancer should send requests', tags: ['control'] } },
      async (_request, reply) => {
        demandReady(standing, path === PATHS.servez)
        return stamp(reply).send('ready\n')
      },
    )

  server.get(
    PATHS.metrics,
    { schema: { summary: 'Prometheus metrics', tags: ['control'] } },
    async (request, reply) => {
      demandMetrics(request, guard, metricsToken)
      return stamp(reply).type('text/plain; version=0.0.4; charset=utf-8').send(metrics.text())
    },
  )
}

/**
 * A node is ready as long as it answers for the head. Where none is, balancers may send requests to one that serves what
 * it has (PROTOCOL §5, K0).
 */
function demandReady(standing: Node, isEnough: boolean): void {
  const { mode, isDraining, whenCut, isSilent, unsure } = standing.state()
  if (isDraining) throw failure('draining', {})
  if (mode === 'boot') throw failure('booting', {})
  // One that knows of a newer head and cannot get it answers for none, and still has all that is pinned.
  const isLost = mode === 'cut' || (mode === 'lag' && isSilent === true)
  // An origin that may have lost its newest generations would show clients an older head than they have seen.
  const serves = mode === 'diverged' || unsure !== undefined || (isLost && whenCut === 'serve')
  if (serves ? !isEnough : isLost) throw failure('head-unconfirmed', { generation: standing.known() })
}

/** With a token of its own, for that; else for the same machine, and for operators. */
function demandMetrics(request: FastifyRequest, guard: Guard, metricsToken: string | undefined): void {
  const { authorization } = request.headers
  if (
    metricsToken !== undefined &&
    authorization !== undefined &&
    isSame(authorization, `Bearer ${metricsToken}`)
  )
    return
  // The address of the connection itself, and nobody in between: a forwarded one can be forged.
  const isLocal =
    LOOPBACK.test(request.socket.remoteAddress ?? '') &&
    !FORWARDED.some((name) => request.headers[name] !== undefined)
  if (metricsToken !== undefined || !isLocal) guard.admin(request)
}

/** In constant time: hashes are compared, which are of one length. */
function isSame(a: string, b: string): boolean {
  return timingSafeEqual(rawOf(digestOf(a)), rawOf(digestOf(b)))
}
