/**
 * What the tests of the ledger share: a clock that stands still, and generations and stages to write into it.
 */
import { DiskRoom } from '../../src/disk/room.ts'
import type { Flip, Stage, StageId } from '../../src/ledger/ledger.ts'
import { type OpenLedger, openLedger } from '../../src/ledger/open.ts'
import { Store } from '../../src/ledger/store.ts'
import { digestOf } from '../../src/model/digest.ts'
import {
  encodeRecord,
  type Generation,
  type GenerationRecord,
  type Gid,
  gidOf,
  type Lineage,
  type LineageId,
} from '../../src/model/generation.ts'
import { instantOf } from '../../src/model/instant.ts'
import type { Clock } from '../../src/model/world.ts'

export const LINEAGE = 'k3x7m2q5wz4a' as LineageId
export const FIRST_MS = 1_760_000_000_000

/** A clock that moves only when it is told to. */
export class StandingClock implements Clock {
  #now = FIRST_MS
  now(): number {
    return this.#now
  }
  monotonic(): number {
    return this.#now
  }
  advance(milliseconds: number): void {
    this.#now += milliseconds
  }
}

export async function openedLedger(path: string, clock: Clock = new StandingClock()): Promise<OpenLedger> {
  return await openLedger(path, { clock, log: { warn: () => undefined }, room: DiskRoom.on(path, clock) })
}

/** The bare tables, to look into what no port tells, or to damage it. */
export async function openedStore(path: string): Promise<Store> {
  return await Store.open(path, DiskRoom.on(path, new StandingClock()))
}

const FIRST_LINEAGE: Lineage = { id: LINEAGE, parent: null, forkAt: null, reason: 'init' }

/** What is special about a flip. */
interface FlipWish extends Pick<Flip, 'stage' | 'idempotency'> {
  readonly number?: number
  readonly message?: string
  readonly created?: string
  readonly lineage?: LineageId
  /** The lineage that begins with it. */
  readonly born?: Lineage
}

/** The flip to the generation after `parent`; ten seconds younger. */
export function flipAfter(parent: Generation | undefined, more: FlipWish = {}): Flip {
  const { message = '', number = parent === undefined ? 0 : parent.record.number + 1 } = more
  const record: GenerationRecord = {
    v: 1,
    number,
    lineage: more.born?.id ?? more.lineage ?? LINEAGE,
    parent: parent?.gid ?? null,
    parentDigest: parent === undefined ? null : digestOf(encodeRecord(parent.record)),
    metaset: digestOf(`metaset ${number} ${message}`),
    created: more.created ?? instantOf(FIRST_MS + number * 10_000),
    publisher: 'token-1',
    message,
  }
  const bytes = encodeRecord(record)
  return {
    expected: parent?.gid ?? null,
    gid: gidOf(record, bytes),
    record,
    bytes,
    ...(parent === undefined ? { lineage: FIRST_LINEAGE } : {}),
    ...(more.born === undefined ? {} : { lineage: more.born }),
    ...(more.stage === undefined ? {} : { stage: more.stage }),
    ...(more.idempotency === undefined ? {} : { idempotency: more.idempotency }),
  }
}

/** Flips as often as asked, and gives the last generation. */
export async function flipped(ledger: OpenLedger, times: number): Promise<Generation> {
  let head = ledger.generations.head()
  for (let time = 0; time < times; time += 1) head = await ledger.generations.flip(flipAfter(head))
  return head!
}

export function stageOn(base: Gid, id: string, more: Partial<Stage> = {}): Stage {
  return {
    id: id as StageId,
    base,
    state: 'open',
    owner: 'token-1',
    members: [],
    message: '',
    createdMs: FIRST_MS,
    expiresMs: FIRST_MS + 86_400_000,
    edition: 0,
    ...more,
  }
}

/** Opens a stage and tells its id. */
export async function openStage(ledger: OpenLedger, id = 's1', more: Partial<Stage> = {}): Promise<StageId> {
  const stage = stageOn(ledger.generations.head()?.gid ?? ('g0' as Gid), id, more)
  await ledger.stages.open(stage)
  return stage.id
}
