/**
 * What a request asks of the gate, by its route (PROTOCOL §3).
 */
import type { FastifyRequest } from 'fastify'
import type { Depot } from '../../depot/depot.ts'
import type { Question } from '../../depot/gate.ts'
import type { Node } from '../../depot/node.ts'
import { floorHere, pinHere, type Standpoint } from '../../depot/standing.ts'
import { digestOfHex } from '../../model/digest.ts'
import { isFailure } from '../../model/errors.ts'
import { type Gid, isGid } from '../../model/generation.ts'
import type { Soon } from '../../model/soon.ts'
import { PATHS } from '../../wire/paths.ts'
import { demandOf } from '../mounts.ts'
import type { Asking } from './gate.ts'

type Parts = Pick<Depot, 'head' | 'generations' | 'views' | 'pool' | 'nodes'> & { readonly node: Node }

interface Versioned {
  readonly channel: string
  readonly name: string
  readonly version: string
}

/** Ends of the patterns of K3: a name with its version means the same as long as the head has it. */
const VERSIONED = ['/manifests/:name/:version', '/files/:name/:version/*']

/** Reads of a generation: K1, K2, K3, and K5 under a pin. */
export function readAsking(parts: Parts): Asking {
  return (request) => {
    const { head, generations, node } = parts
    // A node without a head is not up yet, and its state says so.
    if (!head.isThere()) return { kind: 'entry', floor: 'none' }
    const { pin, floor } = demandOf(request)
    const standpoint: Standpoint = { generations, head: head.now(), known: node.known() }
    const pinned = pinnedAsking(standpoint, pin, sinceOf(request))
    if (pinned !== undefined) return pinned
    const here = floorHere(standpoint, floor)
    const isMet = here === 'none' || here === 'met'
    if (isMet && isVersioned(request)) return versioned(parts, request)
    const isWatching = isWatchOf(request, standpoint.known)
    return { kind: 'entry', floor: here, ...(isWatching ? { isWatching } : {}) }
  }
}

/** Undefined without a pin. What changed since a generation that is not here is asked as that generation would be. */
function pinnedAsking(at: Standpoint, pin: Gid | undefined, since: Gid | undefined): Question | undefined {
  const pinned = pin === undefined ? 'here' : pinHere(at, pin)
  if (pinned !== 'here') return { kind: 'pinned', pin: pinned }
  const changes = since === undefined ? 'here' : pinHere(at, since)
  if (changes !== 'here') return { kind: 'pinned', pin: changes }
  return pin === undefined ? undefined : { kind: 'pinned', pin: 'here' }
}

function isVersioned({ routeOptions: { url } }: FastifyRequest): boolean {
  return VERSIONED.some((end) => url?.endsWith(end) === true)
}

/** Whether it waits for a head other than this one. */
function isWatchOf({ query, routeOptions }: FastifyRequest, known: Gid): boolean {
  return (
    routeOptions.url === PATHS.head && (query as { readonly after?: string } | undefined)?.after === known
  )
}

/** The generation that a catalog is to be compared with; what is no gid the route refuses. */
function sinceOf({ query, routeOptions }: FastifyRequest): Gid | undefined {
  const { since } = query as { readonly since?: unknown }
  const isAsked = routeOptions.url?.endsWith('/catalog') === true
  return isAsked && typeof since === 'string' && isGid(since) ? since : undefined
}

/** Only where the answer may depend on it is it looked up: what an origin has not is nowhere, if it is sure that it has all. */
function versioned({ head, views, node }: Parts, request: FastifyRequest): Soon<Question> {
  if (knowsAll(node)) return { kind: 'versioned', isHere: true }
  const look = async (): Promise<Question> => {
    const view = await views.of(head.now())
    try {
      await view.release(request.params as Versioned)
      return { kind: 'versioned', isHere: true }
    } catch (error) {
      if (!isFailure(error, 'not-found')) throw error
      return { kind: 'versioned', isHere: false }
    }
  }
  return look()
}

/** K4. An origin answers for everything, so it need not look twice. */
export function objectAsking({ pool, nodes, node }: Parts): Asking {
  return (request) => {
    if (knowsAll(node)) return { kind: 'object', isHere: true }
    const digest = digestOfHex((request.params as { readonly hex: string }).hex)
    if (nodes.has(digest)) return { kind: 'object', isHere: true }
    const look = async (): Promise<Question> => {
      try {
        return { kind: 'object', isHere: (await pool.open(digest)) !== undefined }
      } catch (error) {
        // Another node may have it whole.
        if (isFailure(error, 'blob-corrupt')) return { kind: 'object', isHere: false }
        throw error
      }
    }
    return look()
  }
}

function knowsAll(node: Node): boolean {
  const { isOrigin, unsure } = node.state()
  return isOrigin && unsure === undefined
}

/** K6. */
export const stagingAsking: Asking = () => ({ kind: 'staging' })
/** K7. */
export const writeAsking: Asking = () => ({ kind: 'write' })
/** What only the origin can say. */
export const wordAsking: Asking = () => ({ kind: 'word' })
