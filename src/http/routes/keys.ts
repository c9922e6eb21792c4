/**
 * `/v1/keys`: the public keys of the depot, which every node tells everybody; and rotating and retiring them, which the
 * origin does for an admin. No private key ever comes or goes here.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import Type from 'typebox'
import type { Depot } from '../../depot/depot.ts'
import { failure } from '../../model/errors.ts'
import { KeysBody, keysBodyOf, RotateRequest } from '../../wire/keys.ts'
import { keyPath, PATHS } from '../../wire/paths.ts'
import type { Guard } from '../guard.ts'
import { held } from '../prefer.ts'

type Parts = Pick<Depot, 'keys' | 'head'>

const After = Type.Object({
  after: Type.Optional(Type.String({ maxLength: 64, description: 'edition; wait for another one' })),
})

/** For everybody: without the public keys nobody could check a signature. */
export function keysRoute(server: FastifyInstance, parts: Parts): void {
  server.get(
    PATHS.keys,
    { schema: { summary: 'The public keys of the depot', tags: ['keys'], response: { 200: KeysBody } } },
    async (_request, reply) => reply.header('cache-control', 'no-store').send(bodyOf(parts)),
  )
}

/** For nodes that follow this one. */
export function replicatedKeysRoute(server: FastifyInstance, parts: Parts, guard: Guard): void {
  const { keys, head } = parts
  server.get<{ Querystring: { readonly after?: string } }>(
    PATHS.copiedKeys,
    {
      schema: {
        summary: 'The public keys, as soon as they are others',
        tags: ['replicate'],
        querystring: After,
        response: { 200: KeysBody },
      },
    },
    async (request, reply) => {
      const { after } = request.query
      reply.header('cache-control', 'private, no-store')
      if (after !== undefined && !(await hasMoved(request, reply, parts, after)))
        return reply.code(304).send()
      // Perhaps the token was revoked meanwhile.
      guard.node(request)
      if (head.isClosing() || keys.isClosing()) reply.header('connection', 'close')
      return reply.send(bodyOf(parts))
    },
  )
}

/** For admins. */
export function keyChangeRoutes(server: FastifyInstance, parts: Parts, guard: Guard): void {
  server.post<{ Body: RotateRequest }>(
    PATHS.keys,
    {
      schema: {
        summary: 'Put a new key in the place of the current one',
        tags: ['keys'],
        body: RotateRequest,
        response: { 200: KeysBody, 201: KeysBody },
      },
    },
    async (request, reply) => {
      guard.admin(request)
      const isDone = await parts.keys.rotate(request.body.current)
      const body = bodyOf(parts)
      request.log.info({ key: body.current, isDone }, 'the signing key was rotated')
      reply.header('cache-control', 'private, no-store').header('location', keyPath(body.current))
      return reply.code(isDone ? 201 : 200).send(body)
    },
  )

  server.delete<{ Params: { readonly id: string } }>(
    `${PATHS.keys}/:id`,
    {
      schema: {
        summary: 'End the overlap of a key that was rotated',
        tags: ['keys'],
        response: { 200: KeysBody },
      },
    },
    async (request, reply) => {
      guard.admin(request)
      const { id } = request.params
      const isDone = await parts.keys.retire(id)
      request.log.info({ key: id, isDone }, 'a signing key was retired')
      return reply.header('cache-control', 'private, no-store').send(bodyOf(parts))
    },
  )
}

async function hasMoved(
  request: FastifyRequest,
  reply: FastifyReply,
  { keys }: Parts,
  after: string,
): Promise<boolean> {
  return await held(request, reply, async (waitMs, gone) => {
    // Who would be let go at once would ask again at once.
    if (waitMs > 0 && keys.isClosing() && keys.edition() === after) throw failure('draining', {})
    return await keys.movedFrom(after, waitMs, gone)
  })
}

/** Fails with `booting` on a node that has nothing yet, and with `not-found` where the depot has no keys. */
function bodyOf({ keys, head }: Parts): KeysBody {
  const view = keys.view()
  if (view === undefined) {
    head.now()
    throw failure('not-found', { what: 'key: what this node follows signs nothing' })
  }
  return keysBodyOf(view)
}
