/**
 * The life of a stage: opened on a base, added to by its members, then committed, aborted or expired when idle.
 *
 * A stage belongs to the token that opened it; tokens listed in its `members` may add to it, and an admin may do all.
 */
import type { Ledger, Stage, StageId } from '../../ledger/ledger.ts'
import { failure } from '../../model/errors.ts'
import type { Generation } from '../../model/generation.ts'
import { LIMITS } from '../../model/limits.ts'
import type { Clock, Random } from '../../model/world.ts'
import type { Incoming } from '../../pool/pool.ts'
import { type Actor, demandPublisher, isAdmin } from '../actor.ts'

export interface StageWish {
  readonly base: Generation
  readonly message: string
  readonly members: readonly string[]
}

const ID_BYTES = 15

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

  constructor(parts: StageParts) {
    this.#parts = parts
  }

  /** For whoever may publish somewhere. Fails with `forbidden`, or `limit-exceeded` when too many are open. */
  async open(actor: Actor, wish: StageWish): Promise<Stage> {
    demandPublisher(actor)
    const { ledger, clock, random, idleMs } = this.#parts
    if (ledger.stages.listOpen().length >= LIMITS.openStages)
      throw failure('limit-exceeded', { what: 'open stages', limit: LIMITS.openStages })
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
      revision: 0,
    }
    await ledger.stages.open(stage)
    return stage
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
    const { ledger, clock, idleMs } = this.#parts
    const stage = this.show(actor, id)
    const now = clock.now()
    if (stage.state !== 'open' || stage.expiresMs <= now)
      throw failure('stage-expired', { stage: id, state: stage.state === 'open' ? 'expired' : stage.state })
    ledger.stages.touch(stage.id, now + idleMs)
    return stage
  }

  /** Open stages of the actor; all of them for an admin. */
  list(actor: Actor): readonly Stage[] {
    return this.#parts.ledger.stages.listOpen().filter((stage) => isOwn(actor, stage))
  }

  /** Ends an open stage; ending one that was aborted already is nothing. */
  async abort(actor: Actor, id: string): Promise<void> {
    const stage = this.show(actor, id)
    if (stage.state === 'committed') throw failure('stage-expired', { stage: id, state: stage.state })
    if (stage.state === 'open') await this.#close(stage.id, 'aborted')
  }

  /** Ends what was idle for too long, and drops uploads that no open stage waits for. */
  async expire(): Promise<readonly StageId[]> {
    const now = this.#parts.clock.now()
    const idle = this.#parts.ledger.stages.listOpen().filter((stage) => stage.expiresMs <= now)
    for (const stage of idle) await this.#close(stage.id, 'expired')
    await this.dropUploads()
    return idle.map((stage) => stage.id)
  }

  /** Uploads carry the id of their stage in front; those of ended stages are dropped. */
  async dropUploads(): Promise<void> {
    const { incoming, ledger } = this.#parts
    for await (const { id } of incoming.list()) {
      const stage = ledger.stages.get(stageOfUpload(id))
      if (stage?.state !== 'open') await incoming.drop(id)
    }
  }

  async #close(id: StageId, state: 'aborted' | 'expired'): Promise<void> {
    await this.#parts.ledger.stages.close(id, state)
  }
}

/** The id of an upload to a stage. */
export function uploadId(stage: StageId, hex: string): string {
  return `${stage}-${hex}`
}

function stageOfUpload(id: string): StageId {
  return id.slice(0, id.indexOf('-')) as StageId
}

function isOwn(actor: Actor, stage: Stage): boolean {
  return stage.owner === actor.id || stage.members.includes(actor.id) || isAdmin(actor)
}
