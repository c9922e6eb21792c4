/**
 * An origin of the simulation: its machine drives the coordinator of `src/depot/activation/`, and does nothing itself.
 */
import { startCoordinator, stepCoordinator } from '../../src/depot/activation/coordinator.ts'
import type {
  CoordinatorEffect,
  CoordinatorEvent,
  CoordinatorStep,
} from '../../src/depot/activation/coordinator-events.ts'
import {
  type CoordinatorRow,
  type CoordinatorSettings,
  type CoordinatorState,
  isFenced,
  restoreCoordinator,
} from '../../src/depot/activation/coordinator-state.ts'
import type { Report, Word } from '../../src/depot/activation/words.ts'
import { planFor } from '../../src/depot/gate.ts'
import type { Gid } from '../../src/model/generation.ts'
import { type Answering, gidAt, Holds, numberAt, ORIGIN, type Shared } from './cluster.ts'
import type { Reading } from './judge.ts'
import type { Machine, Process } from './machine.ts'

interface OriginProcess extends Process {
  state: CoordinatorState
  wakeMs: number
  readonly holds: Holds
}

export interface OriginParts extends Shared {
  readonly machine: Machine
  readonly settings: CoordinatorSettings
  /** To the process of a voter that runs now, whoever it was meant for. */
  readonly deliver: (node: string, word: Word) => void
  readonly onEnd: (gid: Gid, isActive: boolean) => void
}

const ENTRY = { kind: 'entry', floor: 'none' } as const

export class OriginNode implements Answering {
  readonly machine: Machine
  readonly #parts: OriginParts
  #process: OriginProcess | undefined

  constructor(parts: OriginParts) {
    this.#parts = parts
    this.machine = parts.machine
    this.machine.durable.set('head', gidAt(0))
    this.machine.isLying = parts.mutation?.isUnflushed === true
  }

  /** The number of the newest generation that it cannot lose any more. */
  newestDurable(): number {
    return numberAt(this.machine.durable.get('head') as Gid)
  }

  start(): void {
    const { judge, settings, world, mutation } = this.#parts
    judge.recovered()
    const head = this.machine.durable.get('head') as Gid
    const stored = (this.machine.durable.get('row') ?? null) as CoordinatorRow | null
    const row = stored === null ? null : (mutation?.recovered?.(stored) ?? stored)
    if (world.isTraced) world.tell(ORIGIN, `starts at g${numberAt(head)}, term ${(row?.term ?? 0) + 1}`)
    const state = restoreCoordinator(settings, { head, row }, this.machine.monotonicMs())
    const process = { isAlive: true, state, wakeMs: Number.POSITIVE_INFINITY, holds: new Holds(world) }
    this.#process = process
    this.machine.process = process
    this.#carryOut(process, startCoordinator(state))
  }

  tell(event: CoordinatorEvent): void {
    const process = this.#running()
    if (process !== undefined) this.machine.do(process, () => this.#step(process, event))
  }

  hear(report: Report): void {
    const process = this.#running()
    if (process === undefined) return
    this.machine.do(process, () => {
      const { phase } = process.state
      if (phase.kind === 'fencing' && report.fence === phase.fence.order)
        this.#parts.passed('ack-heard', ORIGIN)
      this.#step(process, { kind: 'report', report })
    })
  }

  /** What is under way; null when nothing is, undefined when this origin does not run. */
  busyWith(): string | null | undefined {
    const process = this.#running()
    if (process === undefined) return undefined
    return process.state.phase.kind === 'idle' && process.state.queue.length === 0
      ? null
      : process.state.phase.kind
  }

  read(reading: Reading): void {
    const process = this.#running()
    if (process !== undefined) this.machine.do(process, () => this.#answer(process, reading))
  }

  #running(): OriginProcess | undefined {
    return this.#process?.isAlive === true ? this.#process : undefined
  }

  #answer(process: OriginProcess, reading: Reading): void {
    const { state, holds } = process
    const mode = isFenced(state) ? 'fenced' : 'fresh'
    const [step] = planFor(ENTRY, { mode, isDraining: false, whenCut: 'serve', isOrigin: true })
    if (step === 'serve') this.#parts.judge.end(reading, ORIGIN, numberAt(state.head))
    else if (step === 'hold') holds.hold(reading)
  }

  #step(process: OriginProcess, event: CoordinatorEvent): void {
    this.#carryOut(process, stepCoordinator(process.state, event, this.machine.monotonicMs()))
  }

  #carryOut(process: OriginProcess, { state, effects, wakeMs }: CoordinatorStep): void {
    const { world } = this.#parts
    if (world.isTraced && state.phase.kind !== process.state.phase.kind)
      world.tell(ORIGIN, `${process.state.phase.kind} -> ${state.phase.kind}`)
    process.state = state
    for (const effect of effects) this.#act(process, effect)
    if (wakeMs >= process.wakeMs || wakeMs === Number.POSITIVE_INFINITY) return
    process.wakeMs = wakeMs
    this.machine.at(process, wakeMs, () => {
      process.wakeMs = Number.POSITIVE_INFINITY
      this.#step(process, { kind: 'tick' })
    })
  }

  #act(process: OriginProcess, effect: CoordinatorEffect): void {
    const { world, judge, passed, onEnd } = this.#parts
    switch (effect.kind) {
      case 'send':
        this.#send(effect.to, effect.word)
        return
      case 'store':
        this.machine.write('row', effect.row, () => this.#step(process, { kind: 'stored', row: effect.row }))
        return
      case 'flip':
        if (world.isTraced) world.tell(ORIGIN, `writes g${numberAt(effect.gid)} as its head`)
        // Whoever is left in the state has acknowledged.
        judge.flipped(numberAt(effect.gid), new Set([...process.state.voters.keys()].map(nodeOf)))
        passed('flip-asked', ORIGIN)
        this.machine.write('head', effect.gid, () => {
          passed('flipped', ORIGIN)
          this.#step(process, { kind: 'flipped', gid: effect.gid })
        })
        return
      case 'active':
      case 'aborted':
        if (world.isTraced)
          world.tell(ORIGIN, `g${numberAt(effect.gid)} ${'reason' in effect ? effect.reason : 'is active'}`)
        if (effect.kind === 'active') judge.active(numberAt(effect.gid))
        onEnd(effect.gid, effect.kind === 'active')
        return
      case 'release':
        process.holds.release((reading) => this.#answer(process, reading))
    }
  }

  #send(to: string, word: Word): void {
    const { network, deliver, passed, world } = this.#parts
    const node = nodeOf(to)
    if (word.isLease) passed('lease-granted', node)
    if (world.isTraced && word.answers === null) world.tell(ORIGIN, `to ${node}: ${wordTold(word)}`)
    network.send(ORIGIN, node, () => {
      deliver(node, word)
    })
  }
}

export function wordTold({ order, head, fence, announced, answers, isLease }: Word): string {
  const parts = [
    `word ${order % 2 ** 32} of term ${Math.floor(order / 2 ** 32)}`,
    `head g${numberAt(head)}`,
    announced === null ? '' : `announces g${numberAt(announced)}`,
    fence === null ? '' : `FENCE for g${numberAt(fence.gid)}`,
    answers === null ? '' : `answers ${answers.sentMs.toFixed(1)}`,
    isLease ? 'with a lease' : '',
  ]
  return parts.filter((part) => part !== '').join(', ')
}

function nodeOf(voter: string): string {
  return voter.slice(0, voter.indexOf('/'))
}
