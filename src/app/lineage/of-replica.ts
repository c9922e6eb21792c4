/**
 * What a replica has to do with lineages: it follows them, tells its origin of those that it knows, and decides nothing.
 */
import type { LineageFace } from '../../http/routes/lineage/lineage.ts'
import { failure } from '../../model/errors.ts'
import type { Lineage, LineageId } from '../../model/generation.ts'
import { LIMITS } from '../../model/limits.ts'
import type { HeartbeatRequest } from '../../wire/replication.ts'

/** Lineages that descend from others, for a heartbeat: a depot that was never forked has none. */
export function forksOf(lineages: ReadonlyMap<LineageId, Lineage>): Pick<HeartbeatRequest, 'lineages'> {
  const forks = [...lineages.values()].filter(({ parent }) => parent !== null)
  return forks.length === 0 ? {} : { lineages: forks.slice(-LIMITS.lineagesTold) }
}

/** The gate passes all of it on to the origin, so nobody comes here. */
export const NOT_HERE: LineageFace = {
  hear: refuse,
  left: refuse,
  fork: refuse,
  adopt: () => {
    throw notOrigin()
  },
}

async function refuse(): Promise<never> {
  throw await Promise.resolve(notOrigin())
}

function notOrigin(): Error {
  return failure('origin-unreachable', { reason: 'this node is a replica' })
}
