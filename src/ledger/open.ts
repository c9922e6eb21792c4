/**
 * Opens the ledger of a data folder: the store, and one object for each port.
 *
 * Whoever opens it holds the folder's lock (`folder-lock.ts`) and has checked its format (`format.ts`).
 */
import { join } from 'node:path'
import type { EnvironmentSize } from '../disk/environment.ts'
import { isBegun } from '../disk/lmdb-file.ts'
import { failure } from '../model/errors.ts'
import type { Clock, Log } from '../model/world.ts'
import { LmdbChanges } from './changes.ts'
import { LmdbGenerations } from './generations.ts'
import { LmdbRing } from './key-ring.ts'
import { assertKeysFit } from './keys.ts'
import type { Ledger } from './ledger.ts'
import { LmdbLineageNotes } from './lineage/notes.ts'
import { LmdbOutcomes } from './outcomes.ts'
import { LmdbStageBlobs } from './stage-blobs.ts'
import { LmdbStages } from './stages.ts'
import { FILE, type Room, Store } from './store.ts'
import { Sweep } from './sweep.ts'
import { LmdbTokens } from './tokens.ts'
import { Turns } from './turns.ts'

export interface LedgerOptions {
  readonly clock: Clock
  readonly log: Pick<Log, 'warn'>
  /** Asked for whatever is staged, so that it leaves the reserve to commits. */
  readonly room: Room
  /** Whether a depot was begun in this folder: then there must be a generation. */
  readonly wasBegun?: boolean
}

export interface OpenLedger extends Ledger, AsyncDisposable {
  /** Resolves when the rows of ended stages are gone, or cannot be dropped at the moment. */
  swept(): Promise<void>
  /** Facts for metrics; reads a few pages. */
  sizes(): EnvironmentSize
}

/**
 * For a folder in which a depot was begun, before its stores are opened: without its ledger nothing may change there.
 * Fails with `data-unusable`.
 */
export async function demandLedger(folder: string): Promise<void> {
  if (!(await isBegun(join(folder, FILE)))) throw lost(folder)
}

/** Fails with `data-unusable` when the ledger of the folder cannot be used, or `disk-full` when it is new. */
export async function openLedger(folder: string, options: LedgerOptions): Promise<OpenLedger> {
  assertKeysFit()
  const store = await Store.open(folder, options.room)
  let ledger: OpenLedger
  try {
    ledger = await ledgerIn(store, options)
  } catch (cause) {
    await store[Symbol.asyncDispose]()
    throw failure('data-unusable', { folder, reason: `the ledger is damaged: ${String(cause)}` }, { cause })
  }
  if (options.wasBegun !== true || ledger.generations.head() !== undefined) return ledger
  await ledger[Symbol.asyncDispose]()
  throw lost(folder)
}

async function ledgerIn(store: Store, { clock, log }: LedgerOptions): Promise<OpenLedger> {
  const turns = new Turns()
  const sweep = new Sweep(store, log)
  const outcomes = new LmdbOutcomes(store)
  const stages = new LmdbStages({ store, turns, sweep, outcomes, clock, log })
  const generations = new LmdbGenerations({ store, turns, sweep, stages, outcomes })
  await generations.settle()
  const ledger: Ledger = {
    generations,
    stages,
    changes: new LmdbChanges({ store, turns, stages, clock }),
    blobs: new LmdbStageBlobs({ store, turns, stages, clock }),
    outcomes,
    tokens: new LmdbTokens(store),
    ring: new LmdbRing(store),
    notes: new LmdbLineageNotes(store),
  }
  async function close(): Promise<void> {
    await sweep.stop()
    await stages.save()
    await turns.idle()
    await store[Symbol.asyncDispose]()
  }
  let closing: Promise<void> | undefined
  sweep.start()
  return {
    ...ledger,
    swept: async () => await sweep.done(),
    sizes: () => store.sizes(),
    [Symbol.asyncDispose]: async () => await (closing ??= close()),
  }
}

/** A new ledger would begin another lineage over a pool that is full of the old one. */
function lost(folder: string): Error {
  const reason = `a depot was begun here, and ${FILE} has no generation of it; restore ${FILE} from a backup`
  return failure('data-unusable', { folder, reason })
}
