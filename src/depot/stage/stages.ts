/**
 * The life of a stage: opened on a base, added to by its members, then committed, aborted or expired when idle.
 *
 * A stage belongs to the token that opened it; tokens listed in its `members` may add to it, and an admin may do all.
 */
import type { Ledger, Stage, StageId } from '../../ledger/ledger.ts'
import { failure, isFailure } from '../../model/errors.ts'
import type { Generation } from '../../model/generation.ts'
import { LIMITS } from '../../model/limits.ts'
import { demandText } from '../../model/name.ts'
import type { Clock, Random } from '../../model/world.ts'
import type { Incoming } from '../../pool/pool.ts'
import { type Actor, demandPublisher, isAdmin } from '../actor.ts'

export interface StageWish {
  readonly base: Generation
  readonly message: string
  readonly members: readonly string[]
}

const ID_BYTES = 15
const TOUCHED_EVERY_MS = 1_000

export interface StageParts {
  readonly ledger: Pick<Ledger, 'stages'>
  readonly incoming: Incoming
  readonly clock: Clock
  readonly random: Random
  /** How long a stage may be idle. */
  readonly idleMs: number
}

export class Stages {
  readonly #parts: StageParts
  /** Owners of stages that are on their way into the ledger. */
  readonly #opening: string[] = []
  /** How many operations are under way in a stage. */
  readonly #users = new Map<StageId, number>()

  constructor(parts: StageParts) {
    this.#parts = parts
  }

  /** For whoever may publish somewhere. Fails with `forbidden`, or `limit-exceeded` when too many are open. */
  async open(actor: Actor, wish: StageWish): Promise<Stage> {
    demandPublisher(actor)
    const { ledger, clock, random, idleMs } = this.#parts
    demandText(wish.message, 'the message')
    this.#demandPlace(actor.id)
    const now = clock.now()
    const stage: Stage = {
      id: `s${Buffer.from(random.bytes(ID_BYTES)).toString('hex')}` as StageId,
      base: wish.base.gid,
      state: 'open',
      owner: actor.id,
      members: wish.members,
      message: wish.message,
      createdMs: now,
      expiresMs: now + idleMs,
      edition: 0,
    }
    // Counted from now on, for those who ask before it is in the ledger.
    this.#opening.push(actor.id)
    try {
      await ledger.stages.open(stage)
    } finally {
      this.#opening.splice(this.#opening.indexOf(actor.id), 1)
    }
    return stage
  }

  #demandPlace(owner: string): void {
    const owners = [...this.#parts.ledger.stages.listOpen().map((stage) => stage.owner), ...this.#opening]
    if (owners.length >= LIMITS.openStages)
      throw failure('limit-exceeded', { what: 'open stages', limit: LIMITS.openStages })
    if (owners.filter((other) => other === owner).length >= LIMITS.openStagesPerToken)
      throw failure('limit-exceeded', { what: 'open stages of one token', limit: LIMITS.openStagesPerToken })
  }

  /** A stage in whatever state, for one of its own. Fails with `stage-unknown` or `forbidden`. */
  show(actor: Actor, id: string): Stage {
    const stage = this.#parts.ledger.stages.get(id as StageId)
    if (stage === undefined) throw failure('stage-unknown', { stage: id })
    if (!isOwn(actor, stage)) throw failure('forbidden', { scope: `member of stage ${id}` })
    return stage
  }

  /** A stage that may be added to, and whose time begins anew. Fails also with `stage-expired`. */
  use(actor: Actor, id: string): Stage {
    const stage = this.show(actor, id)
    if (stage.state !== 'open' || this.#isIdle(stage))
      throw failure('stage-expired', { stage: id, state: stage.state === 'open' ? 'expired' : stage.state })
    this.#touch(stage.id)
    return stage
  }

  /**
   * As `use`, for work that may take long: the stage does not expire while it runs, and its time begins anew when it
   * ends. Work that calls `alive` now and then keeps that time, which a restart goes by, from falling behind.
   */
  async during<Result>(
    actor: Actor,
    id: string,
    work: (stage: Stage, alive: () => void) => Promise<Result>,
  ): Promise<Result> {
    const stage = this.use(actor, id)
    const { clock } = this.#parts
    let touched = clock.monotonic()
    const alive = (): void => {
      const now = clock.monotonic()
      if (now - touched < TOUCHED_EVERY_MS) return
      touched = now
      this.#touch(stage.id)
    }
    this.#count(stage.id, 1)
    try {
      return await work(stage, alive)
    } finally {
      this.#count(stage.id, -1)
      this.#touch(stage.id)
    }
  }

  /** Open stages of the actor; all of them for an admin. */
  list(actor: Actor): readonly Stage[] {
    return this.#parts.ledger.stages.listOpen().filter((stage) => isOwn(actor, stage))
  }

  /** Ends an open stage; ending one that was aborted already is nothing. */
  async abort(actor: Actor, id: string): Promise<void> {
    const stage = this.show(actor, id)
    if (stage.state === 'committed') throw failure('stage-expired', { stage: id, state: stage.state })
    if (stage.state !== 'open') return
    await this.#close(stage.id, 'aborted')
    await this.dropUploads()
  }

  /** Ends what was idle for too long, and drops uploads that no open stage waits for. */
  async expire(): Promise<readonly StageId[]> {
    const idle = this.#parts.ledger.stages.listOpen().filter((stage) => this.#isIdle(stage))
    for (const stage of idle) await this.#close(stage.id, 'expired')
    await this.dropUploads()
    return idle.map((stage) => stage.id)
  }

  /** Uploads carry the id of their stage in front; those of ended stages are dropped. */
  async dropUploads(): Promise<void> {
    const { incoming, ledger } = this.#parts
    for await (const { id } of incoming.list()) {
      if (isCopy(id)) continue
      const stage = ledger.stages.get(stageOfUpload(id))
      if (stage?.state !== 'open') await incoming.drop(id).catch(unlessBusy)
    }
  }

  #isIdle({ id, expiresMs }: Stage): boolean {
    return expiresMs <= this.#parts.clock.now() && !this.#users.has(id)
  }

  #touch(id: StageId): void {
    const { ledger, clock, idleMs } = this.#parts
    ledger.stages.touch(id, clock.now() + idleMs)
  }

  #count(id: StageId, more: 1 | -1): void {
    const users = (this.#users.get(id) ?? 0) + more
    if (users === 0) this.#users.delete(id)
    else this.#users.set(id, users)
  }

  async #close(id: StageId, state: 'aborted' | 'expired'): Promise<void> {
    await this.#parts.ledger.stages.close(id, state)
  }
}

/** The id of an upload to a stage. */
export function uploadId(stage: StageId, hex: string): string {
  return `${stage}-${hex}`
}

/** The id under which a blob comes that is copied from an upstream: no stage is called like that. */
export function copyId(hex: string): string {
  return `${COPY}${hex}`
}

/** Whether an upload belongs to a replica, which drops it itself. */
export function isCopy(id: string): boolean {
  return id.startsWith(COPY)
}

const COPY = 'copy-'

function stageOfUpload(id: string): StageId {
  return id.slice(0, id.indexOf('-')) as StageId
}

function isOwn(actor: Actor, stage: Stage): boolean {
  return stage.owner === actor.id || stage.members.includes(actor.id) || isAdmin(actor)
}

/** An upload that is just ending is left to the next round. */
function unlessBusy(error: unknown): void {
  if (!isFailure(error, 'upload-busy')) throw error
}
