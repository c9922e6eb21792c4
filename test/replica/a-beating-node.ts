/**
 * A replica's node whose heartbeats a test answers, and whose clock it moves.
 */
import type { NodeMode } from '../../src/depot/gate.ts'
import type { DepotError } from '../../src/model/errors.ts'
import type { Generation, Gid } from '../../src/model/generation.ts'
import type { FollowerState } from '../../src/replica/follow.ts'
import { ReplicaNode, type ReplicaNodeParts } from '../../src/replica/replica-node.ts'
import type { HeartbeatRequest, NodeBody, NodesBody } from '../../src/wire/replication.ts'
import { type StillClock, stillClock } from '../support/still-clock.ts'

const LINEAGE = 'k3x7m2q5wz4a'

export function gid(number: number, lineage: string = LINEAGE): Gid {
  return `g${number}.${lineage}.0123456789abcdef` as Gid
}

/** One heartbeat that waits for its answer. */
export interface Beat {
  readonly report: HeartbeatRequest
  readonly signal: AbortSignal
  answer(head: Gid, nodes?: readonly NodeBody[]): void
  fail(error: Error): void
}

export class BeatingNode {
  readonly clock: StillClock = stillClock()
  readonly beats: Beat[] = []
  readonly #onBeat: ((beat: Beat) => void)[] = []
  readonly node: ReplicaNode
  readonly #pauses = Promise.withResolvers<void>()
  head: Gid | undefined = gid(1)
  followed: Gid | undefined
  isDiverged = false
  refusal: DepotError | undefined
  isDraining = false
  /** Lines that the node has logged as errors. */
  errors = 0

  constructor(more: Partial<ReplicaNodeParts> = {}) {
    this.node = new ReplicaNode({
      id: 'r1',
      instance: 'i1',
      head: {
        isThere: () => this.head !== undefined,
        now: () => ({ gid: this.head }) as Generation,
      },
      follower: { state: () => this.#followerState() },
      heartbeat: async (report, signal) => await this.#heartbeat(report, signal),
      clock: this.clock,
      sleep: async (_, signal) => {
        this.#pauses.resolve()
        const { promise, resolve } = Promise.withResolvers<void>()
        if (signal.aborted) resolve()
        signal.addEventListener('abort', () => {
          resolve()
        })
        await promise
      },
      log: { error: () => void (this.errors += 1), warn: () => undefined, info: () => undefined },
      isDraining: () => this.isDraining,
      whenCut: 'refuse',
      ...more,
    })
  }

  /** Resolves when `run` makes its first pause. */
  get paused(): Promise<void> {
    return this.#pauses.promise
  }

  get mode(): NodeMode {
    return this.node.state().mode
  }

  /** The next heartbeat, when it is sent. */
  async next(): Promise<Beat> {
    const here = this.beats.shift()
    if (here !== undefined) return here
    const { promise, resolve } = Promise.withResolvers<Beat>()
    this.#onBeat.push(resolve)
    return await promise
  }

  /** One heartbeat that the origin answers. */
  async confirmed(head: Gid, nodes: readonly NodeBody[] = []): Promise<void> {
    const confirming = this.node.confirm(NEVER)
    const beat = await this.next()
    beat.answer(head, nodes)
    await confirming
  }

  async #heartbeat(report: HeartbeatRequest, signal: AbortSignal): Promise<NodesBody> {
    const { promise, resolve, reject } = Promise.withResolvers<NodesBody>()
    const beat: Beat = {
      report,
      signal,
      answer: (head, nodes = []) => {
        resolve({ head, nodes })
      },
      fail: reject,
    }
    signal.addEventListener('abort', () => {
      reject(signal.reason as Error)
    })
    const onBeat = this.#onBeat.shift()
    if (onBeat === undefined) this.beats.push(beat)
    else onBeat(beat)
    return await promise
  }

  #followerState(): FollowerState {
    const { head, followed, isDiverged } = this
    // What it has heard is not how old this node's knowledge is.
    const confirmedAt = this.clock.monotonic()
    return {
      head: head === undefined ? undefined : ({ gid: head } as Generation),
      known: followed ?? head,
      confirmedAt,
      isDiverged,
      refusal: this.refusal,
      progress: undefined,
    }
  }
}

export const NEVER: AbortSignal = new AbortController().signal
