/**
 * The place of a node among the others: an origin stands for itself; what a replica is stands in `replica-place.ts`.
 */
import type { Depot } from '../depot/depot.ts'
import { type Node, originNode } from '../depot/node.ts'
import type { Examine } from '../depot/read/examine.ts'
import type { Elsewhere, Relay } from '../http/gate/gate.ts'
import type { Metrics } from '../http/metrics.ts'
import type { Clock, Log, Random } from '../model/world.ts'
import type { DiskStore } from '../pool/open-disk.ts'
import { encodeNodeLabel } from '../wire/node-label.ts'
import type { OriginBody } from '../wire/replication.ts'
import type { Config } from './config.ts'
import { watchOrigin } from './node-gauges.ts'

export interface PlaceParts {
  readonly depot: Depot
  readonly store: DiskStore
  readonly examine: Examine
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
  readonly isDraining: () => boolean
}

export interface Place extends AsyncDisposable {
  readonly face: {
    /** The value of `Depot-Node`. */
    readonly node: () => string
    readonly standing: Node
    readonly relay: Relay
    readonly elsewhere: Elsewhere
    /** Where the origin is, for those who follow this node. */
    readonly whereOrigin: () => OriginBody
  }
  /** Begins to follow, when the node can be reached. */
  start(): void
  /** Lets those go who wait for a generation: the node is going. */
  readonly release: () => void
}

/** The one that commits is sure of its head. */
export function originPlace(config: Config, { depot, metrics, isDraining }: PlaceParts): Place {
  watchOrigin(metrics, depot.head, isDraining)
  const id = config.nodeId ?? 'origin'
  const label = (state: 'fresh' | 'drain'): string =>
    encodeNodeLabel({ id, role: 'origin', state, ageSeconds: 0 })
  const labels = { fresh: label('fresh'), drain: label('drain') }
  return {
    face: {
      node: () => (isDraining() ? labels.drain : labels.fresh),
      standing: originNode(depot.head, isDraining),
      relay: async () => false,
      elsewhere: () => undefined,
      whereOrigin: () => ({ isOrigin: true, url: config.publicUrl ?? null }),
    },
    start: () => undefined,
    release: () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  }
}
