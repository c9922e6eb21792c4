/**
 * `GET channels/{channel}/manifests/{name}`: the versions of one name, newest first; `?range=` picks (K2).
 * `GET channels/{channel}/manifests/{name}/{version}`: the manifest (K3, or K5 under a pin).
 */
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import type { Depot } from '../../depot/depot.ts'
import type { View, Wish } from '../../depot/read/view.ts'
import type { Release } from '../../depot/types.ts'
import { failure } from '../../model/errors.ts'
import { LIMITS } from '../../model/limits.ts'
import { clip } from '../../model/name.ts'
import { type Slices, slices } from '../../model/slice.ts'
import { after } from '../../model/soon.ts'
import type { Version } from '../../model/version.ts'
import { MEDIA } from '../../wire/headers.ts'
import { pinned, releasesPath } from '../../wire/paths.ts'
import { ReleasesBody } from '../../wire/schemas.ts'
import { headersOfReading, sendJson } from '../answer.ts'
import type { ReadingOf } from '../mounts.ts'
import { type Page, PageQuery, pageOf } from '../page.ts'
import { sendBytes } from '../send-bytes.ts'
import { type BytesParts, blobOf } from './objects.ts'
import { sorted } from './sorted.ts'

interface Query extends Page {
  readonly range?: string
}

const Range = Type.Object({ range: Type.Optional(Type.String({ maxLength: LIMITS.versionBytes })) })

export function releaseRoutes(
  server: FastifyInstance,
  parts: BytesParts & Pick<Depot, 'clock'>,
  readingOf: ReadingOf,
): void {
  server.route<{ Params: Omit<Wish, 'version'>; Querystring: Query }>({
    method: ['GET', 'HEAD'],
    url: '/v1/channels/:channel/manifests/:name',
    schema: {
      summary: 'The versions of a name, newest first',
      tags: ['read'],
      querystring: Type.Intersect([PageQuery, Range]),
      response: { 200: ReleasesBody },
    },
    handler: async (request, reply) => {
      const reading = await readingOf(request, reply)
      const { channel, name } = request.params
      const { limit, after } = pageOf(request.query)
      const wish = { ...request.params, range: request.query.range }
      const found = await versionsOf(reading.view, wish, slices(parts.clock))
      const start = after === undefined ? 0 : startAfter(found, after)
      const releases = found.slice(start, start + limit)
      const last = releases.at(-1)?.version
      const query = new URLSearchParams({
        limit: String(limit),
        after: last ?? '',
        ...pickRange(request.query),
      })
      const next =
        found.length > start + limit
          ? pinned(reading.view.gid, `${releasesPath(channel, name)}?${query.toString()}`)
          : undefined
      return sendJson(request, reply, reading, { releases, next })
    },
  })

  server.route<{ Params: Wish }>({
    method: ['GET', 'HEAD'],
    url: '/v1/channels/:channel/manifests/:name/:version',
    schema: { summary: 'A manifest', tags: ['read'], produces: [MEDIA.json] },
    handler: (request, reply) =>
      after(readingOf(request, reply), (reading) =>
        after(reading.view.manifest(request.params), (manifest) => {
          const headers = headersOfReading(request, reading)
          return sendBytes(request, reply, {
            digest: manifest,
            headers,
            mediaType: MEDIA.json,
            open: blobOf(parts.pool, manifest),
            hot: parts.hot,
          })
        }),
      ),
  })
}

/** Newest first. A range picks what satisfies it and is not yanked. Fails with `not-found` or `bad-request`. */
async function versionsOf(
  view: View,
  { range, ...wish }: Omit<Wish, 'version'> & { readonly range: string | undefined },
  work: Slices,
): Promise<readonly Release[]> {
  const { order } = view.format(wish.channel)
  if (range !== undefined && !order.isRange(range))
    throw failure('bad-request', { reason: `"${range}" is not a range of versions` })
  const found: Release[] = []
  let known = false
  for await (const release of view.releases(wish.channel, wish.name)) {
    known = true
    await work.breathe()
    const fits =
      range === undefined ||
      (release.status !== 'yanked' && order.satisfies(release.version as Version, range))
    if (fits) found.push(release)
  }
  if (!known) throw failure('not-found', { what: `release of that name in channel ${wish.channel}` })
  return await sorted(found, (a, b) => order.compare(b.version as Version, a.version as Version), work)
}

/** Fails with `bad-request`: who asks for what comes after nothing would else get the first page for ever. */
function startAfter(found: readonly Release[], after: string): number {
  const at = found.findIndex((release) => release.version === after)
  if (at === -1)
    throw failure('bad-request', { reason: `after must be a version of the list, not "${clip(after)}"` })
  return at + 1
}

function pickRange({ range }: Query): { readonly range?: string } {
  return range === undefined ? {} : { range }
}
