/**
 * The place of a node among the others: an origin stands for itself; what a replica is stands in `replica-place.ts`.
 */
import type { Depot } from '../depot/depot.ts'
import type { Unsure } from '../depot/gate.ts'
import type { Node } from '../depot/node.ts'
import type { Examine } from '../depot/read/examine.ts'
import type { Elsewhere, Relay } from '../http/gate/gate.ts'
import type { Metrics } from '../http/metrics.ts'
import type { LineageFace } from '../http/routes/lineage/lineage.ts'
import type { ErrorCode } from '../model/failures.ts'
import type { Clock, Log, Random } from '../model/world.ts'
import type { DiskStore } from '../pool/open-disk.ts'
import { NodeLabels } from '../wire/node-label.ts'
import type { OriginBody } from '../wire/replication.ts'
import type { Config } from './config.ts'
import { OriginLineage } from './lineage/origin-lineage.ts'
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
    readonly lineage: LineageFace
  }
  /** Before anybody is answered. */
  prepare(): Promise<void>
  /** Begins to follow, when the node can be reached. */
  start(): void
  /** Lets those go who wait for a generation: the node is going. */
  readonly release: () => void
}

/** The one that commits is sure of its head, unless those who follow it tell otherwise. */
export function originPlace(config: Config, parts: PlaceParts): Place {
  const { depot, metrics } = parts
  const { data, allowUnverified } = config
  const lineage = new OriginLineage({ ...parts, data, allowUnverified })
  const { node } = lineage
  watchOrigin(metrics, depot.head, node)
  const id = config.nodeId ?? 'origin'
  const labels = new NodeLabels()
  const label = (): string => {
    const { mode, unsure, isDraining } = node.state()
    const why = unsure && WHY[unsure]
    const state = isDraining ? 'drain' : mode
    return labels.textOf({ id, role: 'origin', state, ageSeconds: 0, ...(why === undefined ? {} : { why }) })
  }
  return {
    face: {
      node: label,
      standing: node,
      relay: async () => false,
      elsewhere: () => undefined,
      whereOrigin: () => ({ isOrigin: true, url: config.publicUrl ?? null }),
      lineage,
    },
    prepare: async () => await lineage.begin(),
    start: () => {
      lineage.start()
    },
    release: () => {
      node.release()
      lineage.stop()
    },
    [Symbol.asyncDispose]: async () => await lineage[Symbol.asyncDispose](),
  }
}

/** Codes of failures, as the label of a node has them. */
const WHY: Readonly<Partial<Record<Unsure, ErrorCode>>> = {
  unverified: 'origin-unverified',
  diverged: 'origin-diverged',
  superseded: 'origin-superseded',
}
