/**
 * The engine over real stores in a folder of its own, with a clock that stands still, and publishing in a sentence.
 */

import { DiskKeySafe } from '../../src/app/key-safe.ts'
import type { Actor } from '../../src/depot/actor.ts'
import type { CommitWish, Outcome } from '../../src/depot/commit/commit.ts'
import { type Depot, openDepot } from '../../src/depot/depot.ts'
import type { KeySafe } from '../../src/depot/keys/safe.ts'
import type { Examine } from '../../src/depot/read/examine.ts'
import type { View } from '../../src/depot/read/view.ts'
import { formatOf } from '../../src/format/format.ts'
import { openExaminer } from '../../src/job/examine-in-worker.ts'
import type { Ledger, Stage } from '../../src/ledger/ledger.ts'
import { openLedger } from '../../src/ledger/open.ts'
import { entries } from '../../src/metaset/read.ts'
import { decodeRelease, type Release } from '../../src/metaset/release.ts'
import { type Digest, digestOf } from '../../src/model/digest.ts'
import { DepotError } from '../../src/model/errors.ts'
import type { Generation, Gid } from '../../src/model/generation.ts'
import { type DiskStore, openDiskStore } from '../../src/pool/open-disk.ts'
import type { Pool } from '../../src/pool/pool.ts'
import { realRandom } from '../support/real-world.ts'
import { type StillClock, stillClock } from '../support/still-clock.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

export interface Stores extends Pick<DiskStore, 'reserve' | 'nodes' | 'incoming' | 'derived' | 'room'> {
  readonly pool: Pool
  readonly ledger: Ledger
}

export interface EngineOptions {
  /** By default one of its own, gone afterwards. */
  readonly folder?: string
  readonly clock?: StillClock
  readonly wrap?: (stores: Stores) => Stores
  /** It begins nothing of its own. */
  readonly isReplica?: boolean
  readonly safe?: KeySafe
  readonly keyOverlapMs?: number
  readonly replacesLostKey?: boolean
}

export interface Engine extends AsyncDisposable {
  readonly depot: Depot
  readonly stores: Stores
  readonly examine: Examine
  readonly clock: StillClock
  readonly folder: string
  readonly safe: KeySafe
  readonly admin: Actor
}

export const IDLE_MS = 3_600_000
export const OVERLAP_MS = 86_400_000

export async function engine(options: EngineOptions = {}): Promise<Engine> {
  const { folder, clock = stillClock(), wrap, isReplica = false } = options
  const own = folder === undefined ? await temporaryFolder() : undefined
  const path = folder ?? own?.path ?? ''
  const store = await openDiskStore(path, { clock, random: realRandom })
  const log = { warn: () => undefined }
  const ledger = await openLedger(path, { clock, log, room: store.room })
  const examiner = openExaminer(formatOf('semver'))
  const { pool, reserve, nodes, incoming, derived, room } = store
  const safe = options.safe ?? new DiskKeySafe({ folder: path, random: realRandom })
  const stores = { pool, reserve, nodes, incoming, derived, room, ledger }
  const wrapped = wrap?.(stores) ?? stores
  const { examine } = examiner
  const parts = {
    ...wrapped,
    examine,
    clock,
    random: realRandom,
    log,
    stageIdleMs: IDLE_MS,
    isReplica,
    safe,
    keyOverlapMs: options.keyOverlapMs ?? OVERLAP_MS,
    replacesLostKey: options.replacesLostKey ?? false,
  }
  let opened: Depot | undefined
  const close = async (): Promise<void> => {
    await opened?.close()
    await examiner.close()
    await ledger[Symbol.asyncDispose]()
    await store.close()
    await own?.[Symbol.asyncDispose]()
  }
  try {
    const depot = await openDepot(parts)
    opened = depot
    return {
      depot,
      stores,
      examine,
      clock,
      folder: path,
      safe,
      admin: await adminOf(depot),
      [Symbol.asyncDispose]: close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** The same one each time the folder is opened. */
async function adminOf(depot: Depot): Promise<Actor> {
  const known = depot.access.list().find(({ label }) => label === 'admin')
  return known ?? (await actorWith({ depot }, 'admin'))
}

/** A token with these scopes, as somebody who asks. */
export async function actorWith(
  { depot }: Pick<Engine, 'depot'>,
  ...scopes: readonly string[]
): Promise<Actor> {
  const { token } = await depot.access.create({ label: scopes.join(' '), scopes })
  return { id: token.id, label: token.label, scopes: token.scopes }
}

export interface Wished {
  readonly channel?: string
  readonly name?: string
  readonly version?: string
  readonly files?: Readonly<Record<string, string>>
  readonly summary?: string
}

/** A release that differs where the wish does. */
export function manifestOf({
  name = 'hello',
  version = '1.0.0',
  files = { 'a.txt': 'a' },
  summary,
}: Wished = {}): {
  readonly text: Buffer
  readonly digest: Digest
  readonly blobs: readonly { readonly digest: Digest; readonly bytes: Buffer }[]
} {
  const blobs = Object.values(files).map((text) => ({ digest: digestOf(text), bytes: Buffer.from(text) }))
  const entriesOf = Object.entries(files).map(([path, text]) => ({
    digest: digestOf(text),
    path,
    size: Buffer.byteLength(text),
  }))
  entriesOf.sort((a, b) => (a.path < b.path ? -1 : 1))
  // Canonical as it stands, so that its digest is known here.
  const text = Buffer.from(
    JSON.stringify({ files: entriesOf, name, ...(summary === undefined ? {} : { summary }), version }),
  )
  return { text, digest: digestOf(text), blobs }
}

export async function open(
  { depot }: Pick<Engine, 'depot'>,
  actor: Actor,
  more: { base?: Generation; members?: readonly string[] } = {},
): Promise<Stage> {
  return await depot.stages.open(actor, {
    base: more.base ?? depot.head.now(),
    message: '',
    members: more.members ?? [],
  })
}

/** Stages a release with its blobs. */
export async function stageRelease(
  { depot }: Pick<Engine, 'depot'>,
  actor: Actor,
  stage: Stage,
  wish: Wished = {},
): Promise<Digest> {
  const { channel = 'stable', name = 'hello', version = '1.0.0' } = wish
  const { text, blobs } = manifestOf(wish)
  await depot.blobs.putAll(actor, stage, blobs)
  return (await depot.releases.put(actor, stage, { channel, name, version }, text)).manifest
}

export async function commit(
  { depot }: Pick<Engine, 'depot'>,
  actor: Actor,
  stage: Stage,
  wish: CommitWish = {},
): Promise<Outcome> {
  return await depot.commits.commit(actor, depot.stages.show(actor, stage.id), wish)
}

/** Stages and commits releases as one generation. */
export async function published(at: Engine, ...wishes: readonly Wished[]): Promise<Generation> {
  const stage = await open(at, at.admin)
  for (const wish of wishes) await stageRelease(at, at.admin, stage, wish)
  return (await commit(at, at.admin, stage)).generation
}

export async function viewOf({ depot }: Pick<Engine, 'depot'>, generation: Generation | Gid): Promise<View> {
  const found = typeof generation === 'string' ? depot.generations.get(generation) : generation
  return await depot.views.of(found!)
}

/** What a channel offers, as `name version` and its mark. */
export async function offered(
  at: Pick<Engine, 'depot'>,
  channel = 'stable',
  generation: Generation = at.depot.head.now(),
): Promise<readonly string[]> {
  const releases = await catalogOf(at, channel, generation)
  return releases.map(({ name, version, status }) => [name, version, status].filter(Boolean).join(' '))
}

export async function catalogOf(
  { depot }: Pick<Engine, 'depot'>,
  channel: string,
  generation: Generation,
): Promise<readonly Release[]> {
  const view = await depot.views.of(generation)
  const releases: Release[] = []
  for await (const { line } of entries(depot.reader, view.channel(channel).releases))
    releases.push(decodeRelease(line))
  return releases
}

/** How it is refused, or `accepted`. What is not a `DepotError` is a bug and is thrown on. */
export async function outcomeOf(act: Promise<unknown>): Promise<string> {
  try {
    await act
    return 'accepted'
  } catch (error) {
    if (error instanceof DepotError) return error.code
    throw error
  }
}
