/** `/v1/stages/{stage}/channels/...`: what the stage does to channels and their releases (K6). */
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import type { Depot } from '../../depot/depot.ts'
import type { Wish } from '../../depot/read/view.ts'
import { failure } from '../../model/errors.ts'
import { LIMITS } from '../../model/limits.ts'
import type { ChannelRequest, StatusRequest } from '../../wire/bodies.ts'
import { MEDIA } from '../../wire/headers.ts'
import { PATHS } from '../../wire/paths.ts'
import {
  ChannelRequest as ChannelSchema,
  ManifestPutBody,
  ManifestsPutBody,
  StatusRequest as StatusSchema,
} from '../../wire/schemas.ts'
import type { Guard } from '../guard.ts'
import { stampStage } from './stages.ts'

type Parts = Pick<Depot, 'stages' | 'releases'>
type Params = Wish & { readonly stage: string }

const CHANNEL_URL = `${PATHS.stages}/:stage/channels/:channel`
const RELEASES_URL = `${CHANNEL_URL}/manifests`
const RELEASE_URL = `${RELEASES_URL}/:name/:version`
const NEWLINE = 0x0a
const NOTHING = { 204: Type.Null() }

export function stageReleaseRoutes(server: FastifyInstance, parts: Parts, guard: Guard): void {
  server.delete<{ Params: Params }>(
    RELEASE_URL,
    { schema: { summary: 'Remove a release', tags: ['publish'], response: NOTHING } },
    async (request, reply) => {
      const actor = guard.actor(request)
      return await parts.stages.during(actor, request.params.stage, async (stage) => {
        await parts.releases.remove(actor, stage, request.params)
        return stampStage(reply, stage).code(204).send()
      })
    },
  )

  server.patch<{ Params: Params; Body: StatusRequest }>(
    RELEASE_URL,
    {
      schema: {
        summary: 'Mark a release as yanked or deprecated',
        tags: ['publish'],
        body: StatusSchema,
        response: NOTHING,
      },
    },
    async (request, reply) => {
      const actor = guard.actor(request)
      return await parts.stages.during(actor, request.params.stage, async (stage) => {
        await parts.releases.mark(actor, stage, request.params, request.body)
        return stampStage(reply, stage).code(204).send()
      })
    },
  )

  server.put<{ Params: Params; Body: ChannelRequest }>(
    CHANNEL_URL,
    {
      schema: {
        summary: 'Make a channel, freeze or unfreeze it',
        tags: ['publish'],
        body: ChannelSchema,
        response: NOTHING,
      },
    },
    async (request, reply) => {
      const actor = guard.actor(request)
      return await parts.stages.during(actor, request.params.stage, async (stage) => {
        await parts.releases.setChannel(actor, stage, request.params.channel, request.body.frozen ?? false)
        return stampStage(reply, stage).code(204).send()
      })
    },
  )

  server.delete<{ Params: Params }>(
    CHANNEL_URL,
    { schema: { summary: 'Take a channel away', tags: ['publish'], response: NOTHING } },
    async (request, reply) => {
      const actor = guard.actor(request)
      return await parts.stages.during(actor, request.params.stage, async (stage) => {
        await parts.releases.removeChannel(actor, stage, request.params.channel)
        return stampStage(reply, stage).code(204).send()
      })
    },
  )
}

/** Manifests are taken as bytes: the engine parses them, large ones in a worker. */
export function manifestRoutes(server: FastifyInstance, parts: Parts, guard: Guard): void {
  server.removeAllContentTypeParsers()
  server.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => {
    done(null, body)
  })

  server.put<{ Params: Params; Body: Buffer | undefined }>(
    RELEASE_URL,
    {
      bodyLimit: LIMITS.manifestBytes,
      schema: {
        summary: 'Add a release by its manifest',
        tags: ['publish'],
        consumes: [MEDIA.json],
        response: { 200: ManifestPutBody },
      },
    },
    async (request, reply) => {
      const actor = guard.actor(request)
      return await parts.stages.during(actor, request.params.stage, async (stage) => {
        const text = request.body ?? Buffer.alloc(0)
        const { manifest, missing } = await parts.releases.put(actor, stage, request.params, text)
        return stampStage(reply, stage).send({ manifest, missing: missing.slice(0, LIMITS.missingListed) })
      })
    },
  )

  server.post<{ Params: Params; Body: Buffer | undefined }>(
    RELEASES_URL,
    {
      bodyLimit: LIMITS.batchBytes,
      schema: {
        summary: 'Add many releases, one manifest a line',
        tags: ['publish'],
        consumes: [MEDIA.ndjson],
        response: { 200: ManifestsPutBody },
      },
    },
    async (request, reply) => {
      const actor = guard.actor(request)
      return await parts.stages.during(actor, request.params.stage, async (stage) => {
        const staged = await parts.releases.putAll(
          actor,
          stage,
          request.params.channel,
          linesOf(request.body),
        )
        return stampStage(reply, stage).send({
          manifests: staged.map(({ manifest }) => manifest),
          missing: staged.reduce((sum, { missing }) => sum + missing.length, 0),
        })
      })
    },
  )
}

/** The lines of a body; empty ones do not count. */
function linesOf(body: Buffer | undefined): readonly Uint8Array[] {
  const lines: Uint8Array[] = []
  for (let at = 0; body !== undefined && at < body.length; ) {
    const newline = body.indexOf(NEWLINE, at)
    const end = newline === -1 ? body.length : newline
    if (end > at) lines.push(body.subarray(at, end))
    if (lines.length > LIMITS.batchBlobs)
      throw failure('limit-exceeded', { what: 'manifests in a batch', limit: LIMITS.batchBlobs })
    at = end + 1
  }
  return lines
}
