/**
 * A machine that a node runs on: two clocks that go as they like, a disk on which a write is durable later or never, and
 * a process that is killed, stopped or suspended at any moment.
 */
import type { World } from './world.ts'

/** 2026-11-22, about. */
const EPOCH_MS = 1_795_000_000_000
/** Two clocks that are both off by so much differ by less than the 5 % of the protocol. */
const MOST_DRIFT = 0.024
/**
 * What no rule can tell, and so is not done here: a machine that stands still while its wall clock is set back by as much,
 * before its process has looked at its clocks once.
 */
const UNSEEN_MS = 1_500

export interface Process {
  isAlive: boolean
}

interface Write {
  readonly key: string
  readonly value: unknown
  readonly by: Process
  readonly written: () => void
}

export class Machine {
  readonly name: string
  readonly world: World
  process: Process | undefined
  /** What outlives the process. */
  readonly durable: Map<string, unknown> = new Map<string, unknown>()
  /** Milliseconds that a write takes, from and to. */
  diskMs: readonly [number, number] = [0.2, 4]
  /** Whether a write is said to be durable before it is. */
  isLying = false
  readonly #rate: number
  readonly #startMs: number
  #wallOffsetMs: number
  #lostMs = 0
  #suspendedAt: number | undefined
  #resumedAt = Number.NEGATIVE_INFINITY
  #setBackAt = Number.NEGATIVE_INFINITY
  #stoppedAt: number | undefined
  #backlog: { readonly by: Process; readonly happen: () => void }[] = []
  #writing: Write[] = []
  #diskFreeAt = 0

  constructor(name: string, world: World) {
    this.name = name
    this.world = world
    this.#rate = 1 + world.between(-MOST_DRIFT, MOST_DRIFT)
    this.#startMs = world.between(0, 1e6)
    this.#wallOffsetMs = world.between(-500, 500)
  }

  monotonicMs(): number {
    return this.#startMs + ((this.#suspendedAt ?? this.world.now) - this.#lostMs) * this.#rate
  }

  wallMs(): number {
    return EPOCH_MS + this.world.now + this.#wallOffsetMs
  }

  get isRunning(): boolean {
    return this.process !== undefined && this.#stoppedAt === undefined
  }

  /** Now, or when the process goes on; never when it has ended. */
  do(by: Process, happen: () => void): void {
    if (!by.isAlive) return
    if (this.#stoppedAt !== undefined) this.#backlog.push({ by, happen })
    else happen()
  }

  /** At a moment of the monotonic clock, if that does not stand still meanwhile. */
  at(by: Process, monotonicMs: number, happen: () => void): void {
    const waitMs = Math.max(0, (monotonicMs - this.monotonicMs()) / this.#rate)
    // A moment later, so that rounding does not make it a moment too early.
    this.world.after(waitMs + 0.001, () => this.do(by, happen))
  }

  /** Writes follow each other; `written` is told when one is durable. */
  write(key: string, value: unknown, written: () => void): void {
    const by = this.process
    if (by === undefined) return
    const write: Write = { key, value, by, written }
    const [least, most] = this.diskMs
    this.#diskFreeAt = Math.max(this.#diskFreeAt + 0.01, this.world.now + this.world.between(least, most))
    this.#writing.push(write)
    this.world.after(this.#diskFreeAt - this.world.now, () => {
      if (this.#writing[0] !== write) return
      this.#land(1)
      if (!this.isLying) this.do(by, written)
    })
    if (this.isLying) this.world.after(0, () => this.do(by, written))
  }

  /** kill -9: what was being written may have come to the disk, in its order, and may not. */
  kill(): void {
    if (this.process === undefined) return
    this.process.isAlive = false
    this.process = undefined
    this.#land(this.world.chance.below(this.#writing.length + 1))
    this.#writing = []
    this.#diskFreeAt = this.world.now
    this.#backlog = []
    this.goOn()
  }

  /** SIGSTOP; or with the machine below it, and then its monotonic clock stands still as well. */
  stop(isSuspended: boolean): void {
    if (!this.isRunning) return
    const { now } = this.world
    this.#stoppedAt = now
    if (isSuspended && now - this.#setBackAt > UNSEEN_MS) this.#suspendedAt = now
  }

  goOn(): void {
    if (this.#stoppedAt === undefined) return
    this.#stoppedAt = undefined
    if (this.#suspendedAt !== undefined) {
      this.#lostMs += this.world.now - this.#suspendedAt
      this.#resumedAt = this.world.now
    }
    this.#suspendedAt = undefined
    const backlog = this.#backlog
    this.#backlog = []
    for (const { by, happen } of backlog) this.do(by, happen)
  }

  setWall(byMs: number): void {
    const { now } = this.world
    const isUnseen = this.#suspendedAt !== undefined || now - this.#resumedAt <= UNSEEN_MS
    if (byMs < 0 && isUnseen) return
    if (byMs < 0) this.#setBackAt = now
    this.#wallOffsetMs += byMs
  }

  #land(count: number): void {
    for (const { key, value } of this.#writing.splice(0, count)) this.durable.set(key, value)
  }
}
