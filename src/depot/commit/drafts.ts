/**
 * The plans of the stages that are filled now. A plan is brought up to date in the background whenever enough of its
 * stage was touched; so a commit has little left to do, however large its stage and its channel are.
 *
 * How much is enough grows with the stage: all that is planned for it ahead costs a few times the plan itself, and what
 * is left for the commit is a small part. Stages beyond `LIMITS.draftChanges` are planned when they are committed.
 */
import { LRUCache } from 'lru-cache'
import type { ChangeRow, Changes, Ledger, Stage, StageId } from '../../ledger/ledger.ts'
import type { NodeReader } from '../../metaset/node.ts'
import { DepotError } from '../../model/errors.ts'
import { LIMITS } from '../../model/limits.ts'
import type { Clock, Log } from '../../model/world.ts'
import type { Nodes, Purpose } from '../../pool/pool.ts'
import type { Head } from '../head.ts'
import type { Views } from '../read/views.ts'
import { Draft, type Plan } from './draft.ts'
import { Budget } from './draft-nodes.ts'

export interface DraftsParts {
  readonly ledger: Pick<Ledger, 'generations' | 'stages' | 'changes'>
  readonly reader: NodeReader
  readonly nodes: Pick<Nodes, 'pack' | 'keep'>
  readonly views: Views
  readonly head: Pick<Head, 'now'>
  readonly clock: Clock
  readonly log: Pick<Log, 'warn'>
  /** How many plans are kept, and what their nodes may take in memory. */
  readonly most?: number
  readonly budgetBytes?: number
}

/** Planning ahead begins with so many rows. */
const FEW = 32
/** And goes on whenever one row in so many was touched. */
const SHARE = 16

export class Drafts {
  readonly #parts: DraftsParts
  readonly #budget: Budget
  readonly #drafts: LRUCache<StageId, Draft>
  /** Rows on their way into the ledger. */
  readonly #writing = new Map<StageId, Set<readonly ChangeRow[]>>()
  #ahead: Promise<void> | undefined
  #isClosing = false

  constructor(parts: DraftsParts) {
    this.#parts = parts
    this.#budget = new Budget(parts.budgetBytes ?? LIMITS.draftBytes)
    this.#drafts = new LRUCache<StageId, Draft>({
      max: parts.most ?? LIMITS.drafts,
      dispose: (draft) => void draft.drop(),
    })
  }

  /** The same changes; what is written through them is known here. */
  watching(changes: Changes): Changes {
    return {
      get: (stage, channel, key) => changes.get(stage, channel, key),
      list: (stage, after, limit) => changes.list(stage, after, limit),
      count: (stage) => changes.count(stage),
      write: async (stage, rows) => {
        this.#begin(stage, rows)
        try {
          await changes.write(stage, rows)
        } finally {
          this.#end(stage, rows)
        }
        this.#planAhead()
      },
    }
  }

  /**
   * What a stage becomes on the head of this moment, for previews and for its commit; its nodes are durable. Fails with
   * `conflict`, or with `disk-full`.
   */
  async plan(stage: Stage, purpose: Purpose): Promise<Plan> {
    return await this.#draftOf(stage).plan(this.#parts.head.now(), purpose)
  }

  /** The stage has ended. */
  drop(stage: StageId): void {
    this.#drafts.delete(stage)
  }

  /** Resolves when nothing is being planned ahead. */
  async idle(): Promise<void> {
    while (this.#ahead !== undefined) await this.#ahead
  }

  /** Ends what is planned ahead. */
  async close(): Promise<void> {
    this.#isClosing = true
    await this.idle()
  }

  #draftOf(stage: Stage): Draft {
    const known = this.#drafts.get(stage.id)
    if (known !== undefined) return known
    this.#dropEnded()
    const { ledger } = this.#parts
    const draft = new Draft(
      {
        ...this.#parts,
        changes: ledger.changes,
        budget: this.#budget,
        beingWritten: () => this.#writing.get(stage.id) ?? [],
        isClosing: () => this.#isClosing,
      },
      stage,
    )
    this.#drafts.set(stage.id, draft)
    return draft
  }

  #dropEnded(): void {
    for (const id of this.#drafts.keys()) if (!this.#isOpen(id)) this.#drafts.delete(id)
  }

  #isOpen(id: StageId): boolean {
    return this.#parts.ledger.stages.get(id)?.state === 'open'
  }

  #begin(id: StageId, rows: readonly ChangeRow[]): void {
    const writing = this.#writing.get(id) ?? new Set()
    this.#writing.set(id, writing)
    writing.add(rows)
    const stage = this.#parts.ledger.stages.get(id)
    if (stage?.state === 'open') this.#draftOf(stage).touch(rows)
  }

  #end(id: StageId, rows: readonly ChangeRow[]): void {
    const writing = this.#writing.get(id)
    writing?.delete(rows)
    if (writing?.size === 0) this.#writing.delete(id)
    this.#drafts.peek(id)?.touch(rows)
  }

  /** One plan at a time; what becomes due meanwhile comes after it. */
  #planAhead(): void {
    if (this.#ahead !== undefined || this.#isClosing) return
    const due = [...this.#drafts.keys()].find((id) => this.#isDue(id))
    const draft = due && this.#drafts.peek(due)
    if (draft === undefined) return
    this.#ahead = this.#bringUpToDate(draft)
  }

  #isDue(id: StageId): boolean {
    const touched = this.#drafts.peek(id)?.touched ?? 0
    if (touched < FEW || !this.#isOpen(id)) return false
    const changes = this.#parts.ledger.changes.count(id)
    return changes <= LIMITS.draftChanges && touched >= changes / SHARE
  }

  async #bringUpToDate(draft: Draft): Promise<void> {
    try {
      await draft.plan(this.#parts.head.now())
    } catch (error) {
      // What is a failure the commit will meet as well, and tell to somebody who has asked.
      if (!(error instanceof DepotError))
        this.#parts.log.warn({ err: error }, 'a plan could not be made ahead')
    }
    this.#ahead = undefined
    this.#planAhead()
  }
}
