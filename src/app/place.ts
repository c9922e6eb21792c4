/**
 * The place of a node among the others: an origin stands for itself; a replica follows an upstream, tells it how it is,
 * and has it answer what it cannot.
 */
import { hostname } from 'node:os'
import type { Depot } from '../depot/depot.ts'
import { type Node, originNode } from '../depot/node.ts'
import type { Examine } from '../depot/read/examine.ts'
import type { Elsewhere, Relay } from '../http/gate/gate.ts'
import type { Metrics } from '../http/metrics.ts'
import { partsOf } from '../model/generation.ts'
import { LIMITS } from '../model/limits.ts'
import type { Clock, Log, Random } from '../model/world.ts'
import type { DiskStore } from '../pool/open-disk.ts'
import { Follower, type FollowerEvents } from '../replica/follow.ts'
import { type AccessEvents, AccessFollower } from '../replica/follow-access.ts'
import { HttpUpstream } from '../replica/http-upstream.ts'
import { accessAfter, sendHeartbeat, sendLeave } from '../replica/origin-calls.ts'
import { OriginRelay } from '../replica/relay.ts'
import { ReplicaNode } from '../replica/replica-node.ts'
import { sleep } from '../replica/sleep.ts'
import { Caller } from '../wire/caller.ts'
import { encodeNodeLabel, parseNodeId } from '../wire/node-label.ts'
import { SENT_ON } from '../wire/paths.ts'
import type { Config } from './config.ts'
import { type FollowCounts, watchFollowing, watchOrigin } from './node-gauges.ts'

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
  }
  /** Begins to follow, when the node can be reached. */
  start(): void
  /** Lets those go who wait for a generation: the node is going. */
  readonly release: () => void
}

/** After this long an answer to a write goes out, whether what was written is here or not. */
const CATCH_UP_MS = 2_000
const INSTANCE_BYTES = 8

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
    },
    start: () => undefined,
    release: () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  }
}

export function replicaPlace(config: Config, parts: PlaceParts): Place {
  const { depot, clock, random, log, metrics, isDraining } = parts
  const counts: FollowCounts = { shown: 0, failed: 0 }
  const id = config.nodeId ?? idOf(config)
  const instance = Buffer.from(random.bytes(INSTANCE_BYTES)).toString('hex')
  const caller = callerOf(config, parts)
  const events = eventsTo(log, counts, () => {
    node.wake()
  })
  const follower = followerOf(caller, parts, events)
  const node = new ReplicaNode({
    id,
    instance,
    head: depot.head,
    follower,
    heartbeat: async (report, signal) => await sendHeartbeat(caller, id, report, signal),
    clock,
    sleep,
    log,
    isDraining,
    whenCut: config.whenCut,
    ...(config.publicUrl === undefined ? {} : { publicUrl: config.publicUrl }),
  })
  const access = accessFollowerOf(caller, parts, counts)
  const relay = new OriginRelay({
    origin: config.upstream ?? '',
    id,
    onWritten: async (generation) => await caughtUp(node, depot, generation, clock),
  })
  watchFollowing(metrics, { standing: () => node.standing(), follower, ...depot, relay, counts })
  const ending = new AbortController()
  let running: Promise<unknown> | undefined
  return {
    face: {
      node: () => node.label(),
      standing: node,
      relay: relayBy(relay),
      elsewhere: (request) => elsewhereOf(node.peers(), request.url, random),
    },
    start: () => {
      const following = [follower, node, access]
      running = Promise.all(following.map(async (one) => await one.run(ending.signal)))
    },
    release: () => {
      node.release()
    },
    [Symbol.asyncDispose]: async () => {
      ending.abort()
      if (running === undefined) return
      await running
      // Only now, when nobody is answered here any more (PROTOCOL §11).
      await leave(caller, id, instance, log)
    },
  }
}

/** An origin that does not hear of it forgets this node by and by. */
async function leave(caller: Caller, id: string, instance: string, log: Log): Promise<void> {
  try {
    await sendLeave(caller, id, { instance }, AbortSignal.timeout(LIMITS.heartbeatMs))
  } catch (error) {
    log.warn({ err: error }, 'the origin was not told that this node has left')
  }
}

function callerOf(config: Config, { clock, random }: PlaceParts): Caller {
  return new Caller({
    url: config.upstream ?? '',
    clock: { ...clock, sleep: async (ms, signal) => await sleep(ms, signal ?? NEVER) },
    random,
    ...(config.upstreamToken === undefined ? {} : { token: config.upstreamToken }),
    bounds: { patience: LIMITS.leaseMs, firstPatience: LIMITS.leaseMs },
  })
}

function followerOf(caller: Caller, parts: PlaceParts, events: FollowerEvents): Follower {
  const { depot, store } = parts
  const { generations } = depot.ledger
  return new Follower({
    ...parts,
    ...store,
    ...depot,
    upstream: new HttpUpstream(caller),
    generations,
    sleep,
    events,
  })
}

/** What following comes to is logged, and whoever waits for it is woken. */
function eventsTo(log: Log, counts: FollowCounts, wake: () => void): FollowerEvents {
  return {
    heard: (gid) => {
      log.info({ gid }, 'the upstream has a new head')
      wake()
    },
    shown: ({ gid }, copied) => {
      counts.shown += 1
      log.info({ gid, copied }, 'copied, and the head of this node')
      wake()
    },
    failed: (error, attempt) => {
      counts.failed += 1
      log.warn({ err: error, ...attempt }, 'following failed and will be tried again')
      wake()
    },
  }
}

function accessFollowerOf(
  caller: Caller,
  { depot, clock, random, log }: PlaceParts,
  counts: FollowCounts,
): AccessFollower {
  return new AccessFollower({
    access: depot.access,
    changeAfter: async (edition, waitMs, signal) => await accessAfter(caller, edition, waitMs, signal),
    clock,
    random,
    sleep,
    events: accessEventsTo(log, counts),
  })
}

function accessEventsTo(log: Log, counts: FollowCounts): AccessEvents {
  return {
    adopted: (edition, tokens) => {
      log.info({ edition, tokens }, 'tokens of the origin have changed')
    },
    failed: (error, retryMs) => {
      counts.failed += 1
      log.warn({ err: error, retryMs }, 'following the tokens failed and will be tried again')
    },
  }
}

function relayBy(relay: OriginRelay): Relay {
  return async (request, reply) => {
    const isAnswered = await relay.answer(request.raw, reply.raw)
    if (isAnswered) reply.hijack()
    return isAnswered
  }
}

const NEVER = new AbortController().signal

/** Waits until this node has what was written through it, for a while. */
async function caughtUp(
  node: Node,
  { head }: Pick<Depot, 'head'>,
  generation: string,
  clock: Pick<Clock, 'monotonic'>,
): Promise<void> {
  const [gid = '', state] = generation.split(';')
  // Of a stage: nothing of it comes here before it is committed.
  if (state !== undefined) return
  const wanted = Number(/^g(\d+)\./.exec(gid)?.[1] ?? Number.NaN)
  const ends = clock.monotonic() + CATCH_UP_MS
  for (;;) {
    const left = ends - clock.monotonic()
    const has = head.isThere() ? partsOf(head.now().gid).number : -1
    if (!(has < wanted) || left <= 0) return
    await node.changed(left, NEVER)
  }
}

/** The same request at another node, unless it was sent here by one. */
function elsewhereOf(peers: readonly string[], url: string, random: Random): string | undefined {
  const mark = url.indexOf('?')
  const path = mark === -1 ? url : url.slice(0, mark)
  const query = mark === -1 ? '' : url.slice(mark + 1)
  if (peers.length === 0 || new URLSearchParams(query).has(SENT_ON)) return undefined
  const [chance = 0] = random.bytes(1)
  const peer = peers[chance % peers.length] ?? ''
  return `${peer.replace(/\/+$/, '')}${path}?${query === '' ? '' : `${query}&`}${SENT_ON}=1`
}

/** Where it runs, in letters that an id may have. */
function idOf({ listen }: Config): string {
  return parseNodeId(`${hostname()}-${listen.port}`.toLowerCase().replaceAll(/[^a-z0-9._-]/g, '-'))
}
