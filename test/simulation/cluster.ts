/**
 * What the nodes of one history share: the world, the network, who watches, and the ids of its generations.
 */
import type { ActivationMode } from '../../src/depot/activation/words.ts'
import type { Gid } from '../../src/model/generation.ts'
import type { Judge, Reading } from './judge.ts'
import type { Machine } from './machine.ts'
import type { Mutation } from './mutations.ts'
import type { Network } from './network.ts'
import type { World } from './world.ts'

export const ORIGIN = 'origin'
export const VOTERS = ['r1', 'r2', 'r3'] as const
export const CLIENTS = 'clients'

/** Moments of an activation at which something may be done to a node. */
export const STEPS = [
  'announced',
  'ready',
  'fence-heard',
  'marked',
  'ack-heard',
  'flip-asked',
  'flipped',
  'activate-heard',
  'adopted',
  'unfenced',
  'lease-granted',
] as const
export type StepName = (typeof STEPS)[number]

export interface Shared {
  readonly world: World
  readonly network: Network
  readonly judge: Judge
  readonly mode: ActivationMode
  readonly mutation: Mutation | undefined
  /** A node has come so far. */
  readonly passed: (step: StepName, node: string) => void
}

/** A node that is up or down, and answers reads. */
export interface Answering {
  readonly machine: Machine
  start(): void
  /** Nobody answers when it is down, refuses, or holds the request for too long. */
  read(reading: Reading): void
}

const MOST = 200
const GIDS = Array.from(
  { length: MOST },
  (_, number) => `g${number}.simulatedaaa.${number.toString(16).padStart(16, '0')}` as Gid,
)
const NUMBERS = new Map(GIDS.map((gid, number) => [gid, number]))

export function gidAt(number: number): Gid {
  const gid = GIDS[number]
  if (gid === undefined) throw new Error(`a history has at most ${MOST} generations`)
  return gid
}

export function numberAt(gid: Gid): number {
  return NUMBERS.get(gid)!
}

/** Held requests of a node. They end by themselves after a while, like any hold. */
export class Holds {
  readonly #world: World
  #held: { readonly reading: Reading; readonly untilMs: number }[] = []

  constructor(world: World) {
    this.#world = world
  }

  hold(reading: Reading): void {
    this.#held.push({ reading, untilMs: this.#world.now + 2_000 })
  }

  /** Lets all of them look again. */
  release(again: (reading: Reading) => void): void {
    const held = this.#held
    this.#held = []
    for (const { reading, untilMs } of held) if (untilMs > this.#world.now) again(reading)
  }
}
