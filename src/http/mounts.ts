/**
 * Where the read routes hang, and how each mount finds the view it reads from:
 *
 *   /v1/...                       the head, or the generation that `Depot-Exact-Generation` names
 *   /g/<gid>/v1/...               the pinned generation
 *   /v1/stages/<id>/preview/v1/...  the staged metaset, for those who may add to it
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Depot } from '../depot/depot.ts'
import { type Demand, resolveGeneration } from '../depot/freshness.ts'
import { failure } from '../model/errors.ts'
import { type Gid, parseGid } from '../model/generation.ts'
import { after, type Soon } from '../model/soon.ts'
import { HEADERS } from '../wire/headers.ts'
import { type Mount, type Reading, stampGeneration } from './answer.ts'
import type { Guard } from './guard.ts'

/** The reply gets the generation at once, so that a refusal says for which one it is true. */
export type ReadingOf = (request: FastifyRequest, reply: FastifyReply) => Soon<Reading>
type Parts = Pick<Depot, 'head' | 'generations' | 'views' | 'commits' | 'stages'>

/** Unpinned and pinned reads; the URL of the latter has a parameter `gid`. */
export function generationMount(parts: Parts, guard: Guard): ReadingOf {
  return (request, reply) => {
    const isPrivate = guard.read(request)
    const demand = demandOf(request)
    const head = parts.head.now()
    const generation = resolveGeneration(parts.generations, head, demand)
    return after(parts.views.at(generation) ?? parts.views.of(generation), (view) => {
      const reading: Reading = { view, mount: mountOf(request, demand), head, isPrivate }
      stampGeneration(reply, reading)
      return reading
    })
  }
}

/** Reads of a stage as if it were committed; the URL has a parameter `stage`. */
export function previewMount(parts: Parts, guard: Guard): ReadingOf {
  return async (request, reply) => {
    const actor = guard.actor(request)
    const { id, base } = parts.stages.use(actor, (request.params as { readonly stage: string }).stage)
    const head = parts.head.now()
    const { pin, floor } = demandOf(request)
    if (pin !== undefined && pin !== base) throw failure('pin-conflict', { url: base, header: pin })
    if (floor !== undefined) resolveGeneration(parts.generations, head, { floor })
    const metaset = await parts.stages.during(actor, id, async (stage) => await parts.commits.preview(stage))
    const view = parts.views.preview(base, metaset)
    const reading: Reading = { view, mount: 'preview', head, isPrivate: true }
    stampGeneration(reply, reading)
    return reading
  }
}

const NO_PIN: Pick<Demand, 'pin'> = {}

/** What the URL and the headers ask for. Fails with `bad-generation` or `pin-conflict`. */
export function demandOf(request: FastifyRequest): Demand {
  const { headers } = request
  const url = pinIn(request)
  const exact = headers[HEADERS.exactGeneration]
  const least = headers[HEADERS.minGeneration]
  const pin = pinOf(url, exact === undefined ? undefined : String(exact))
  if (least !== undefined) return { ...pin, floor: floorOf(String(least)) }
  return pin
}

/** One pin, or the same one twice. */
function pinOf(url: string | undefined, exact: string | undefined): Pick<Demand, 'pin'> {
  if (url === undefined) return exact === undefined ? NO_PIN : { pin: parseGid(exact) }
  const pin = parseGid(url)
  if (exact !== undefined && parseGid(exact) !== pin)
    throw failure('pin-conflict', { url: pin, header: exact })
  return { pin }
}

/** The pin in the URL, as it was written. */
export function pinIn(request: FastifyRequest): string | undefined {
  return (request.params as { readonly gid?: string } | undefined)?.gid
}

function mountOf(request: FastifyRequest, { pin }: Demand): Mount {
  if (pin === undefined) return 'head'
  return pinIn(request) === undefined ? 'exact' : 'pinned'
}

function floorOf(text: string): Gid | 'head' {
  return text === 'head' ? 'head' : parseGid(text)
}
