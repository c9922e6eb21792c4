/**
 * One history: an origin and three voters, readers, a publisher and what is done to them, all of it from one seed. It
 * ends with everything healed; then what was begun must end, and every node be fresh (I20, I22).
 */
import type { CoordinatorSettings } from '../../src/depot/activation/coordinator-state.ts'
import { lapseMs } from '../../src/depot/activation/words.ts'
import type { Gid } from '../../src/model/generation.ts'
import { LIMITS } from '../../src/model/limits.ts'
import { Balancer } from './balancer.ts'
import { gidAt, numberAt, ORIGIN, type Shared, VOTERS } from './cluster.ts'
import { Judge, Violation } from './judge.ts'
import { Machine } from './machine.ts'
import type { Mutation } from './mutations.ts'
import { Nemeses } from './nemeses.ts'
import { CALM, Network, type Weather } from './network.ts'
import { OriginNode } from './origin-node.ts'
import { startReaders } from './readers.ts'
import { VoterNode } from './voter-node.ts'
import { type Trace, World } from './world.ts'

export interface Outcome {
  readonly seed: number
  readonly violation: Violation | undefined
  readonly settings: CoordinatorSettings
  readonly events: number
  readonly answers: number
  readonly activated: number
  readonly aborted: number
  /** True milliseconds of the longest activation that was not disturbed at its origin. */
  readonly longestMs: number
}

/** Beyond what the protocol bounds: a slow disk, a lost message and the way of both. */
const SLACK_MS = 4_000

export function simulate(seed: number, mutation?: Mutation, trace?: Trace): Outcome {
  const history = new History(seed, mutation, trace)
  return history.run()
}

class History {
  readonly #seed: number
  readonly #world: World
  readonly #settings: CoordinatorSettings
  readonly #network: Network
  readonly #judge: Judge
  readonly #origin: OriginNode
  readonly #voters: readonly VoterNode[]
  readonly #nemeses: Nemeses
  #pending: { readonly gid: Gid; readonly sinceMs: number; readonly by: object | undefined } | undefined
  #next = 1
  #activated = 0
  #aborted = 0
  #longestMs = 0

  constructor(seed: number, mutation: Mutation | undefined, trace: Trace | undefined) {
    this.#seed = seed
    const world = new World(seed, trace)
    this.#world = world
    this.#settings = settingsOf(world)
    this.#network = new Network(world, weatherOf(world))
    this.#judge = new Judge(world, () => this.#origin.newestDurable())
    const { mode } = this.#settings
    const shared: Shared = {
      world,
      network: this.#network,
      judge: this.#judge,
      mode,
      mutation,
      passed: (step, node) => this.#nemeses.passed(step, node),
    }
    this.#origin = new OriginNode({
      ...shared,
      machine: new Machine(ORIGIN, world),
      settings: this.#settings,
      deliver: (node, word) => this.#voters[VOTERS.indexOf(node as 'r1')]!.hear(word),
      onEnd: (gid, isActive) => this.#ended(gid, isActive),
    })
    this.#voters = VOTERS.map(
      (name) =>
        new VoterNode({
          ...shared,
          machine: new Machine(name, world),
          hear: (report) => this.#origin.hear(report),
          relay: (reading) => this.#network.send(name, ORIGIN, () => this.#origin.read(reading)),
        }),
    )
    this.#nemeses = new Nemeses({
      world,
      network: this.#network,
      origin: this.#origin,
      voters: this.#voters,
    })
    const balancer = mode === 'available' ? new Balancer(world, this.#network, this.#voters) : undefined
    startReaders({ ...shared, origin: this.#origin, voters: this.#voters, balancer })
  }

  run(): Outcome {
    const { whenSlow, mode } = this.#settings
    if (this.#world.isTraced) this.#world.tell('history', `${mode}, ${whenSlow} who is slow`)
    let events = 0
    let violation: Violation | undefined
    try {
      for (const node of [this.#origin, ...this.#voters]) node.start()
      this.#publish()
      this.#nemeses.start()
      while (this.#world.step(this.#nemeses.lengthMs)) events += 1
      this.#nemeses.end()
      this.#network.weather = CALM
      if (this.#world.isTraced) this.#world.tell('history', 'everything is healed')
      events += this.#settle()
    } catch (error) {
      if (!(error instanceof Violation)) throw error
      violation = error
      if (this.#world.isTraced) this.#world.tell('history', error.message)
    }
    return {
      seed: this.#seed,
      violation,
      settings: this.#settings,
      events,
      answers: this.#judge.answers,
      activated: this.#activated,
      aborted: this.#aborted,
      longestMs: this.#longestMs,
    }
  }

  /** Goes on until nothing is under way and every node is fresh, which takes so long at most (I20, I22). */
  #settle(): number {
    const { prepareMs } = this.#settings
    const untilMs = this.#world.now + prepareMs + lapseMs(this.#settings.mode) + LIMITS.retryMostMs + SLACK_MS
    let events = 0
    while (this.#world.now < untilMs) {
      const pauseEnds = this.#world.now + 100
      while (this.#world.step(pauseEnds)) events += 1
      const isFresh = this.#voters.every(
        (voter) => voter.mode() === 'fresh' && voter.head() === this.#origin.newestDurable(),
      )
      if (this.#pending === undefined && this.#origin.busyWith() === null && isFresh) return events
    }
    if (this.#pending !== undefined)
      throw new Violation(
        'I20',
        `g${numberAt(this.#pending.gid)} is neither active nor given up; the origin is ${this.#origin.busyWith()}`,
      )
    const modes = this.#voters.map((voter) => `${voter.machine.name} ${voter.mode()} at g${voter.head()}`)
    throw new Violation(
      'I22',
      `all is healed, and still ${modes.join(', ')}; the head is g${this.#origin.newestDurable()}`,
    )
  }

  /** One generation after the other. What a killed origin had begun is asked for again, or another one in its place. */
  #publish(): void {
    const world = this.#world
    world.after(world.between(5, 1_500), () => {
      this.#publish()
      const process = this.#origin.machine.process
      const isOpen = world.now < this.#nemeses.lengthMs
      if (this.#pending !== undefined) {
        if (this.#pending.by === process) this.#bound()
        else if (process !== undefined) this.#askAgain(isOpen)
        return
      }
      if (isOpen && process !== undefined) this.#ask(gidAt(this.#next))
    })
  }

  #ask(gid: Gid): void {
    const world = this.#world
    this.#next = numberAt(gid) + 1
    this.#pending = { gid, sinceMs: world.now, by: this.#origin.machine.process }
    if (world.isTraced) world.tell('publisher', `asks for g${numberAt(gid)}`)
    this.#origin.tell({ kind: 'activate', gid })
  }

  /** Its origin was killed: the outcome is what the head says. */
  #askAgain(isOpen: boolean): void {
    const pending = this.#pending
    this.#pending = undefined
    if (pending === undefined || numberAt(pending.gid) <= this.#origin.newestDurable() || !isOpen) return
    this.#ask(this.#world.isSo(0.7) ? pending.gid : gidAt(this.#next))
  }

  #ended(gid: Gid, isActive: boolean): void {
    if (isActive) this.#activated += 1
    else this.#aborted += 1
    if (this.#pending?.gid !== gid) return
    this.#bound()
    this.#pending = undefined
  }

  /**
   * I20: a voter that is slow or dead delays an activation by the time to get ready and by the end of a lease; others that
   * have their own troubles meanwhile each by the end of one more. Not counted are troubles of the origin itself.
   */
  #bound(): void {
    const pending = this.#pending
    const { whenSlow, prepareMs, mode } = this.#settings
    if (pending === undefined || whenSlow === 'hold') return
    const { gid, sinceMs } = pending
    if (this.#nemeses.wasTroubled(ORIGIN, sinceMs)) return
    const lapse = lapseMs(mode)
    const troubled = VOTERS.filter((name) => this.#nemeses.wasTroubled(name, sinceMs - lapse)).length
    const most = prepareMs + Math.max(1, troubled) * lapse + SLACK_MS
    const took = this.#world.now - sinceMs
    if (took > most)
      throw new Violation(
        'I20',
        `g${numberAt(gid)} takes ${took.toFixed(0)} of at most ${most.toFixed(0)} ms, while ${troubled} voters had troubles`,
      )
    this.#longestMs = Math.max(this.#longestMs, took)
  }
}

function settingsOf(world: World): CoordinatorSettings {
  const mode = world.isSo(0.5) ? 'strict' : 'available'
  const whenSlow = world.isSo(0.8) ? 'expel' : world.isSo(0.5) ? 'hold' : 'abort'
  return { mode, whenSlow, prepareMs: world.between(1_000, 5_000) }
}

function weatherOf(world: World): Weather {
  return world.chance.pick<Weather>([
    CALM,
    { lost: 0.02, doubled: 0.02, late: 0.02, lateMs: 300 },
    { lost: 0.15, doubled: 0.1, late: 0.1, lateMs: 1_500 },
    { lost: 0.02, doubled: 0.05, late: 0.1, lateMs: 5_500 },
  ])
}
