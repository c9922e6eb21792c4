/** `GET channels` and `GET channels/{channel}`: what channels there are, and one of them (K1). */
import type { FastifyInstance } from 'fastify'
import type { View } from '../../depot/read/view.ts'
import type { ChannelBody } from '../../wire/bodies.ts'
import { pinned } from '../../wire/paths.ts'
import { ChannelBody as ChannelSchema, ChannelsBody } from '../../wire/schemas.ts'
import { sendJson } from '../answer.ts'
import type { ReadingOf } from '../mounts.ts'
import { type Page, PageQuery, pageOf } from '../page.ts'

export function channelRoutes(server: FastifyInstance, readingOf: ReadingOf): void {
  server.route<{ Querystring: Page }>({
    method: ['GET', 'HEAD'],
    url: '/v1/channels',
    schema: {
      summary: 'The channels',
      tags: ['read'],
      querystring: PageQuery,
      response: { 200: ChannelsBody },
    },
    handler: async (request, reply) => {
      const reading = await readingOf(request, reply)
      const { limit, after } = pageOf(request.query)
      const names = reading.view.channelNames().filter((name) => after === undefined || name > after)
      const channels = names.slice(0, limit).map((name) => bodyOf(reading.view, name))
      const last = channels.at(-1)?.name
      const next =
        names.length > limit && last !== undefined
          ? pinned(reading.view.gid, `/v1/channels?limit=${limit}&after=${encodeURIComponent(last)}`)
          : undefined
      return sendJson(request, reply, reading, { channels, next })
    },
  })

  server.route<{ Params: { readonly channel: string } }>({
    method: ['GET', 'HEAD'],
    url: '/v1/channels/:channel',
    schema: { summary: 'One channel', tags: ['read'], response: { 200: ChannelSchema } },
    handler: async (request, reply) => {
      const reading = await readingOf(request, reply)
      return sendJson(request, reply, reading, bodyOf(reading.view, request.params.channel))
    },
  })
}

function bodyOf(view: View, name: string): ChannelBody {
  const { format, settings, releases } = view.channel(name)
  return {
    name,
    format,
    frozen: settings.frozen === true,
    releases: releases.count,
    bytes: releases.bytes,
    root: releases.root,
  }
}
