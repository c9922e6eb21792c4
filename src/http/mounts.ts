/**
 * Where the read routes hang, and how each mount finds the view it reads from:
 *
 *   /v1/...                       the head, or the generation that `Depot-Exact-Generation` names
 *   /g/<gid>/v1/...               the pinned generation
 *   /v1/stages/<id>/preview/v1/...  the staged metaset, for those who may add to it
 */
import type { FastifyRequest } from 'fastify'
import type { Depot } from '../depot/depot.ts'
import { type Demand, resolveGeneration } from '../depot/freshness.ts'
import { failure } from '../model/errors.ts'
import { type Gid, parseGid } from '../model/generation.ts'
import { HEADERS } from '../wire/headers.ts'
import type { Reading } from './answer.ts'
import type { Guard } from './guard.ts'

export type ReadingOf = (request: FastifyRequest) => Promise<Reading>
type Parts = Pick<Depot, 'head' | 'generations' | 'views' | 'commits' | 'stages'>

/** Unpinned and pinned reads; the URL of the latter has a parameter `gid`. */
export function generationMount(parts: Parts, guard: Guard): ReadingOf {
  return async (request) => {
    const isPrivate = guard.read(request)
    const demand = demandOf(request)
    const head = parts.head.now()
    const generation = resolveGeneration(parts.generations, head, demand)
    const view = parts.views.at(generation) ?? (await parts.views.of(generation))
    return { view, mount: demand.pin === undefined ? 'head' : 'pinned', head, isPrivate }
  }
}

/** Reads of a stage as if it were committed; the URL has a parameter `stage`. */
export function previewMount(parts: Parts, guard: Guard): ReadingOf {
  return async (request) => {
    const actor = guard.actor(request)
    const stage = parts.stages.use(actor, (request.params as { readonly stage: string }).stage)
    const metaset = await parts.commits.preview(stage)
    return {
      view: parts.views.preview(stage.base, metaset),
      mount: 'preview',
      head: parts.head.now(),
      isPrivate: true,
    }
  }
}

/** What the URL and the headers ask for. Fails with `bad-generation` or `pin-conflict`. */
export function demandOf(request: FastifyRequest): Demand {
  const { headers } = request
  const url = (request.params as { readonly gid?: string } | undefined)?.gid
  const exact = headers[HEADERS.exactGeneration]
  const least = headers[HEADERS.minGeneration]
  if (url === undefined && exact === undefined && least === undefined) return {}
  const pinnedByUrl = url === undefined ? undefined : parseGid(url)
  const pinnedByHeader = exact === undefined ? undefined : parseGid(String(exact))
  if (pinnedByUrl !== undefined && pinnedByHeader !== undefined && pinnedByUrl !== pinnedByHeader)
    throw failure('pin-conflict', { url: pinnedByUrl, header: pinnedByHeader })
  const pin = pinnedByUrl ?? pinnedByHeader
  const floor = least === undefined ? undefined : floorOf(String(least))
  return { ...(pin === undefined ? {} : { pin }), ...(floor === undefined ? {} : { floor }) }
}

function floorOf(text: string): Gid | 'head' {
  return text === 'head' ? 'head' : parseGid(text)
}
