/**
 * Opens everything that the pool keeps in a data folder, and ends what a crash has interrupted.
 *
 *   pool.lmdb          small blobs, nodes, sizes of large blobs, what is derived
 *   pool/<2>/<62>      large blobs
 *   incoming/          what is under way: uploads, and drafts of `put`
 *
 * One process per data folder: whoever opens it has made sure of that.
 */
import { readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Durable, type Files, nodeFiles } from '../disk/durable.ts'
import { Environment, type EnvironmentSize } from '../disk/environment.ts'
import { DiskRoom } from '../disk/room.ts'
import type { Digest } from '../model/digest.ts'
import { type Slices, slices } from '../model/slice.ts'
import type { Clock, Random } from '../model/world.ts'
import { Blobs } from './disk/blobs.ts'
import { LargeBlobs } from './disk/large-blobs.ts'
import { SmallBlobs } from './disk/small-blobs.ts'
import { Table } from './disk/table.ts'
import { DiskIncoming } from './disk-incoming.ts'
import { DiskNodes } from './disk-nodes.ts'
import { DiskPool, DRAFT } from './disk-pool.ts'
import type { Derived, Incoming, Listing, Nodes, Pool } from './pool.ts'

export interface DiskOptions {
  readonly clock: Pick<Clock, 'monotonic'>
  readonly random: Random
  readonly files?: Files
}

export interface DiskStore extends AsyncDisposable {
  readonly pool: Pool & Listing
  /** The same blobs, for whoever ends what was let in before: puts may take from the reserve of a full disk. */
  readonly reserve: Pool
  readonly nodes: Nodes
  readonly incoming: Incoming
  readonly derived: Derived
  /** Of the whole disk: the ledger asks the same one. */
  readonly room: DiskRoom
  /** Of a blob that a scrub found damaged: nobody gets it, and it counts as absent, until it is put again. */
  condemn(digest: Digest): Promise<void>
  /** Facts for metrics; reads a few pages. */
  sizes(): EnvironmentSize
  close(): Promise<void>
}

/** The folder has to be there. Fails with `data-unusable`, or with `disk-full` when it is new and has no room. */
export async function openDiskStore(folder: string, options: DiskOptions): Promise<DiskStore> {
  const path = resolve(folder)
  const files = options.files ?? nodeFiles
  const durable = new Durable(files)
  const room = DiskRoom.on(path, options.clock)
  const environment = await Environment.open({ folder: path, file: FILE, room })
  try {
    for (const name of [POOL, INCOMING]) await durable.folder(join(path, name))
    return await assemble({ path, files, durable, room, environment, options })
  } catch (error) {
    await environment.close()
    throw error
  }
}

const FILE = 'pool.lmdb'
const POOL = 'pool'
const INCOMING = 'incoming'

interface Ground {
  readonly path: string
  readonly files: Files
  readonly durable: Durable
  readonly room: DiskRoom
  readonly environment: Environment
  readonly options: DiskOptions
}

async function assemble(ground: Ground): Promise<DiskStore> {
  const { path, files, durable, room, environment } = ground
  const { clock, random } = ground.options
  const pace = (): Slices => slices(clock)
  const table = (name: string): Table =>
    new Table({ store: environment.table(name), environment, room, slices: pace })
  const large = new LargeBlobs({
    folder: join(path, POOL),
    sizes: table('large'),
    leaving: table('leaving'),
    files,
    durable,
    room,
  })
  const blobs = new Blobs(new SmallBlobs(table('blobs'), pace), large)
  const parts = { blobs, drafts: join(path, INCOMING), files, room, random, slices: pace }
  const nodes = new DiskNodes(table('nodes'), pace)
  const derived = derivedOf(table('derived'))
  await large.finishRemovals()
  await discardDrafts(blobs, parts.drafts)
  const close = async (): Promise<void> => await environment.close()
  return {
    pool: new DiskPool({ ...parts, purpose: 'upload' }),
    reserve: new DiskPool({ ...parts, purpose: 'commit' }),
    nodes,
    incoming: new DiskIncoming(parts),
    derived,
    room,
    condemn: async (digest) => await blobs.condemn(digest),
    sizes: () => environment.size(),
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** What puts have left that a crash has interrupted. Uploads stay: they may go on. */
async function discardDrafts(blobs: Blobs, folder: string): Promise<void> {
  const names = await readdir(folder)
  for (const name of names) if (DRAFT.test(name)) await blobs.discard(join(folder, name))
}

/** Durable as everything in the file is; each row comes whole, thousands of them in several transactions. */
function derivedOf(table: Table): Derived {
  return {
    get: (key) => table.get(key),
    put: async (rows) => await table.put(rows, 'upload'),
    clear: async () => await table.clear(),
  }
}
