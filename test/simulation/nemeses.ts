/**
 * What is done to a cluster: nodes are killed, stopped, suspended, cut off one way or both ways, their clocks are set, their
 * disks are slow, and they cannot copy. At any moment, or just when an activation has come to a certain step.
 */
import { type Answering, CLIENTS, ORIGIN, STEPS, type StepName, VOTERS } from './cluster.ts'
import type { Network } from './network.ts'
import type { VoterNode } from './voter-node.ts'
import type { World } from './world.ts'

export interface NemesisParts {
  readonly world: World
  readonly network: Network
  readonly origin: Answering
  readonly voters: readonly VoterNode[]
}

/** `needsMs` is what it takes from its beginning until something may be seen of it. */
interface Story {
  readonly needsMs: number
  readonly happen: () => void
}

interface Armed {
  readonly step: StepName
  readonly node: string
  count: number
  readonly happen: () => void
  readonly isAtOnce: boolean
}

type Deed = (victim: Answering) => void

export class Nemeses {
  readonly #parts: NemesisParts
  #armed: Armed[] = []
  #isOver = false
  /** Until when something was done to a node, by its name. */
  readonly #troubled = new Map<string, number>()
  readonly #deeds: readonly Deed[]
  readonly #story: Story | undefined
  /** How long the history is: until then something is done. */
  readonly lengthMs: number

  constructor(parts: NemesisParts) {
    this.#parts = parts
    const { world } = parts
    this.#deeds = [
      (victim) => this.#kill(victim),
      (victim) => this.#kill(victim),
      (victim) => this.#cut(victim),
      (victim) => this.#cut(victim),
      (victim) => this.#cutOneWay(victim),
      (victim) => this.#stop(victim, false),
      (victim) => this.#stop(victim, true),
      (victim) => this.#stop(victim, true, world.between(200, 1_000)),
      (victim) => this.#deafen(victim),
      (victim) => this.#setWall(victim),
      (victim) => this.#slowDisk(victim),
      (victim) => this.#stick(victim),
      (victim) => this.#cutFromClients(victim),
    ]
    this.#story = world.chance.pick([...this.#stories(), undefined])
    const usualMs = world.isSo(0.85) ? world.between(6_000, 13_000) : world.between(14_000, 30_000)
    this.lengthMs = Math.max(usualMs, (this.#story?.needsMs ?? 0) + world.between(1_000, 3_000))
  }

  start(): void {
    const { lengthMs } = this
    const { world } = this.#parts
    const count = 2 + world.chance.below(7)
    for (let at = 0; at < count; at += 1) {
      const deeds = this.#plan()
      const startMs = world.between(0, lengthMs)
      if (world.chance.once(3)) world.after(startMs, deeds)
      else world.after(startMs, () => this.#arm(deeds))
    }
    const story = this.#story
    if (story !== undefined) world.after(world.between(500, lengthMs - story.needsMs), story.happen)
  }

  /** A node has come to a step of an activation. */
  passed(step: StepName, node: string): void {
    const { world } = this.#parts
    for (const armed of this.#armed) {
      if (armed.step !== step || armed.node !== node) continue
      armed.count -= 1
      if (armed.count > 0) continue
      this.#armed = this.#armed.filter((one) => one !== armed)
      const laterMs = armed.isAtOnce || world.isSo(0.5) ? 0 : world.between(0, world.isSo(0.7) ? 5 : 400)
      world.after(laterMs, armed.happen)
    }
  }

  /** Whether anything was done to this node, or to its way to the origin, after that moment. */
  wasTroubled(name: string, sinceMs: number): boolean {
    return (this.#troubled.get(name) ?? -1) >= sinceMs
  }

  /** Everything is as it should be from now on. */
  end(): void {
    const { origin, voters, network } = this.#parts
    this.#isOver = true
    this.#armed = []
    network.healAll()
    for (const node of [origin, ...voters]) {
      node.machine.diskMs = [0.2, 4]
      node.machine.goOn()
      if (node.machine.process === undefined) node.start()
    }
    for (const voter of voters) voter.unstick()
  }

  /** One misfortune, or a second one soon after, mostly of the same node. */
  #plan(): () => void {
    const { world } = this.#parts
    const victim = this.#anyone()
    const first = this.#one(victim)
    const second = world.chance.once(2) ? this.#one(world.isSo(0.6) ? victim : this.#anyone()) : undefined
    return () => {
      first()
      if (second !== undefined) world.after(world.between(0, world.isSo(0.5) ? 10 : 5_000), second)
    }
  }

  #anyone(): Answering {
    const { world, origin, voters } = this.#parts
    return world.isSo(0.3) ? origin : world.chance.pick(voters)
  }

  #one(victim: Answering): () => void {
    const deed = this.#parts.world.chance.pick(this.#deeds)
    return () => {
      if (!this.#isOver) deed(victim)
    }
  }

  /** What takes more than two misfortunes at their moments to go wrong, and so hardly ever comes by chance. */
  #stories(): readonly Story[] {
    const { world, voters } = this.#parts
    const victim = world.chance.pick(voters)
    const other = voters[(voters.indexOf(victim) + 1) % voters.length]!
    return [
      { needsMs: 16_000, happen: () => this.#blackout(victim) },
      { needsMs: 8_000, happen: () => this.#doze(victim) },
      { needsMs: 9_000, happen: () => this.#slowMail(victim) },
      { needsMs: 13_000, happen: () => this.#halfDeaf(victim, other) },
    ]
  }

  /** It acknowledges a fence and starts again; the origin activates, and is gone before that one has heard of it. */
  #blackout(victim: Answering): void {
    const { world } = this.#parts
    const step = world.chance.pick(['fence-heard', 'marked'] as const)
    this.#armAt(step, victim.machine.name, 0, () => {
      this.#kill(victim, world.between(5, 300))
      this.#armAt('flipped', ORIGIN, world.between(0, 8), () => {
        this.#kill(this.#parts.origin, world.between(12_000, 20_000))
      })
    })
  }

  /** Cut off with a lease, it is suspended for less than what its clocks tell. */
  #doze(victim: Answering): void {
    const { world } = this.#parts
    this.#cutLink(victim.machine.name, ORIGIN, true, world.between(7_000, 12_000))
    world.after(world.between(0, 4_500), () => this.#stop(victim, true, world.between(400, 1_000)))
  }

  /** The words to it take long, and then there are no more. */
  #slowMail({ machine: { name } }: Answering): void {
    const { world, network } = this.#parts
    if (world.isTraced) world.tell('network', `${ORIGIN} to ${name} is slow`)
    const forMs = world.between(1_000, 6_000)
    this.#trouble(name, forMs)
    network.delay(ORIGIN, name, world.between(400, 3_000))
    world.after(forMs, () => {
      network.delay(ORIGIN, name, 0)
      this.#cutLink(ORIGIN, name, true, world.between(6_000, 12_000))
    })
  }

  /** One does not hear the origin, so that no fence closes; another is not heard any more while it is fenced. */
  #halfDeaf(victim: Answering, other: Answering): void {
    const { world } = this.#parts
    this.#armAt('ready', victim.machine.name, 0, () => {
      this.#cutLink(ORIGIN, victim.machine.name, false, world.between(9_000, 20_000))
    })
    this.#armAt('fence-heard', other.machine.name, world.between(1_000, 5_000), () => {
      this.#cutLink(other.machine.name, ORIGIN, false, world.between(9_000, 20_000))
    })
  }

  #armAt(step: StepName, node: string, delayMs: number, deed: () => void): void {
    const { world } = this.#parts
    const happen = (): void => {
      if (!this.#isOver) deed()
    }
    this.#armed.push({
      step,
      node,
      count: 1,
      happen: () => (delayMs === 0 ? happen() : world.after(delayMs, happen)),
      isAtOnce: true,
    })
  }

  #arm(happen: () => void): void {
    const { chance } = this.#parts.world
    const step = chance.pick(STEPS)
    const isOfOrigin = step === 'ack-heard' || step === 'flip-asked' || step === 'flipped'
    const node = isOfOrigin ? ORIGIN : chance.pick(VOTERS)
    this.#armed.push({ step, node, count: 1 + chance.below(3), happen, isAtOnce: false })
  }

  /** How long something lasts: a blink, a while, or longer than a lease. */
  #lasting(): number {
    const { world } = this.#parts
    return world.chance.pick([
      () => world.between(5, 1_100),
      () => world.between(1_000, 6_000),
      () => world.between(5_000, 16_000),
    ])()
  }

  #trouble(name: string, forMs: number): void {
    const until = this.#parts.world.now + forMs
    if (until > (this.#troubled.get(name) ?? -1)) this.#troubled.set(name, until)
  }

  #kill(victim: Answering, downMs?: number): void {
    const { world } = this.#parts
    const { machine } = victim
    if (this.#isOver || machine.process === undefined) return
    if (world.isTraced) world.tell(machine.name, 'is killed')
    machine.kill()
    const soonMs = world.isSo(0.6) ? world.between(10, 500) : this.#lasting()
    this.#trouble(machine.name, downMs ?? soonMs)
    world.after(downMs ?? soonMs, () => {
      if (machine.process === undefined) victim.start()
    })
  }

  #cut(victim: Answering): void {
    const far = this.#farFrom(victim)
    this.#cutLink(victim.machine.name, far, true)
  }

  #cutOneWay(victim: Answering): void {
    const { name } = victim.machine
    const far = this.#farFrom(victim)
    if (this.#parts.world.isSo(0.5)) this.#cutLink(name, far, false)
    else this.#cutLink(far, name, false)
  }

  /** It is heard, and does not hear: for long. */
  #deafen({ machine }: Answering): void {
    if (machine.name !== ORIGIN)
      this.#cutLink(ORIGIN, machine.name, false, this.#parts.world.between(5_000, 40_000))
  }

  #cutFromClients(victim: Answering): void {
    this.#cutLink(CLIENTS, victim.machine.name, false)
  }

  #farFrom({ machine }: Answering): string {
    return machine.name === ORIGIN ? this.#parts.world.chance.pick(VOTERS) : ORIGIN
  }

  #cutLink(from: string, to: string, isBoth: boolean, forMs: number = this.#lasting()): void {
    const { world, network } = this.#parts
    if (world.isTraced) world.tell('network', `${from} ${isBoth ? 'and' : 'to'} ${to} is cut`)
    network.cut(from, to)
    if (isBoth) network.cut(to, from)
    for (const end of [from, to]) if (end !== ORIGIN) this.#trouble(end, forMs)
    world.after(forMs, () => {
      if (world.isTraced) world.tell('network', `${from} ${isBoth ? 'and' : 'to'} ${to} is healed`)
      network.heal(from, to)
      if (isBoth) network.heal(to, from)
    })
  }

  #stop({ machine }: Answering, isSuspended: boolean, forMs: number = this.#lasting()): void {
    const { world } = this.#parts
    if (!machine.isRunning) return
    if (world.isTraced)
      world.tell(machine.name, `is ${isSuspended ? 'suspended' : 'stopped'} for ${forMs.toFixed(0)} ms`)
    machine.stop(isSuspended)
    this.#trouble(machine.name, forMs)
    world.after(forMs, () => machine.goOn())
  }

  #setWall({ machine }: Answering): void {
    const { world } = this.#parts
    const byMs = (world.isSo(0.5) ? 1 : -1) * world.between(1, world.isSo(0.5) ? 2_000 : 100_000)
    if (world.isTraced) world.tell(machine.name, `has its wall clock set by ${byMs.toFixed(0)} ms`)
    machine.setWall(byMs)
  }

  #slowDisk({ machine }: Answering): void {
    const { world } = this.#parts
    if (world.isTraced) world.tell(machine.name, 'has a slow disk')
    machine.diskMs = [20, 1_500]
    const forMs = this.#lasting()
    this.#trouble(machine.name, forMs + 5_000)
    world.after(forMs, () => {
      machine.diskMs = [0.2, 4]
    })
  }

  #stick(victim: Answering): void {
    const { world, voters } = this.#parts
    const voter = voters.find((one) => one === victim)
    if (voter === undefined) return
    if (world.isTraced) world.tell(voter.machine.name, 'can copy nothing')
    voter.isStuck = true
    const forMs = this.#lasting()
    this.#trouble(voter.machine.name, forMs)
    world.after(forMs, () => voter.unstick())
  }
}
