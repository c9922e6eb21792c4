/**
 * The plan of one stage, kept while the stage is filled: made once from all rows, then brought up to date with the rows
 * that were touched and with what others have committed. What is planned here is true only by the flip (DESIGN §2).
 */
import { strict as assert } from 'node:assert'
import type { Ledger, Stage } from '../../ledger/ledger.ts'
import type { Metaset } from '../../metaset/metaset.ts'
import { failure, isFailure } from '../../model/errors.ts'
import type { Generation } from '../../model/generation.ts'
import type { Nodes, Purpose } from '../../pool/pool.ts'
import type { Views } from '../read/views.ts'
import { type Budget, DraftNodes } from './draft-nodes.ts'
import { NodeWriter } from './node-writer.ts'
import { type EarlierPlan, type PlanParts, planStage } from './plan.ts'
import { type RowName, Touched, type TouchedKeys } from './touched.ts'

export interface DraftParts extends PlanParts {
  readonly ledger: Pick<Ledger, 'generations' | 'stages'>
  readonly nodes: Pick<Nodes, 'pack' | 'keep'>
  readonly views: Views
  readonly budget: Budget
  /** Rows of the stage that are being written at this moment. */
  readonly beingWritten: () => Iterable<readonly RowName[]>
  /** Whether the depot closes, and nothing is to be begun any more. */
  readonly isClosing: () => boolean
}

/** What a stage becomes on a head. */
export interface Plan {
  readonly metaset: Metaset
  readonly on: Generation
  /** Of the stage, when it was planned. */
  readonly edition: number
}

interface Made extends Plan {
  readonly head: Metaset
}

interface Making {
  readonly touched: TouchedKeys
  readonly purpose: Purpose
}

interface Applying {
  readonly base: Metaset
  readonly head: Metaset
  readonly purpose: Purpose
}

export class Draft {
  readonly #parts: DraftParts
  readonly #stage: Stage
  readonly #nodes: DraftNodes
  readonly #touched = new Touched()
  #made: Made | undefined
  /** Whether the nodes of what was made are durable. */
  #isKept = false
  /** Whether nobody tells it of rows any more. */
  #isDropped = false
  /** Settles when everything that came before has ended; never rejects. */
  #turn: Promise<void> = Promise.resolve()

  constructor(parts: DraftParts, stage: Stage) {
    this.#parts = parts
    this.#stage = stage
    this.#nodes = new DraftNodes(parts)
  }

  /** How many rows were touched since it was planned. */
  get touched(): number {
    return this.#touched.size
  }

  touch(rows: readonly RowName[]): void {
    this.#touched.add(rows)
  }

  /**
   * The plan on this head of what the stage holds now. With a purpose its nodes are durable then; without, they are in
   * memory. Fails with `conflict`, or with `disk-full`.
   */
  async plan(on: Generation, purpose?: Purpose): Promise<Plan> {
    return await this.#inTurn(async () => {
      if (this.#isDropped) await this.#forget()
      const { metaset, edition } = await this.#upToDate(on, purpose ?? 'upload')
      if (!this.#isKept) await this.#keep(metaset, purpose)
      return { metaset, edition, on }
    })
  }

  /** Forgets what was planned. Whoever waits for a plan still gets one, from all rows: nobody tells of them any more. */
  async drop(): Promise<void> {
    this.#isDropped = true
    await this.#inTurn(async () => await this.#forget())
  }

  async #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(work)
    this.#turn = result.then(nothing, nothing)
    return await result
  }

  async #upToDate(on: Generation, purpose: Purpose): Promise<Made> {
    const { ledger, beingWritten } = this.#parts
    // Read before the rows are: a plan that has missed one is of an edition that has passed.
    const stage = ledger.stages.get(this.#stage.id) ?? this.#stage
    for (const rows of beingWritten()) this.#touched.add(rows)
    const touched = this.#touched.take()
    // Rows that are touched, and were written before they were read, have moved the edition before they did.
    if (this.#made?.on.gid === on.gid && this.#made.edition === stage.edition) return this.#made
    try {
      this.#made = await this.#make(stage, on, { touched, purpose })
      this.#isKept = false
      return this.#made
    } catch (error) {
      await this.#forget()
      throw error
    }
  }

  async #make(stage: Stage, on: Generation, { touched, purpose }: Making): Promise<Made> {
    const { views, ledger } = this.#parts
    const began = ledger.generations.get(stage.base)
    assert(began, `nobody knows ${stage.base}, on which stage ${stage.id} began`)
    const head = (await views.of(on)).metaset
    const base = (await views.of(began)).metaset
    const earlier = this.#made && touched && { head: this.#made.head, made: this.#made.metaset, touched }
    const metaset = await this.#apply(stage, { base, head, purpose }, earlier)
    return { metaset, on, edition: stage.edition, head }
  }

  async #apply(
    stage: Stage,
    { base, head, purpose }: Applying,
    earlier: EarlierPlan | undefined,
  ): Promise<Metaset> {
    const reader = this.#nodes
    const writer = new NodeWriter(async (nodes) => {
      if (this.#parts.isClosing()) throw failure('draining', {})
      await this.#nodes.add(nodes, purpose)
    })
    if (earlier === undefined)
      return await planStage({ ...this.#parts, reader }, { stage, base, head, writer })
    try {
      return await planStage({ ...this.#parts, reader }, { stage, base, head, writer, earlier })
    } catch (error) {
      if (!isFailure(error, 'conflict')) throw error
      // From all rows, it lists all conflicts, and in order.
      await this.#forget()
      return await this.#apply(stage, { base, head, purpose }, undefined)
    }
  }

  async #keep(metaset: Metaset, purpose: Purpose | undefined): Promise<void> {
    const trees = Object.values(metaset.channels).flatMap(({ releases, bound }) => [releases, bound])
    try {
      if (purpose === undefined) await this.#nodes.endRound(trees)
      else await this.#nodes.keep(trees, purpose)
      this.#isKept = purpose !== undefined
    } catch (error) {
      await this.#forget()
      throw error
    }
  }

  async #forget(): Promise<void> {
    this.#made = undefined
    this.#isKept = false
    this.#touched.forget()
    await this.#nodes.clear()
  }
}

function nothing(): void {}
