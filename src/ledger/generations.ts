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
import { decode, encode, isRowOfHeld, linkIn } from './generation-row.ts'
import { numberKey, numberOf, textKey, timeKey } from './keys.ts'
import type { Adoption, Flip, From, Generations, SignedGid } from './ledger.ts'
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
    this.#head = this.#storedHead()
    for (const { value } of this.#tables.lineages.getRange())
      this.#learn(JSON.parse(value.toString()) as Lineage)
  }

  /** Takes away what an adoption that was cut off has left above the head. To be called before anybody writes. */
  async settle(): Promise<void> {
    await this.#ahead.drop()
  }

  head(): Generation | undefined {
    return this.#head
  }

  get(gid: Gid): Generation | undefined {
    const { number } = partsOf(gid)
    const generation = number > this.#headNumber() ? undefined : this.#at(number)
    return generation?.gid === gid ? generation : undefined
  }

  isHeld(gid: Gid): boolean {
    const { number } = partsOf(gid)
    const row = number > this.#headNumber() ? undefined : this.#tables.log.get(numberKey(number))
    return row !== undefined && isRowOfHeld(row, gid)
  }

  list(from: From, limit: number): readonly Generation[] {
    if (from.kind === 'above') return this.#above(from.number, limit)
    const newest = this.#newest(from)
    if (newest === undefined) return []
    const rows = this.#tables.log.getRange({ start: numberKey(newest), reverse: true, limit })
    return [...rows].map(({ value }) => decode(value))
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
      await this.#ahead.drop()
      // Refused before anything is written; and looked at again by the transaction, which must not trust what was.
      const ahead = await this.#ahead.write(this.#freshOf(links, lineages))
      await this.#parts.store.transact(() => this.#planAdoption(links, lineages, ahead))
      for (const lineage of lineages) if (!this.#lineages.has(lineage.id)) this.#learn(lineage)
      const head = decode(encode(last))
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
    const fresh = this.#freshOf(links, lineages)
    const last = fresh.at(-1)
    if (last === undefined) return []
    const left = fresh.filter(({ record }) => record.number > ahead)
    return [
      ...this.#rowsOfLineages(lineages),
      ...left.flatMap((link) => rowsOfLink(this.#tables, link, link === last)),
      [this.#tables.marks, HEAD, numberKey(last.record.number)],
    ]
  }

  /** The links behind the head. Fails with `lineage-foreign` when one of them has a lineage that nobody knows. */
  #freshOf(links: readonly Link[], lineages: readonly Lineage[]): readonly Link[] {
    const head = this.#storedHead()
    const own = head && this.#linkAt(head.record.number)
    const fresh = linksAfter(own, links, (number) => this.#at(number)?.gid)
    const known = new Set(lineages.map(({ id }) => id))
    for (const { gid, record } of fresh) {
      if (!known.has(record.lineage) && !this.#hasLineage(record.lineage))
        throw failure('lineage-foreign', { wanted: gid, generation: head?.gid ?? 'none', floor: false })
      known.add(record.lineage)
    }
    return fresh
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

  #headNumber(): number {
    return this.#head?.record.number ?? -1
  }

  #learn(lineage: Lineage): void {
    this.#lineages.set(lineage.id, lineage)
  }

  #above(number: number, limit: number): readonly Generation[] {
    const head = this.#headNumber()
    if (number >= head) return []
    const start = numberKey(Math.max(-1, Math.floor(number)) + 1)
    const rows = this.#tables.log.getRange({ start, end: numberKey(head + 1), limit })
    return [...rows].map(({ value }) => decode(value))
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

/** A generation in the log, and by its time. */
function rowsOfLink({ log, times }: Tables, link: Link, isHeld: boolean): readonly Row[] {
  const { number, created } = link.record
  return [
    [log, numberKey(number), encode(link, isHeld)],
    [times, timeKey(parseInstant(created)), numberKey(number)],
  ]
}

/** The number in the last key of a table; -1 when it is empty. */
function lastKey(table: Tables['log']): number {
  const [key] = table.getKeys({ reverse: true, limit: 1 })
  return key === undefined ? -1 : numberOf(key)
}
