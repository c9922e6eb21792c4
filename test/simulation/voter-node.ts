/**
 * A replica of the simulation: its machine drives the voter of `src/depot/activation/`, asks the gate what to do with a
 * read, and copies what it is told to, in a while.
 */
import { stepVoter, type VoterEffect, type VoterEvent } from '../../src/depot/activation/voter.ts'
import {
  isReady,
  isSilent,
  modeOf,
  restoreVoter,
  type VoterNow,
  type VoterState,
} from '../../src/depot/activation/voter-state.ts'
import type { Fence, Report, Word } from '../../src/depot/activation/words.ts'
import { type NodeMode, type NodeState, planFor } from '../../src/depot/gate.ts'
import type { Gid } from '../../src/model/generation.ts'
import { type Answering, gidAt, Holds, numberAt, ORIGIN, type Shared } from './cluster.ts'
import type { Reading } from './judge.ts'
import type { Machine, Process } from './machine.ts'
import { wordTold } from './origin-node.ts'

interface VoterProcess extends Process {
  state: VoterState
  wakeMs: number
  copying: Gid | null
  /** Only with a mutation: what it says that it has marked. */
  pretends: number | null
  readonly holds: Holds
}

export interface VoterParts extends Shared {
  readonly machine: Machine
  /** Reports to the origin, and reads that it is to answer. */
  readonly hear: (report: Report) => void
  readonly relay: (reading: Reading) => void
}

const ENTRY = { kind: 'entry', floor: 'none' } as const

export class VoterNode implements Answering {
  readonly machine: Machine
  /** Whether it cannot copy anything. */
  isStuck = false
  readonly #parts: VoterParts
  readonly #whenCut: NodeState['whenCut']
  #process: VoterProcess | undefined
  #starts = 0
  /** Only with a mutation: how far its clocks were apart. */
  #offsetMs: number | undefined

  constructor(parts: VoterParts) {
    this.#parts = parts
    this.machine = parts.machine
    this.machine.durable.set('head', gidAt(0))
    this.#whenCut = parts.mode === 'strict' ? 'refuse' : 'serve'
  }

  start(): void {
    const { mutation, world } = this.#parts
    this.#starts += 1
    const { name, durable } = this.machine
    const head = durable.get('head') as Gid
    const stored = (durable.get('mark') ?? null) as Fence | null
    const mark = mutation?.restored === undefined ? stored : mutation.restored(stored)
    if (world.isTraced)
      world.tell(
        name,
        `starts at g${numberAt(head)}${mark === null ? '' : `, marked for g${numberAt(mark.gid)}`}`,
      )
    const settings = { node: name, instance: `${name}.${this.#starts}`, whenCut: this.#whenCut }
    const process: VoterProcess = {
      isAlive: true,
      state: restoreVoter(settings, { head, mark }, this.#now()),
      wakeMs: Number.POSITIVE_INFINITY,
      copying: null,
      pretends: null,
      holds: new Holds(world),
    }
    this.#process = process
    this.machine.process = process
    this.#step(process, { kind: 'tick' })
  }

  hear(word: Word): void {
    const process = this.#running()
    if (process !== undefined) this.machine.do(process, () => this.#heard(process, word))
  }

  read(reading: Reading): void {
    const process = this.#running()
    if (process !== undefined) this.machine.do(process, () => this.#answer(process, reading))
  }

  /** `/readyz`, and `/servez` for those who take any. */
  isReady(isEnough: boolean): boolean {
    const process = this.#running()
    if (process === undefined || !this.machine.isRunning) return false
    const [state, now] = this.#seen(process)
    if (isReady(state, now)) return true
    return isEnough && this.#whenCut === 'serve' && modeOf(state, now) !== 'boot' && isSilent(state, now)
  }

  head(): number {
    return numberAt(this.machine.durable.get('head') as Gid)
  }

  mode(): NodeMode | undefined {
    const process = this.#running()
    return process && modeOf(...this.#seen(process))
  }

  /** After it could copy nothing for a while. */
  unstick(): void {
    this.isStuck = false
    const process = this.#running()
    const gid = process?.copying
    if (process !== undefined && gid !== null && gid !== undefined) this.#copy(process, gid)
  }

  #running(): VoterProcess | undefined {
    return this.#process?.isAlive === true ? this.#process : undefined
  }

  #now(): VoterNow {
    const now = { monotonicMs: this.machine.monotonicMs(), wallMs: this.machine.wallMs() }
    const clocks = this.#parts.mutation?.clocks
    if (clocks === undefined) return now
    const shown = clocks(now, this.#offsetMs ?? now.wallMs - now.monotonicMs)
    this.#offsetMs = shown.wallMs - shown.monotonicMs
    return shown
  }

  #seen({ state }: VoterProcess): readonly [VoterState, VoterNow] {
    const now = this.#now()
    return [this.#parts.mutation?.seen?.(state, now) ?? state, now]
  }

  /** One turn of the event loop: nothing comes between what the gate decides by and the head that is answered. */
  #answer(process: VoterProcess, reading: Reading): void {
    const { judge, relay, world } = this.#parts
    const [state, now] = this.#seen(process)
    const mode = modeOf(state, now)
    const [step] = planFor(ENTRY, { mode, isDraining: false, whenCut: this.#whenCut, isOrigin: false })
    if (step === 'serve' && state.head !== null) {
      if (world.isTraced && numberAt(state.head) < Math.max(reading.seen, reading.active))
        world.tell(this.machine.name, `answers g${numberAt(state.head)} as it is ${mode}`)
      judge.end(reading, this.machine.name, numberAt(state.head))
    } else if (step === 'hold') process.holds.hold(reading)
    else if (step === 'relay-origin') relay(reading)
  }

  #heard(process: VoterProcess, word: Word): void {
    const { mutation, passed, world } = this.#parts
    const { name } = this.machine
    if (world.isTraced) world.tell(name, `hears ${wordTold(word)}`)
    if (word.fence !== null) passed('fence-heard', name)
    else if (process.state.fence !== null)
      passed(word.head === process.state.head ? 'unfenced' : 'activate-heard', name)
    if (word.announced !== null && word.announced !== process.state.wanted) passed('announced', name)
    const changed = mutation?.heard?.(word, process.state, this.#now()) ?? word
    const isNews = word.fence !== null && word.fence.order !== process.state.fence?.order
    if (mutation?.isUnfenced !== true || word.fence === null) {
      this.#step(process, { kind: 'word', word: changed })
      if (isNews && mutation?.isHasty === true) this.#reportNow(process)
      return
    }
    const isAgain = process.pretends === word.fence.order
    process.pretends = word.fence.order
    this.#step(process, { kind: 'word', word: { ...changed, fence: null } })
    if (!isAgain) this.#reportNow(process)
  }

  /** Only with a mutation. */
  #reportNow(process: VoterProcess): void {
    process.state = { ...process.state, reportedMs: Number.NEGATIVE_INFINITY }
    this.#step(process, { kind: 'tick' })
  }

  #step(process: VoterProcess, event: VoterEvent): void {
    const { state, effects, wakeMs } = stepVoter(process.state, event, this.#now())
    process.state = state
    for (const effect of effects) this.#act(process, effect)
    if (wakeMs >= process.wakeMs) return
    process.wakeMs = wakeMs
    this.machine.at(process, wakeMs, () => {
      process.wakeMs = Number.POSITIVE_INFINITY
      this.#step(process, { kind: 'tick' })
    })
  }

  #act(process: VoterProcess, effect: VoterEffect): void {
    const { network, hear, passed, mutation } = this.#parts
    const { name } = this.machine
    switch (effect.kind) {
      case 'report': {
        const hasty = mutation?.isHasty === true ? process.state.fence?.order : undefined
        const fence = hasty ?? process.pretends ?? effect.report.fence
        network.send(name, ORIGIN, () => {
          hear({ ...effect.report, fence })
        })
        return
      }
      case 'mark':
        this.machine.write('mark', effect.mark, () => {
          passed('marked', name)
          this.#step(process, { kind: 'marked', mark: effect.mark })
        })
        return
      case 'copy':
        process.copying = effect.gid
        this.#copy(process, effect.gid)
        return
      case 'adopt':
        this.machine.write('head', effect.gid, () => {
          passed('adopted', name)
          this.#step(process, { kind: 'adopted', gid: effect.gid })
        })
        return
      case 'release':
        process.holds.release((reading) => this.#answer(process, reading))
    }
  }

  #copy(process: VoterProcess, gid: Gid): void {
    const { world, passed } = this.#parts
    if (this.isStuck) return
    world.after(world.between(2, 150), () =>
      this.machine.do(process, () => {
        if (process.copying !== gid || this.isStuck) return
        process.copying = null
        passed('ready', this.machine.name)
        this.#step(process, { kind: 'copied', gid })
      }),
    )
  }
}
