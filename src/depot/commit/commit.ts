/**
 * Committing: a plan on the head, its metaset in the pool, and one flip in the ledger (DESIGN §2, §4).
 *
 * A large stage is planned while others commit; only if the head has moved meanwhile is it planned again, alone. The
 * flip itself compares the head once more, so a second process could not slip in between either.
 */
import type { Flip, Ledger, Stage, StageId } from '../../ledger/ledger.ts'
import { encodeMetaset, type Metaset } from '../../metaset/metaset.ts'
import { type Digest, digestOf } from '../../model/digest.ts'
import { failure } from '../../model/errors.ts'
import { encodeRecord, type Generation, type Gid, gidOf, recordAfter } from '../../model/generation.ts'
import { LIMITS } from '../../model/limits.ts'
import { demandText } from '../../model/name.ts'
import type { Clock } from '../../model/world.ts'
import type { Pool } from '../../pool/pool.ts'
import { type Actor, demand } from '../actor.ts'
import type { Head } from '../head.ts'
import type { Views } from '../read/views.ts'
import { demandBlobs } from './closure.ts'
import type { Drafts } from './drafts.ts'
import { rollbackMetaset } from './rollback.ts'
import { channelChangeOf, channelsOf } from './rows.ts'
import { Turns } from './turns.ts'

export interface CommitParts {
  readonly ledger: Ledger
  readonly drafts: Drafts
  readonly pool: Pick<Pool, 'open' | 'absent'>
  /** The same pool, which may take from the reserve of a full disk: what is committed was let in before. */
  readonly reserve: Pick<Pool, 'put'>
  readonly views: Views
  readonly head: Head
  readonly clock: Clock
}

export interface CommitWish {
  readonly message?: string
  /** Only if this is the head (`If-Match`). */
  readonly onlyOn?: Gid
  readonly key?: { readonly text: string; readonly bodyDigest: Digest }
}

export interface Outcome {
  readonly generation: Generation
  /** False when there was nothing to change, and so no new generation. */
  readonly changed: boolean
}

export class Commits {
  readonly #parts: CommitParts
  readonly #turns = new Turns(LIMITS.openStages)

  constructor(parts: CommitParts) {
    this.#parts = parts
  }

  /**
   * Makes a generation of a stage. The same request again, or any later one for this stage, gets the same answer
   * (PROTOCOL §8, I28). Fails with `stage-expired`, `blob-missing`, `conflict`, `base-changed`,
   * `idempotency-mismatch` or `disk-full`.
   */
  async commit(actor: Actor, stage: Stage, wish: CommitWish): Promise<Outcome> {
    if (wish.message !== undefined) demandText(wish.message, 'the message')
    const again = this.#repeated(actor, stage, wish)
    if (again !== undefined) return again
    this.#demandHead(wish.onlyOn)
    await this.#demandCommittable(actor, stage)
    const planned = await this.#parts.drafts.plan(stage, 'commit')
    return await this.#turns.take(async () => {
      const current = this.#parts.ledger.stages.get(stage.id) ?? stage
      const earlier = this.#repeated(actor, current, wish)
      if (earlier !== undefined) return earlier
      if (current.state !== 'open') throw failure('stage-expired', { stage: stage.id, state: current.state })
      this.#demandHead(wish.onlyOn)
      // Somebody may have added to it since it was looked at, and be allowed to do more than who commits.
      if (current.edition !== stage.edition) await this.#demandCommittable(actor, current)
      const isFresh = planned.on.gid === this.#parts.head.now().gid && planned.edition === current.edition
      const { metaset } = isFresh ? planned : await this.#parts.drafts.plan(current, 'commit')
      return await this.#apply(metaset, {
        message: wish.message ?? current.message,
        publisher: actor.label,
        stage: current,
        ...keyed(actor, current.id, wish),
      })
    })
  }

  /** Does something while nobody commits. */
  async alone<Result>(work: () => Promise<Result>): Promise<Result> {
    return await this.#turns.take(work)
  }

  /** What a stage would become now. Fails with `conflict`. */
  async preview(stage: Stage): Promise<Metaset> {
    return (await this.#parts.drafts.plan(stage, 'upload')).metaset
  }

  /**
   * A new generation with the channels of an old one (PROTOCOL §9), unless the head has just these. The same request
   * again gets the same answer. Needs `admin`, which the caller has checked. Fails with `base-changed`,
   * `idempotency-mismatch` or `disk-full`.
   */
  async rollback(actor: Actor, to: Generation, wish: CommitWish): Promise<Outcome> {
    const message = wish.message ?? `rollback to ${to.gid}`
    demandText(message, 'the message')
    const target = await this.#parts.views.of(to)
    return await this.#turns.take(async () => {
      const earlier = this.#recalled(actor, ROLLBACKS, wish)
      if (earlier !== undefined) return earlier
      this.#demandHead(wish.onlyOn)
      const head = this.#parts.head.now()
      const current = await this.#parts.views.of(head)
      return await this.#apply(rollbackMetaset(current.metaset, target.metaset), {
        message,
        publisher: actor.label,
        rollbackOf: head.gid,
        ...keyed(actor, ROLLBACKS, wish),
      })
    })
  }

  /**
   * Whoever commits may do all that the stage does, whoever of its members staged it, and every blob is there. Fails
   * with `forbidden`, `blob-missing` or `manifest-invalid`.
   */
  async #demandCommittable(actor: Actor, stage: Stage): Promise<void> {
    for (const channel of channelsOf(this.#parts.ledger.changes, stage.id)) {
      const isSetUp = channelChangeOf(this.#parts.ledger.changes, stage.id, channel) !== undefined
      demand(actor, isSetUp ? 'admin' : `publish:${channel}`)
    }
    await demandBlobs(this.#parts, stage)
  }

  #demandHead(expected: Gid | undefined): void {
    const { gid } = this.#parts.head.now()
    if (expected !== undefined && expected !== gid)
      throw failure('base-changed', { expected, generation: gid })
  }

  /** The outcome of a request that was carried out before. */
  #repeated(actor: Actor, stage: Stage, wish: CommitWish): Outcome | undefined {
    const recalled = this.#recalled(actor, stage.id, wish)
    if (recalled !== undefined || stage.committed === undefined) return recalled
    const generation = this.#parts.ledger.generations.get(stage.committed)
    return generation && { generation, changed: stage.base !== generation.gid }
  }

  /** What the request with this key became. Fails with `idempotency-mismatch` when it was another one. */
  #recalled(actor: Actor, scope: StageId, { key }: CommitWish): Outcome | undefined {
    if (key === undefined) return undefined
    const { outcomes, generations } = this.#parts.ledger
    const record = outcomes.recall(actor.id, scope, key.text)
    if (record !== undefined && record.bodyDigest !== key.bodyDigest)
      throw failure('idempotency-mismatch', { key: key.text })
    const generation = record && generations.get(record.gid)
    return generation && { generation, changed: record.changed }
  }

  async #apply(metaset: Metaset, wish: ApplyWish): Promise<Outcome> {
    const { drafts, head, ledger, reserve, views } = this.#parts
    const parent = head.now()
    const bytes = encodeMetaset(metaset)
    const digest = digestOf(bytes)
    if (digest === parent.record.metaset) {
      await this.#endUnchanged(parent, wish)
      return { generation: parent, changed: false }
    }
    await reserve.put(bytes, { digest })
    const flip = this.#flipOf(parent, digest, wish)
    const generation = await ledger.generations.flip(flip)
    views.keep(generation.gid, metaset)
    head.move(generation)
    if (wish.stage !== undefined) drafts.drop(wish.stage.id)
    return { generation, changed: true }
  }

  async #endUnchanged({ gid }: Generation, wish: ApplyWish): Promise<void> {
    const { outcomes, stages } = this.#parts.ledger
    const outcome = this.#outcomeOf(gid, wish, false)
    if (wish.stage !== undefined) {
      const { id, edition } = wish.stage
      await stages.close(id, 'committed', { committed: gid, edition, ...outcome })
      this.#parts.drafts.drop(id)
    } else if (outcome.idempotency !== undefined) await outcomes.remember(outcome.idempotency)
  }

  #flipOf(parent: Generation, metaset: Digest, wish: ApplyWish): Flip {
    const record = recordAfter(parent, this.#parts.clock.now(), {
      metaset,
      publisher: wish.publisher,
      message: wish.message,
      ...(wish.rollbackOf === undefined ? {} : { rollbackOf: wish.rollbackOf }),
    })
    const bytes = encodeRecord(record)
    const gid = gidOf(record, bytes)
    const { stage } = wish
    return {
      expected: parent.gid,
      gid,
      record,
      bytes,
      ...(stage === undefined ? {} : { stage: { id: stage.id, edition: stage.edition } }),
      ...this.#outcomeOf(gid, wish, true),
    }
  }

  /** What answers the same request when it comes again. */
  #outcomeOf(gid: Gid, { key }: ApplyWish, changed: boolean): Pick<Flip, 'idempotency'> {
    if (key === undefined) return {}
    const { token, scope, text, bodyDigest } = key
    const atMs = this.#parts.clock.now()
    return { idempotency: { token, stage: scope, key: text, bodyDigest, gid, changed, atMs } }
  }
}

/** In place of a stage: keys of rollbacks are no keys of commits. */
const ROLLBACKS = 'rollback' as StageId

function keyed(actor: Actor, scope: StageId, { key }: CommitWish): Pick<ApplyWish, 'key'> {
  return key === undefined ? {} : { key: { ...key, scope, token: actor.id } }
}

interface ApplyWish {
  readonly message: string
  readonly publisher: string
  readonly stage?: Stage
  readonly key?: NonNullable<CommitWish['key']> & { readonly token: string; readonly scope: StageId }
  readonly rollbackOf?: Gid
}
