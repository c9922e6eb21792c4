/**
 * What a replica knows of itself (PROTOCOL §4): by its follower, and by a heartbeat that asks the origin once a second.
 *
 * A word of the origin counts from the moment in which it was asked for. Without one for the time of a lease the node is
 * cut off; before the first one it is booting, and gives up hoping after a while.
 */
import type { NodeMode, NodeState } from '../depot/gate.ts'
import type { Head } from '../depot/head.ts'
import type { Node } from '../depot/node.ts'
import { Waiting } from '../depot/waiting.ts'
import { failure, isFailure } from '../model/errors.ts'
import { type Gid, isOlder, partsOf } from '../model/generation.ts'
import { LIMITS } from '../model/limits.ts'
import type { Clock, Log } from '../model/world.ts'
import { type NodeCondition, type NodeLabel, NodeLabels } from '../wire/node-label.ts'
import type { HeartbeatRequest, NodeBody, NodesBody } from '../wire/replication.ts'
import type { Follower } from './follow.ts'
import { generationsBehind, inAll, Lag } from './progress.ts'
import { unlessAborted } from './relay/unless-aborted.ts'
import type { Sleep } from './sleep.ts'

export interface ReplicaNodeParts {
  readonly id: string
  /** What this process is called by chance, to be told from another one of the same id. */
  readonly instance: string
  readonly head: Pick<Head, 'now' | 'isThere'>
  readonly follower: Pick<Follower, 'state'>
  /** Tells the origin how this node is, and hears of the others. */
  readonly heartbeat: (report: HeartbeatRequest, signal: AbortSignal) => Promise<NodesBody>
  readonly clock: Pick<Clock, 'monotonic'>
  readonly sleep: Sleep
  readonly log: Pick<Log, 'error' | 'warn' | 'info'>
  readonly isDraining: () => boolean
  readonly whenCut: NodeState['whenCut']
  readonly publicUrl?: string
}

/** How a node stands to its origin, for metrics. */
export interface ReplicaStanding {
  readonly condition: NodeCondition
  readonly known: Gid | undefined
  readonly lagGenerations: number
  readonly lagSeconds: number
  /** Since the last word of the origin was asked for; since the start, before the first. */
  readonly originSeconds: number
  readonly isIdTaken: boolean
}

export class ReplicaNode implements Node {
  readonly #parts: ReplicaNodeParts
  readonly #waiting = new Waiting(LIMITS.holds)
  readonly #startedMs: number
  #confirmedMs: number | undefined
  #announced: Gid | undefined
  #peers: readonly NodeBody[] = []
  #beating: Promise<void> | undefined
  /** The one after it, for those who have come meanwhile. */
  #next: Promise<void> | undefined
  /** How long this node lives: what many wait for does not end because one of them goes. */
  #life: AbortSignal = new AbortController().signal
  #seen: NodeCondition = 'boot'
  /** How this node stood when those who wait were woken last. */
  #wokenAt = ''
  readonly #lag: Lag
  /** Whether the origin refuses this process because another one has its id. */
  #isIdTaken = false
  /** Whether the origin has told an older head than this node had when it asked (PROTOCOL §10). */
  #isGoneBack = false
  readonly #labels = new NodeLabels()
  readonly #toLabel = (): NodeLabel => {
    const why = this.#isIdTaken ? 'node-id-taken' : this.#parts.follower.state().refusal?.code
    const state = this.#condition()
    const reason = why === undefined ? {} : { why }
    return { id: this.#parts.id, role: 'replica', state, ageSeconds: this.#ageSeconds(), ...reason }
  }

  constructor(parts: ReplicaNodeParts) {
    this.#parts = parts
    this.#startedMs = parts.clock.monotonic()
    this.#lag = new Lag(parts.clock)
  }

  state(): NodeState {
    const { isDraining, whenCut } = this.#parts
    const isSilent = this.#isSilent()
    const { refusal } = this.#parts.follower.state()
    return { mode: this.#mode(), isDraining: isDraining(), whenCut, isOrigin: false, isSilent, refusal }
  }

  known(): Gid {
    const followed = this.#parts.follower.state().known
    const announced = this.#announced
    // So it is nearly always, and each answer asks.
    if (followed === announced && followed !== undefined) return followed
    if (followed === undefined || announced === undefined)
      return announced ?? followed ?? this.#parts.head.now().gid
    return partsOf(announced).number > partsOf(followed).number ? announced : followed
  }

  async confirm(signal: AbortSignal): Promise<void> {
    try {
      await unlessAborted(this.#asked(), signal)
    } catch (cause) {
      if (isFailure(cause, 'origin-unreachable')) throw cause
      // However the origin has refused this node, it is not what the client has done.
      const reason = signal.aborted ? 'it has not answered in time' : String(cause)
      throw failure('origin-unreachable', { reason }, { cause })
    }
  }

  async changed(waitMs: number, signal: AbortSignal): Promise<void> {
    // A state may come by time alone; those who wait since before it look again, too.
    this.wake()
    await this.#waiting.wait(waitMs, signal)
  }

  /** The head, or what is known, may be another one. Where nothing is, nobody has to look again. */
  wake(): void {
    this.#labels.forget()
    const { mode, isDraining, isSilent } = this.state()
    const standing = [...this.#noteLag(), mode, isDraining, isSilent].join(' ')
    if (standing === this.#wokenAt) return
    this.#wokenAt = standing
    this.#waiting.wake()
  }

  standing(): ReplicaStanding {
    const [head, known] = this.#noteLag()
    return {
      condition: this.#condition(),
      known,
      lagGenerations: generationsBehind(head, known),
      lagSeconds: this.#lag.seconds(),
      originSeconds: this.#ageSeconds(),
      isIdTaken: this.#isIdTaken,
    }
  }

  /** Lets everybody go who waits: the node is closing. */
  release(): void {
    this.#waiting.release()
  }

  isReleased(): boolean {
    return this.#waiting.isClosing()
  }

  /** Nodes that say they have what is known, and where clients reach them. */
  peers(): readonly string[] {
    return this.#ready().flatMap(({ publicUrl }) => (publicUrl === undefined ? [] : [publicUrl]))
  }

  isKnownElsewhere(): boolean {
    return !this.#isSilent() && this.#ready().length > 0
  }

  /** Other nodes that say they have what is known. */
  #ready(): readonly NodeBody[] {
    const known = this.known()
    const { id: own } = this.#parts
    return this.#peers.filter(({ id, state, head }) => id !== own && state === 'fresh' && head === known)
  }

  /** The value of `Depot-Node`. */
  label(): string {
    const { clock, isDraining } = this.#parts
    return this.#labels.recent(clock.monotonic(), isDraining(), this.#toLabel)
  }

  /** A heartbeat every second, until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { sleep, log } = this.#parts
    this.#life = signal
    let isReached = true
    while (!signal.aborted) {
      try {
        await this.#beat()
        if (!isReached) log.info({}, 'the origin answers again')
        isReached = true
      } catch (error) {
        if (signal.aborted) return
        if (isReached && !this.#isIdTaken) log.warn({ err: error }, 'the origin does not answer')
        isReached = false
      }
      this.#tellOfState()
      await sleep(LIMITS.heartbeatMs, signal)
    }
  }

  /** One at a time. */
  #beat(): Promise<void> {
    this.#beating ??= this.#ask().finally(() => {
      this.#beating = undefined
    })
    return this.#beating
  }

  /**
   * A word of the origin that was asked for from now on: one that is under way may have been given before what the
   * client has seen meanwhile. Those who come while it is under way share the next one.
   */
  #asked(): Promise<void> {
    const before = this.#beating
    if (before === undefined) return this.#beat()
    this.#next ??= before
      .catch(() => undefined)
      .then(async () => {
        this.#next = undefined
        await this.#beat()
      })
    return this.#next
  }

  async #ask(): Promise<void> {
    const { clock, heartbeat } = this.#parts
    const asked = clock.monotonic()
    const own = this.#parts.head.isThere() ? this.#parts.head.now().gid : undefined
    const timed = AbortSignal.any([this.#life, AbortSignal.timeout(LIMITS.leaseMs)])
    const { head, nodes } = await heartbeat(this.#report(), timed).catch((error: unknown) => {
      this.#noteRefusal(error)
      throw error
    })
    this.#isIdTaken = false
    this.#confirmedMs = asked
    this.#isGoneBack = own !== undefined && isOlder(head, own)
    this.#peers = nodes
    this.#announced = head
    this.#tellOfState()
  }

  /** Told once, with what is to be done; it is asked again all the same, for the other one may end. */
  #noteRefusal(err: unknown): void {
    if (!isFailure(err, 'node-id-taken') || this.#isIdTaken) return
    this.#isIdTaken = true
    this.#parts.log.error({ err }, 'another node has the id of this one: start it with another --node-id')
  }

  #report(): HeartbeatRequest {
    const { follower, head, publicUrl, instance } = this.#parts
    const { known, progress, refusal } = follower.state()
    this.#noteLag()
    return {
      instance,
      lagSeconds: this.#lag.seconds(),
      role: 'replica',
      state: this.#condition(),
      head: head.isThere() ? head.now().gid : null,
      known: known ?? null,
      ...(publicUrl === undefined ? {} : { publicUrl }),
      ...(progress === undefined ? {} : { progress: inAll(progress) }),
      ...(refusal === undefined ? {} : { refused: refusal.code }),
    }
  }

  #condition(): NodeCondition {
    return this.#parts.isDraining() ? 'drain' : this.#mode()
  }

  #mode(): NodeMode {
    const { head, follower } = this.#parts
    if (!head.isThere()) return 'boot'
    if (follower.state().isDiverged || this.#isGoneBack) return 'diverged'
    // Also when the origin has fallen silent since: whoever knows of a newer head never goes back to his own (A7).
    if (this.known() !== head.now().gid) return 'lag'
    if (!this.#isSilent()) return 'fresh'
    return this.#confirmedMs === undefined && this.#ageSeconds() * 1000 < LIMITS.bootGraceMs ? 'boot' : 'cut'
  }

  #isSilent(): boolean {
    return (this.#ageMs() ?? Number.POSITIVE_INFINITY) >= LIMITS.leaseMs
  }

  /**
   * Since the last heartbeat that was answered was sent. The follower hears from the origin too, but its asks wait: by
   * the time of such an answer nobody knows how old it was.
   */
  #ageMs(): number | undefined {
    return this.#confirmedMs === undefined ? undefined : this.#parts.clock.monotonic() - this.#confirmedMs
  }

  #ageSeconds(): number {
    return (this.#ageMs() ?? this.#parts.clock.monotonic() - this.#startedMs) / 1000
  }

  #noteLag(): readonly [head: Gid | undefined, known: Gid | undefined] {
    const head = this.#parts.head.isThere() ? this.#parts.head.now().gid : undefined
    const known = head === undefined ? (this.#announced ?? this.#parts.follower.state().known) : this.known()
    this.#lag.note(head, known)
    return [head, known]
  }

  /** To the log, and to those who wait. */
  #tellOfState(): void {
    const condition = this.#condition()
    if (condition !== this.#seen)
      this.#parts.log.info({ from: this.#seen, to: condition }, 'this node is in another state')
    this.#seen = condition
    this.wake()
  }
}
