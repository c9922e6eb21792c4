/**
 * `depot backup verify`: whether a backup would make a depot. The log is one chain, its generations have all that they
 * name, and every byte is what its digest says. Nothing is changed.
 */
import { resolve } from 'node:path'
import { wholeOf } from '../../depot/read/whole.ts'
import { decodeMetaset, type Metaset } from '../../metaset/metaset.ts'
import { entries } from '../../metaset/read.ts'
import { type Digest, digestOf } from '../../model/digest.ts'
import { failure, isFailure } from '../../model/errors.ts'
import { checkedRecord, type Generation } from '../../model/generation.ts'
import { LIMITS } from '../../model/limits.ts'
import { slices } from '../../model/slice.ts'
import type { Log } from '../../model/world.ts'
import { type ScrubFinding, scrub } from '../../pool/scrub.ts'
import { copyBlobs } from '../../replica/copy-blobs.ts'
import { StoredUpstream } from '../../replica/lineage/stored-upstream.ts'
import { Progress } from '../../replica/progress.ts'
import { Opened } from '../opened.ts'
import { realClock } from '../world.ts'
import { factsOf } from './folder-kind.ts'
import { lockedFolder, type OpenFolder, openFolder } from './open-folder.ts'

/** What is wrong with the whole, besides single blobs that are damaged. */
export type BackupFinding =
  | ScrubFinding
  | { readonly kind: 'faulty'; readonly what: string; readonly reason: string }
  | { readonly kind: 'whole'; readonly gid: string; readonly generations: number; readonly tokens: number }

export interface VerifyWish {
  readonly folder: string
  readonly signal: AbortSignal
  readonly log: Pick<Log, 'warn'>
}

/** Ends with `done`. Fails with `backup-damaged` when there is nothing that could be looked at. */
export async function* verifyBackup({ folder, signal, log }: VerifyWish): AsyncGenerator<BackupFinding> {
  const path = resolve(folder)
  const facts = await factsOf('backup', path)
  if (facts === undefined)
    throw failure('backup-damaged', { reason: `${path} is no backup: it has no backup.json` })
  const opened = new Opened()
  try {
    opened.use(await lockedFolder(path))
    const backup = opened.use(await openFolder(path, log))
    const head = backup.ledger.generations.head()
    if (head === undefined) throw failure('backup-damaged', { reason: `${path} has no generation` })
    if (facts.gid !== head.gid) {
      const reason = 'the last backup was cut short before its tokens; they are those of an earlier one'
      yield { kind: 'faulty', what: head.gid, reason }
    }
    yield* faultsOfLog(backup)
    yield* faultsOfGenerations(backup, head, signal)
    yield* scrub(backup.store, { clock: realClock, signal })
  } finally {
    await opened[Symbol.asyncDispose]()
  }
}

/** Each record is the one of its id, and names the one before it by its full digest. */
async function* faultsOfLog({ store, ledger }: OpenFolder): AsyncGenerator<BackupFinding> {
  const upstream = new StoredUpstream({ ...store, ...ledger, clock: realClock })
  const pace = slices(realClock)
  let before: Digest | null = null
  for await (const { gid, bytes } of upstream.log(-1, Number.MAX_SAFE_INTEGER)) {
    const reason = reasonOf(() => {
      const { parentDigest } = checkedRecord(gid, bytes)
      if (parentDigest !== before)
        throw failure('digest-mismatch', { expected: String(parentDigest), found: String(before) })
    })
    if (reason !== undefined) yield { kind: 'faulty', what: gid, reason }
    before = digestOf(bytes)
    const pause = pace.breathe()
    if (pause !== undefined) await pause
  }
}

/** The head as a whole, and of the others what they have and it has not. */
async function* faultsOfGenerations(
  backup: OpenFolder,
  head: Generation,
  signal: AbortSignal,
): AsyncGenerator<BackupFinding> {
  const { generations, tokens } = backup.ledger
  const newest = await metasetOf(backup, head)
  let checked = 0
  for (const generation of generations.list({ kind: 'newest' }, LIMITS.backfillGenerations)) {
    if (!generations.isHeld(generation.gid)) continue
    const isHead = generation.gid === head.gid
    const fault = await faultOf(backup, generation, isHead ? undefined : newest, signal)
    if (fault !== undefined) yield { kind: 'faulty', what: generation.gid, reason: fault }
    checked += 1
  }
  yield { kind: 'whole', gid: head.gid, generations: checked, tokens: tokens.list().length }
}

async function faultOf(
  backup: OpenFolder,
  generation: Generation,
  before: Metaset | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const after = await metasetOf(backup, generation)
    await demandTrees(backup, before, after, signal)
    const { store, reader, examine } = backup
    const progress = new Progress(generation.gid)
    const parts = { ...store, reader, examine, clock: realClock, progress, upstream: NOBODY, pulls: NO_PULLS }
    await copyBlobs(parts, { before, after }, signal)
    return undefined
  } catch (error) {
    if (signal.aborted || !isFailure(error)) throw error
    return error.message
  }
}

async function metasetOf({ store }: OpenFolder, { record }: Generation): Promise<Metaset> {
  const blob = await store.pool.open(record.metaset)
  if (blob === undefined) throw failure('blob-unavailable', { digest: record.metaset })
  return decodeMetaset(await wholeOf(blob))
}

/** Reads every node of the trees that the other metaset has not. */
async function demandTrees(
  { reader }: OpenFolder,
  before: Metaset | undefined,
  after: Metaset,
  signal: AbortSignal,
): Promise<void> {
  const pace = slices(realClock)
  const known = new Set(
    Object.values(before?.channels ?? {}).flatMap(({ releases, bound }) => [releases.root, bound.root]),
  )
  for (const tree of Object.values(after.channels).flatMap(({ releases, bound }) => [releases, bound])) {
    if (tree.count === 0 || known.has(tree.root)) continue
    for await (const _ of entries(reader, tree)) {
      signal.throwIfAborted()
      const pause = pace.breathe()
      if (pause !== undefined) await pause
    }
  }
}

/** Whatever is asked for is not here, and there is nobody else. */
const NOBODY = {
  async *blobs(): AsyncGenerator<never> {
    // Nobody has anything.
  },
}
const NO_PULLS = {
  bring: async ({ digest }: { readonly digest: Digest }): Promise<void> => {
    throw await Promise.resolve(failure('blob-unavailable', { digest }))
  },
}

function reasonOf(check: () => void): string | undefined {
  try {
    check()
    return undefined
  } catch (error) {
    if (isFailure(error)) return error.message
    throw error
  }
}
