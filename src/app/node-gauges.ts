/**
 * Gauges of a node among the others: how it stands to the origin, and what it is copying. An origin has the same ones,
 * so that one rule for alarms fits all nodes.
 */
import type { Access } from '../depot/access.ts'
import type { Unsure } from '../depot/gate.ts'
import type { Head } from '../depot/head.ts'
import type { Node } from '../depot/node.ts'
import type { Metrics } from '../http/metrics.ts'
import { type Gid, partsOf } from '../model/generation.ts'
import { LIMITS } from '../model/limits.ts'
import type { FollowerState } from '../replica/follow.ts'
import { generationsBehind, inAll } from '../replica/progress.ts'
import type { ReplicaStanding } from '../replica/replica-node.ts'
import { NODE_CONDITIONS } from '../wire/node-label.ts'

/** What following came to since the start. */
export interface FollowCounts {
  shown: number
  failed: number
}

export interface FollowingParts {
  readonly standing: () => ReplicaStanding
  readonly follower: { state(): Pick<FollowerState, 'progress' | 'refusal'> }
  readonly access: Pick<Access, 'ageMs'>
  readonly relay: { readonly underWay: number }
  readonly counts: FollowCounts
}

/** It knows all that there is, and has it, unless those who follow it tell otherwise. */
export function watchOrigin(
  metrics: Metrics,
  head: Pick<Head, 'now' | 'isThere'>,
  node: Pick<Node, 'state' | 'known'>,
): void {
  watchStanding(metrics, () => {
    const { isDraining, mode } = node.state()
    const known = head.isThere() ? node.known() : undefined
    return {
      condition: isDraining ? 'drain' : mode,
      known,
      lagGenerations: generationsBehind(head.isThere() ? head.now().gid : undefined, known),
      lagSeconds: 0,
      originSeconds: 0,
      isIdTaken: false,
    }
  })
  metrics.gauge({
    name: 'depot_origin_unsure',
    help: 'Why this origin commits nothing: 1 for that reason, 0 for the others; all 0 when it commits.',
    read: () => {
      const { unsure } = node.state()
      return { label: 'reason', values: new Map(REASONS.map((one) => [one, one === unsure ? 1 : 0])) }
    },
  })
}

const REASONS: readonly Unsure[] = ['asking', 'unverified', 'diverged', 'superseded']

export function watchFollowing(metrics: Metrics, parts: FollowingParts): void {
  const { standing, follower, access, relay, counts } = parts
  watchStanding(metrics, standing)
  const gauge = (name: string, help: string, read: () => number): void => {
    metrics.gauge({ name, help, read })
  }
  gauge('depot_node_id_taken', 'Whether another node has the id of this one: 1 or 0.', () =>
    standing().isIdTaken ? 1 : 0,
  )
  gauge(
    'depot_upstream_refused',
    'Whether keys or signatures of the upstream are refused, and nothing of it is taken over: 1 or 0.',
    () => (follower.state().refusal === undefined ? 0 : 1),
  )
  gauge(
    'depot_access_age_seconds',
    `Seconds since the copy of the tokens was confirmed; NaN before that. Above ${LIMITS.accessAgeMs / 1000} nobody is let in by it.`,
    () => (access.ageMs() ?? Number.NaN) / 1000,
  )
  gauge(
    'depot_relays',
    'Requests that the origin answers for this node at this moment.',
    () => relay.underWay,
  )
  const copying = (): { readonly done: number; readonly total: number } => {
    const { progress } = follower.state()
    return progress === undefined ? { done: 0, total: 0 } : inAll(progress)
  }
  gauge(
    'depot_copy_done',
    'Nodes and blobs that are here of the copy under way; 0 when there is none.',
    () => copying().done,
  )
  gauge(
    'depot_copy_needed',
    'Nodes and blobs that the copy under way needs, as far as that is known; 0 when there is none.',
    () => copying().total,
  )
  metrics.gauge({
    kind: 'counter',
    name: 'depot_copies_total',
    help: 'Generations that were copied and shown.',
    read: () => counts.shown,
  })
  metrics.gauge({
    kind: 'counter',
    name: 'depot_copy_failures_total',
    help: 'Times that following the head, a copy or the tokens has failed, and was tried again.',
    read: () => counts.failed,
  })
}

function watchStanding(metrics: Metrics, standing: () => ReplicaStanding): void {
  const gauge = (name: string, help: string, read: () => number): void => {
    metrics.gauge({ name, help, read })
  }
  gauge(
    'depot_known_generation_number',
    'Number of the newest generation that this node has heard of; NaN before one.',
    () => numberOf(standing().known),
  )
  gauge(
    'depot_lag_generations',
    'Generations between the head and the newest that this node has heard of.',
    () => standing().lagGenerations,
  )
  gauge(
    'depot_lag_seconds',
    'Seconds since this node has first heard of a generation that it does not show yet; 0 when it shows all it knows.',
    () => standing().lagSeconds,
  )
  gauge(
    'depot_origin_seconds',
    'Seconds since the last word of the origin was asked for; before the first, since the start of this node.',
    () => standing().originSeconds,
  )
  metrics.gauge({
    name: 'depot_node_state',
    help: 'Which state the node is in: 1 for that one, 0 for the others.',
    read: () => {
      const { condition } = standing()
      const values = new Map(NODE_CONDITIONS.map((one) => [one, one === condition ? 1 : 0]))
      return { label: 'state', values }
    },
  })
}

function numberOf(gid: Gid | undefined): number {
  return gid === undefined ? Number.NaN : partsOf(gid).number
}
