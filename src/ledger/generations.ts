/**
 * The log of generations, the lineages, and what moves the head: the flip of a depot that commits, and the adoption of
 * what an upstream has committed.
 *
 * The head is kept in memory and moved only when the transaction of its flip is durable.
 */
import { strict as assert } from 'node:assert'
import { failure } from '../model/errors.ts'
import {
  type Generation,
  type Gid,
  gidOf,
  type Lineage,
  type LineageId,
  partsOf,
} from '../model/generation.ts'
import { parseInstant } from '../model/instant.ts'
import { type Link, linksAfter, linksOf } from './chain.ts'
import { decode, encode, isRowOfHeld, lastKey, linkIn, rowsOfLink } from './generation-row.ts'
import { numberKey, numberOf, textKey, timeKey } from './keys.ts'
import type { Adoption, Flip, From, Generations, SignedGid } from './ledger.ts'
import { demandLineages, type ForkPoint, forkPointOf } from './lineage/fork-point.ts'
import { LogRows } from './lineage/log-rows.ts'
import { LogAhead } from './log-ahead.ts'
import type { LmdbOutcomes } from './outcomes.ts'
import type { LmdbStages } from './stages.ts'
import type { Row, Store, Tables } from './store.ts'
import type { Sweep } from './sweep.ts'
import type { Turns } from './turns.ts'

export interface GenerationParts {
  readonly store: Store
  readonly turns: Turns
  readonly sweep: Sweep
  readonly stages: LmdbStages
  readonly outcomes: LmdbOutcomes
}

const HEAD = textKey('head')
/** No stage is called so: the turns of those who adopt. */
const ADOPTION = 'an adoption'

export class LmdbGenerations implements Generations {
  readonly #parts: GenerationParts
  readonly #tables: Tables
  readonly #lineages = new Map<LineageId, Lineage>()
  readonly #ahead: LogAhead
  readonly #rows: LogRows
  #head: Generation | undefined

  constructor(parts: GenerationParts) {
    this.#parts = parts
    this.#tables = parts.store.tables
    this.#ahead = new LogAhead({
      store: parts.store,
      headNumber: () => this.#storedHead()?.record.number ?? -1,
      rowsOf: (link) => rowsOfLink(this.#tables, link, false),
      linkIn,
    })
    this.#rows = new LogRows(parts.store, (value) => rowsOfLink(this.#tables, linkIn(value), true))
    this.#head = this.#storedHead()
    for (const { value } of this.#tables.lineages.getRange())
      this.#learn(JSON.parse(value.toString()) as Lineage)
  }

  /** Takes away rows that nobody sees, which an adoption has left in the log. To be called before anybody writes. */
  async settle(): Promise<void> {
    await this.#ahead.drop()
    await this.#rows.drop()
  }

  head(): Generation | undefined {
    return this.#head
  }

  get(gid: Gid): Generation | undefined {
    const { number } = partsOf(gid)
    const generation = this.#isSeen(number) ? this.#at(number) : undefined
    return generation?.gid === gid ? generation : undefined
  }

  isHeld(gid: Gid): boolean {
    const { number } = partsOf(gid)
    const row = this.#isSeen(number) ? this.#tables.log.get(numberKey(number)) : undefined
    return row !== undefined && isRowOfHeld(row, gid)
  }

  list(from: From, limit: number): readonly Generation[] {
    if (from.kind === 'above') return this.#above(from.number, limit)
    const newest = this.#newest(from)
    return newest === undefined ? [] : this.#rows.down(newest, limit).map(decode)
  }

  lineages(): ReadonlyMap<LineageId, Lineage> {
    return this.#lineages
  }

  async flip(flip: Flip): Promise<Generation> {
    const { store, turns, stages, sweep } = this.#parts
    const generation = decode(encode(flip))
    assert(gidOf(generation.record, flip.bytes) === flip.gid, `${flip.gid} is not the id of these bytes`)
    const commit = async (): Promise<void> => {
      await store.transact(() => this.#plan(flip))
      this.#move(generation, flip)
    }
    const id = flip.stage?.id
    if (id === undefined) await commit()
    else
      await turns.alone(id, async () => {
        await commit()
        stages.ended(id)
      })
    sweep.start()
    return generation
  }

  async adopt({ lineages, records }: Adoption): Promise<Generation> {
    const links = await linksOf(records)
    const last = links.at(-1)
    assert(last !== undefined, 'nothing is to be adopted')
    return await this.#parts.turns.alone(ADOPTION, async () => {
      await this.settle()
      // Refused before anything is written; and looked at again by the transaction, which must not trust what was.
      const { fresh, fork } = this.#freshOf(links, lineages)
      const ahead = await this.#ahead.write(fresh)
      await this.#parts.store.transact(() => this.#planAdoption(links, lineages, ahead))
      for (const lineage of lineages) if (!this.#lineages.has(lineage.id)) this.#learn(lineage)
      const head = decode(encode(last))
      if (fork !== undefined) this.#rows.lose(fork.lost)
      this.#raise(head)
      return head
    })
  }

  async hold(gid: Gid): Promise<void> {
    const { log } = this.#tables
    await this.#parts.store.transact(() => {
      const { number } = partsOf(gid)
      const link = this.#linkAt(number)
      assert(link?.gid === gid && number <= this.#headNumber(), `the log has ${gid}`)
      return [[log, numberKey(number), encode(link)]]
    })
  }

  async sign(signed: readonly SignedGid[]): Promise<void> {
    const { log } = this.#tables
    await this.#parts.store.transact(() =>
      signed.map(({ gid, signatures }) => {
        const { number } = partsOf(gid)
        const link = this.#linkAt(number)
        assert(link?.gid === gid && number <= this.#headNumber(), `the log has ${gid}`)
        return [log, numberKey(number), encode({ ...link, signatures }, this.isHeld(gid))]
      }),
    )
    this.#head = this.#at(this.#headNumber())
  }

  /**
   * Checks an adoption against what the transaction sees, and gives the rows of all that becomes true with it, but for the
   * generations up to the number `ahead`, whose rows are there.
   */
  #planAdoption(links: readonly Link[], lineages: readonly Lineage[], ahead = -1): readonly Row[] {
    const { fresh, fork } = this.#freshOf(links, lineages)
    const last = fresh.at(-1)
    if (last === undefined) return []
    const left = fresh.filter(({ record }) => record.number > ahead)
    return [
      ...(fork === undefined ? [] : [this.#rows.rowOf(fork.lost)]),
      ...this.#rowsOfLineages(lineages),
      ...left.flatMap((link) => rowsOfLink(this.#tables, link, link === last)),
      [this.#tables.marks, HEAD, numberKey(last.record.number)],
    ]
  }

  /**
   * The links behind the head, or behind the point where a fork has left the own log. Fails with `lineage-foreign` when
   * one of them has a lineage that nobody knows.
   */
  #freshOf(links: readonly Link[], lineages: readonly Lineage[]): Fresh {
    const stored = this.#storedHead()
    const head = stored && this.#linkAt(stored.record.number)
    // What is known here already is not believed anew.
    const known = new Map([...lineages.map((lineage) => [lineage.id, lineage] as const), ...this.#lineages])
    const fork = forkPointOf(head, links, known, (number) => this.#linkAt(number))
    const own = fork?.shared ?? head
    const fresh = linksAfter(own, links, (number) => this.#at(number)?.gid)
    demandLineages(own, fresh, known, head)
    return { fresh, fork }
  }

  /** Of the lineages that are new. */
  #rowsOfLineages(lineages: readonly Lineage[]): readonly Row[] {
    return lineages.filter(({ id }) => !this.#hasLineage(id)).map((lineage) => this.#rowOfLineage(lineage))
  }

  #hasLineage(id: LineageId): boolean {
    return this.#tables.lineages.doesExist(textKey(id))
  }

  /** Checks a flip against what the transaction sees, and gives the rows of all that becomes true with it. */
  #plan(flip: Flip): readonly Row[] {
    const endOfStage = this.#rowsOfStage(flip)
    const head = this.#storedHead()?.gid ?? null
    if (head !== flip.expected)
      throw failure('base-changed', { expected: flip.expected ?? 'none', generation: head ?? 'none' })
    const { lineage, idempotency } = flip
    return [
      ...this.#rowsOfGeneration(flip),
      ...(lineage === undefined ? [] : [this.#rowOfLineage(lineage)]),
      ...(idempotency === undefined ? [] : this.#parts.outcomes.rowsOf(idempotency)),
      ...endOfStage,
    ]
  }

  #rowsOfStage({ stage, gid }: Flip): readonly Row[] {
    if (stage === undefined) return []
    const { stages } = this.#parts
    const found = stages.mustBeOpen(stage.id).stage
    if (found.edition !== stage.edition) throw failure('stage-changed', { stage: stage.id })
    return stages.rowsOfEnd(found, { state: 'committed', committed: gid })
  }

  #rowsOfGeneration(flip: Flip): readonly Row[] {
    const { log, times, lineages, marks } = this.#tables
    const { number, lineage, created } = flip.record
    const time = parseInstant(created)
    assert(number > lastKey(log), `generation ${number} comes after ${lastKey(log)}`)
    assert(time > lastKey(times), `generation ${number} is not created after the one before it`)
    assert(
      flip.lineage?.id === lineage || lineages.doesExist(textKey(lineage)),
      `nobody knows the lineage of ${flip.gid}`,
    )
    return [...rowsOfLink(this.#tables, flip, true), [marks, HEAD, numberKey(number)]]
  }

  #rowOfLineage(lineage: Lineage): Row {
    return [this.#tables.lineages, textKey(lineage.id), Buffer.from(JSON.stringify(lineage))]
  }

  #move(generation: Generation, { lineage }: Flip): void {
    if (lineage !== undefined) this.#learn(lineage)
    this.#raise(generation)
  }

  #raise(generation: Generation): void {
    if (generation.record.number > this.#headNumber()) this.#head = generation
  }

  #isSeen(number: number): boolean {
    return number <= this.#headNumber() && !this.#rows.isLost(number)
  }

  #headNumber(): number {
    return this.#head?.record.number ?? -1
  }

  #learn(lineage: Lineage): void {
    this.#lineages.set(lineage.id, lineage)
  }

  #above(number: number, limit: number): readonly Generation[] {
    const head = this.#headNumber()
    if (number >= head) return []
    return this.#rows.up(Math.max(-1, Math.floor(number)) + 1, head, limit).map(decode)
  }

  /** The number with which a list begins: never beyond the head. */
  #newest(from: Exclude<From, { kind: 'above' }>): number | undefined {
    const head = this.#head?.record.number
    if (head === undefined || from.kind === 'newest') return head
    if (from.kind === 'number') return from.atMost < 0 ? undefined : Math.min(Math.floor(from.atMost), head)
    if (from.atMostMs < 0) return undefined
    const [row] = this.#tables.times.getRange({ start: timeKey(from.atMostMs), reverse: true, limit: 1 })
    return row && Math.min(numberOf(row.value), head)
  }

  #storedHead(): Generation | undefined {
    const number = this.#tables.marks.get(HEAD)
    return number && this.#at(numberOf(number))
  }

  #at(number: number): Generation | undefined {
    const value = this.#tables.log.get(numberKey(number))
    return value && decode(value)
  }

  #linkAt(number: number): Link | undefined {
    const value = this.#tables.log.get(numberKey(number))
    return value && linkIn(value)
  }
}

/** What of an adoption is new, and what it loses, where it leaves the own log. */
interface Fresh {
  readonly fresh: readonly Link[]
  readonly fork: ForkPoint | undefined
}
