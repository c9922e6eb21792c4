/**
 * Clients that send no header and read what changes with the head, all the time and from everywhere: behind the two tiers
 * of a balancer in `available`, from any node in `strict`.
 */
import type { Balancer } from './balancer.ts'
import { type Answering, CLIENTS, type Shared } from './cluster.ts'
import type { OriginNode } from './origin-node.ts'

export interface ReaderParts extends Shared {
  readonly origin: OriginNode
  readonly voters: readonly Answering[]
  /** Undefined in `strict`: there each node is as good as any. */
  readonly balancer: Balancer | undefined
}

/** Between two reads, at most; many come together. */
const PAUSE_MS = 30
/** What a request takes to its node: where leases are all there is, as long as it likes. */
const WAY_MS = 3
const LONG_WAY_MS = 3_000

export function startReaders(parts: ReaderParts): void {
  const { world } = parts
  const read = (): void => {
    world.after(world.between(0, PAUSE_MS), read)
    readOnce(parts)
    if (world.chance.once(4)) for (let more = 0; more < 3; more += 1) readOnce(parts)
  }
  read()
}

function readOnce({ world, network, judge, origin, voters, balancer }: ReaderParts): void {
  const chosen = balancer?.choose()
  if (balancer !== undefined && chosen === undefined) return
  const node = chosen?.voter ?? (world.chance.once(12) ? origin : world.chance.pick(voters))
  const reading = judge.begin(chosen?.isLax === true)
  const { name } = node.machine
  if (network.isCut(CLIENTS, name)) return
  const isLong = balancer === undefined && world.chance.once(20)
  world.after(world.between(0.05, isLong ? LONG_WAY_MS : WAY_MS), () => {
    node.read(reading)
  })
}
