/**
 * `/v1/nodes`: the nodes that follow this one. Each tells of itself by a heartbeat and learns of the others
 * (PROTOCOL §8), and says when it goes; an operator sees all of them.
 */
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import type { Depot } from '../../depot/depot.ts'
import type { Testimony } from '../../depot/lineage/origin-check.ts'
import type { NodeReport } from '../../depot/roster.ts'
import { failure } from '../../model/errors.ts'
import type { Lineage } from '../../model/generation.ts'
import { LIMITS } from '../../model/limits.ts'
import { clip } from '../../model/name.ts'
import { parseNodeId } from '../../wire/node-label.ts'
import { PATHS } from '../../wire/paths.ts'
import { HeartbeatRequest, LeaveRequest, NodesBody } from '../../wire/replication.ts'
import type { Guard } from '../guard.ts'
import type { LineageFace } from './lineage/lineage.ts'

type Parts = Pick<Depot, 'head' | 'roster'>
type HeartbeatParts = Parts & { readonly lineage: Pick<LineageFace, 'hear' | 'left'> }

/** For nodes. */
export function heartbeatRoutes(server: FastifyInstance, parts: HeartbeatParts): void {
  server.post<{ Params: { readonly id: string }; Body: HeartbeatRequest }>(
    `${PATHS.nodes}/:id/heartbeat`,
    {
      schema: {
        summary: 'A node tells how it is, and learns of the head and the other nodes',
        tags: ['replicate'],
        body: HeartbeatRequest,
        response: { 200: NodesBody },
      },
    },
    async (request, reply) => {
      const id = parseNodeId(request.params.id)
      const report = reportOf(request.body)
      parts.roster.hear(id, report, request.body.instance)
      await parts.lineage.hear(testimonyOf(id, report, request.body.lineages))
      return reply.header('cache-control', 'private, no-store').send(nodesBody(parts))
    },
  )

  server.post<{ Params: { readonly id: string }; Body: LeaveRequest }>(
    `${PATHS.nodes}/:id/leave`,
    {
      schema: {
        summary: 'A node follows no more',
        tags: ['replicate'],
        body: LeaveRequest,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      const id = parseNodeId(request.params.id)
      parts.roster.forget(id, request.body.instance)
      await parts.lineage.left(id)
      return reply.code(204).header('cache-control', 'private, no-store').send()
    },
  )
}

/** For operators. */
export function nodesRoute(server: FastifyInstance, parts: Parts, guard: Guard): void {
  server.get(
    PATHS.nodes,
    {
      schema: { summary: 'The nodes that follow this one', tags: ['operate'], response: { 200: NodesBody } },
    },
    async (request, reply) => {
      guard.admin(request)
      return reply.header('cache-control', 'private, no-store').send(nodesBody(parts))
    },
  )
}

function nodesBody({ head, roster }: Parts): NodesBody {
  return { head: head.now().gid, nodes: roster.nodes() }
}

/** What is known here of what a node says; a newer one may say more. */
function reportOf({ role, state, head, known, ...more }: HeartbeatRequest): NodeReport {
  const { publicUrl, lagSeconds, progress, refused } = more
  return {
    role,
    state,
    head,
    known,
    ...(publicUrl === undefined ? {} : { publicUrl: addressOf(publicUrl) }),
    ...(lagSeconds === undefined ? {} : { lagSeconds }),
    ...(progress === undefined ? {} : { progress: progressOf(progress) }),
    ...(refused === undefined ? {} : { refused }),
  }
}

/** What the origin weighs of it. */
function testimonyOf(
  id: string,
  { head, known, state, publicUrl }: NodeReport,
  lineages: readonly Lineage[] | undefined,
): Testimony {
  return {
    id,
    head,
    known,
    isDiverged: state === 'diverged',
    ...(publicUrl === undefined ? {} : { publicUrl }),
    ...(lineages === undefined ? {} : { lineages }),
  }
}

function progressOf({
  gid,
  done,
  total,
}: NonNullable<HeartbeatRequest['progress']>): NonNullable<NodeReport['progress']> {
  return { gid, done, ...(total === undefined ? {} : { total }) }
}

/** Clients are sent there, so it has to be an address that one can be sent to. Fails with `bad-request`. */
function addressOf(text: string): string {
  const url = URL.parse(text)
  const isAddress =
    url !== null &&
    (url.protocol === 'http:' || url.protocol === 'https:') &&
    [url.username, url.password, url.search, url.hash].every((part) => part === '')
  if (isAddress && url.href.length > LIMITS.nodeUrlBytes)
    throw failure('bad-request', {
      reason: `"${clip(text)}" is too long: the address of a node has up to ${LIMITS.nodeUrlBytes} bytes`,
    })
  if (isAddress) return url.href.replace(/\/+$/, '')
  throw failure('bad-request', {
    reason: `"${clip(text)}" is no address of a node, which begins with http:// or https://`,
  })
}
