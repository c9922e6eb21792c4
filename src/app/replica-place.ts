/**
 * The place of a replica: it follows an upstream, tells the origin how it is, and has other nodes answer what it cannot.
 */
import { hostname } from 'node:os'
import type { Relay } from '../http/gate/gate.ts'
import { LIMITS } from '../model/limits.ts'
import type { Log } from '../model/world.ts'
import { Follower, type FollowerEvents } from '../replica/follow.ts'
import { AccessFollower } from '../replica/follow-access.ts'
import { HttpUpstream } from '../replica/http-upstream.ts'
import { type KeyEvents, KeyFollower } from '../replica/keys/follow-keys.ts'
import { UpstreamTrust } from '../replica/keys/trust.ts'
import { askForOrigin, OriginAddress } from '../replica/origin-address.ts'
import { accessAfter, keysAfter, sendHeartbeat, sendLeave } from '../replica/origin-calls.ts'
import { Pulls } from '../replica/relay/pulls.ts'
import { NodeRelay } from '../replica/relay/relay.ts'
import { ReplicaNode } from '../replica/replica-node.ts'
import { sleep } from '../replica/sleep.ts'
import { Caller } from '../wire/caller.ts'
import { parseNodeId } from '../wire/node-label.ts'
import { caughtUp } from './caught-up.ts'
import type { Config } from './config.ts'
import { elsewhereOf } from './elsewhere.ts'
import { accessEventsTo, eventsTo, keyEventsTo } from './follow-events.ts'
import { forksOf, NOT_HERE } from './lineage/of-replica.ts'
import { type FollowCounts, watchFollowing } from './node-gauges.ts'
import type { Place, PlaceParts } from './place.ts'

const INSTANCE_BYTES = 8
const NEVER = new AbortController().signal

/** Whom a replica has before it. */
interface Ahead {
  readonly upstream: HttpUpstream
  readonly caller: Caller
  readonly trust: UpstreamTrust
  readonly pulls: Pulls
  readonly origin: OriginAddress
}

/** A process of a node. */
interface Identity {
  readonly id: string
  readonly instance: string
}

export function replicaPlace(config: Config, parts: PlaceParts): Place {
  const { depot, random, log, metrics } = parts
  const counts: FollowCounts = { shown: 0, failed: 0 }
  const identity: Identity = {
    id: config.nodeId ?? idOf(config),
    instance: Buffer.from(random.bytes(INSTANCE_BYTES)).toString('hex'),
  }
  const ahead = aheadOf(config, parts)
  const { origin, pulls } = ahead
  const events = eventsTo(log, counts, () => {
    node.wake()
  })
  const follower = followerOf(ahead, parts, events)
  const node = nodeOf(config, parts, { ...identity, origin, follower })
  const access = accessFollowerOf(origin, parts, counts)
  const keys = keyFollowerOf(
    ahead,
    parts,
    keyEventsTo(log, counts, () => {
      node.wake()
    }),
  )
  // Where reading needs a token, the origin alone is asked: it is not told to whoever says that he is a node.
  const peers = (): readonly string[] => (config.reads === 'open' ? node.peers() : [])
  const relay = relayOf(parts, { ...ahead, ...identity, node, peers })
  watchFollowing(metrics, { standing: () => node.standing(), follower, ...depot, relay, counts })
  const ending = new AbortController()
  let running: Promise<unknown> | undefined
  return {
    face: {
      node: () => node.label(),
      standing: node,
      relay: relayBy(relay),
      elsewhere: (request) => elsewhereOf(request, node.peers(), random),
      whereOrigin: () => origin.told(),
      lineage: NOT_HERE,
    },
    prepare: async () => undefined,
    start: () => {
      const following = [follower, node, access, keys]
      running = Promise.all(following.map(async (one) => await one.run(ending.signal)))
    },
    release: () => {
      node.release()
    },
    [Symbol.asyncDispose]: async () => {
      ending.abort()
      await running
      await pulls.close()
      // Only now, when nobody is answered here any more (PROTOCOL §11).
      if (running !== undefined) await leave(origin, identity, log)
    },
  }
}

/** The node that is followed, and the origin behind it. */
function aheadOf(config: Config, parts: PlaceParts): Ahead {
  const url = config.upstream ?? ''
  const caller = callerOf(url, config, parts)
  const upstream = new HttpUpstream(caller)
  return {
    upstream,
    caller,
    trust: new UpstreamTrust({
      keys: parts.depot.keys,
      ask: async (signal) => await keysAfter(caller, undefined, 0, signal),
      given: config.upstreamKey,
      clock: parts.clock,
    }),
    pulls: new Pulls({ ...parts.store, upstream, clock: parts.clock, sleep }),
    origin: new OriginAddress({
      upstream: url,
      ask: async (signal) => await askForOrigin(caller, signal),
      callerOf: (at) => callerOf(at, config, parts),
    }),
  }
}

function callerOf(url: string, config: Config, { clock, random }: PlaceParts): Caller {
  return new Caller({
    url,
    clock: { ...clock, sleep: async (ms, signal) => await sleep(ms, signal ?? NEVER) },
    random,
    ...(config.upstreamToken === undefined ? {} : { token: config.upstreamToken }),
    bounds: { patience: LIMITS.leaseMs, firstPatience: LIMITS.leaseMs },
  })
}

function followerOf(ahead: Ahead, parts: PlaceParts, events: FollowerEvents): Follower {
  const { upstream, trust, pulls, origin } = ahead
  const { depot, store } = parts
  const { generations } = depot.ledger
  return new Follower({
    ...parts,
    ...store,
    ...depot,
    upstream,
    trust,
    pulls,
    isUpstreamOrigin: () => origin.isUpstream(),
    generations,
    sleep,
    events,
  })
}

function nodeOf(
  { whenCut, publicUrl }: Config,
  { depot, clock, log, isDraining }: PlaceParts,
  own: Identity & { readonly origin: OriginAddress; readonly follower: Follower },
): ReplicaNode {
  const { id, instance, origin, follower } = own
  return new ReplicaNode({
    id,
    instance,
    head: depot.head,
    follower,
    heartbeat: async (report, signal) => {
      const told = { ...report, ...forksOf(depot.generations.lineages()) }
      return await origin.reach(async (atOrigin) => await sendHeartbeat(atOrigin, id, told, signal), signal)
    },
    clock,
    sleep,
    log,
    isDraining,
    whenCut,
    ...(publicUrl === undefined ? {} : { publicUrl }),
  })
}

/** Who may do what is the origin's to say, whoever the upstream is. */
function accessFollowerOf(
  origin: OriginAddress,
  { depot, clock, random, log }: PlaceParts,
  counts: FollowCounts,
): AccessFollower {
  return new AccessFollower({
    access: depot.access,
    changeAfter: async (edition, waitMs, signal) =>
      await origin.reach(async (atOrigin) => await accessAfter(atOrigin, edition, waitMs, signal), signal),
    clock,
    random,
    sleep,
    events: accessEventsTo(log, counts),
  })
}

/** The upstream is asked, whoever it is: what keys say of each other is proof enough. */
function keyFollowerOf(
  { upstream, caller, trust }: Ahead,
  { depot, clock, random }: PlaceParts,
  events: KeyEvents,
): KeyFollower {
  return new KeyFollower({
    trust,
    keysAfter: async (edition, waitMs, signal) => await keysAfter(caller, edition, waitMs, signal),
    upstream,
    generations: depot.ledger.generations,
    head: depot.head,
    clock,
    random,
    sleep,
    events,
  })
}

function relayOf(
  { depot, store, clock, log }: PlaceParts,
  place: Pick<Ahead, 'origin' | 'pulls'> &
    Pick<Identity, 'id'> & { readonly node: ReplicaNode; readonly peers: () => readonly string[] },
): NodeRelay {
  const { id, origin, pulls, node, peers } = place
  const { head } = depot
  const isReleased = (): boolean => node.isReleased()
  return new NodeRelay({
    origin: () => origin.now(),
    peers,
    id,
    pulls,
    pool: store.pool,
    log,
    onWritten: async (generation) => await caughtUp({ node, head, clock, isReleased }, generation),
  })
}

function relayBy(relay: NodeRelay): Relay {
  return async (request, reply, wish) => {
    const isAnswered = await relay.answer(request.raw, reply.raw, wish)
    if (isAnswered) reply.hijack()
    return isAnswered
  }
}

/** An origin that does not hear of it forgets this node by and by. */
async function leave(origin: OriginAddress, { id, instance }: Identity, log: Log): Promise<void> {
  const signal = AbortSignal.timeout(LIMITS.heartbeatMs)
  try {
    await origin.reach(async (atOrigin) => await sendLeave(atOrigin, id, { instance }, signal), signal)
  } catch (error) {
    log.warn({ err: error }, 'the origin was not told that this node has left')
  }
}

/** Where it runs, in letters that an id may have. */
function idOf({ listen }: Config): string {
  return parseNodeId(`${hostname()}-${listen.port}`.toLowerCase().replaceAll(/[^a-z0-9._-]/g, '-'))
}
