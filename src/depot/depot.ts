/**
 * The engine: what can be done with a depot, and by whom. Faces (HTTP, replication, jobs) are handed the parts they
 * use; `openDepot` is where those parts are put together over a pool and a ledger.
 */
import type { Ledger } from '../ledger/ledger.ts'
import type { NodeReader } from '../metaset/node.ts'
import type { Clock, Log, Random } from '../model/world.ts'
import type { Derived, Incoming, Nodes, Pool, Room } from '../pool/pool.ts'
import { Access } from './access.ts'
import { begin } from './begin.ts'
import { Commits } from './commit/commit.ts'
import { Drafts } from './commit/drafts.ts'
import { Head } from './head.ts'
import { Keys } from './keys/keys.ts'
import type { KeySafe } from './keys/safe.ts'
import { openSigning } from './keys/signing.ts'
import type { Examine } from './read/examine.ts'
import { FileIndex } from './read/file-index.ts'
import { NodeCache } from './read/node-cache.ts'
import { Views } from './read/views.ts'
import { Roster } from './roster.ts'
import { StageBlobs } from './stage/add-blobs.ts'
import { StageReleases } from './stage/add-releases.ts'
import { Stages } from './stage/stages.ts'

export interface DepotParts {
  readonly pool: Pool
  /** The same blobs; puts may take from the reserve of a full disk. */
  readonly reserve: Pool
  readonly nodes: Nodes
  readonly incoming: Incoming
  readonly derived: Derived
  readonly room: Room
  readonly ledger: Ledger
  readonly examine: Examine
  readonly clock: Clock
  readonly random: Random
  readonly log: Pick<Log, 'warn'>
  readonly stageIdleMs: number
  /** Private keys of a depot that commits; a replica has none. */
  readonly safe: KeySafe
  /** How long an old key signs beside the new one, and whether one that is lost may be replaced by a new one. */
  readonly keyOverlapMs: number
  readonly replacesLostKey?: boolean
  /** It follows an upstream, and begins nothing of its own: it may open without a head. */
  readonly isReplica?: boolean
}

export interface Depot {
  readonly head: Head
  readonly generations: Ledger['generations']
  readonly views: Views
  readonly reader: NodeReader
  readonly pool: Pool
  readonly nodes: Nodes
  readonly access: Access
  readonly keys: Keys
  readonly roster: Roster
  readonly stages: Stages
  readonly blobs: StageBlobs
  readonly releases: StageReleases
  readonly commits: Commits
  readonly ledger: Ledger
  readonly clock: Clock
  /** Ends what goes on in the background. Nobody may ask for anything any more. */
  close(): Promise<void>
}

/** The engine over opened stores; a depot that is new gets its generation 0, unless it is to be a replica. */
export async function openDepot(parts: DepotParts): Promise<Depot> {
  const { pool, reserve, nodes, incoming, derived, room, examine, clock, random, log } = parts
  const { ledger, signers, turns } = await openSigning(parts)
  const first =
    parts.isReplica === true ? ledger.generations.head() : await begin({ ledger, pool, clock, random })
  const head = new Head(first)
  const reader = new NodeCache(nodes)
  const files = new FileIndex(pool, derived, examine, clock)
  const views = new Views(pool, { nodes: reader, files })
  if (first !== undefined) await views.of(first)
  const drafts = new Drafts({ ledger, reader, nodes, views, head, clock, log })
  const access = new Access(ledger.tokens, clock, random, parts.isReplica)
  return {
    head,
    generations: ledger.generations,
    views,
    reader,
    pool,
    nodes,
    access,
    keys: new Keys({ ring: ledger.ring, head, clock, signers, turns }),
    roster: new Roster(clock),
    stages: new Stages({ ledger, incoming, clock, random, idleMs: parts.stageIdleMs }),
    blobs: new StageBlobs({ ledger, pool, incoming, access, room, clock }),
    releases: new StageReleases({
      ledger: { blobs: ledger.blobs, changes: drafts.watching(ledger.changes) },
      pool,
      nodes: reader,
      files,
      examine,
      access,
      clock,
      head: async () => await views.of(head.now()),
    }),
    commits: new Commits({ ledger, drafts, pool, reserve, views, head, clock }),
    close: async () => await drafts.close(),
    ledger,
    clock,
  }
}
