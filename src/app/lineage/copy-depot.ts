/**
 * Copies a depot into the stores of a folder: its newest generation, its log, its tokens, who follows it, and then what
 * is left of its history. A backup and a restore are both this, in one direction and in the other.
 *
 * What is here already is not copied again, and what a copy that was cut off has brought stays. The head moves when
 * everything that it names is durable: until then the folder is what it was before.
 */
import type { TokensSince } from '../../ledger/ledger.ts'
import type { KnownFollower } from '../../ledger/lineage/notes.ts'
import type { OpenLedger } from '../../ledger/open.ts'
import type { Generation, Gid } from '../../model/generation.ts'
import { UpstreamTrust } from '../../replica/keys/trust.ts'
import { type OnceParts, takeHead, takeHistory, targetOf } from '../../replica/lineage/take.ts'
import { inAll, type ProgressReport, type Tally } from '../../replica/progress.ts'
import type { Upstream } from '../../replica/upstream.ts'
import type { KeysBody } from '../../wire/keys.ts'
import { realClock } from '../world.ts'
import type { OpenFolder } from './open-folder.ts'

/** Where a depot is copied from. */
export interface DepotSource {
  readonly upstream: Upstream
  /** All of them. */
  tokens(signal: AbortSignal): Promise<TokensSince>
  followers(signal: AbortSignal): Promise<readonly KnownFollower[]>
  /** With which it signs; undefined where it has none. */
  keys(signal: AbortSignal): Promise<KeysBody | undefined>
}

/** What came to be here that was not here before. */
export interface Copied {
  readonly generation: Generation
  /** False when that was the head here already. */
  readonly isNew: boolean
  readonly blobs: number
  readonly nodes: number
  readonly bytes: number
  readonly tokens: number
  /** Older generations that have become complete. */
  readonly older: number
}

export interface CopyWish {
  readonly signal: AbortSignal
  /** Blobs that are here of the generation that is being copied. */
  readonly onProgress?: (done: number, needed: number) => void
  /** Called when it is certain that the folder is to have this depot, and before its head moves. */
  readonly prepare?: () => Promise<void>
}

/** Fails as `targetOf` and `UpstreamTrust` do, where the folder has another history than the source, or a newer moment of it. */
export async function copyDepot(
  source: DepotSource,
  to: OpenFolder,
  { signal, onProgress, prepare }: CopyWish,
): Promise<Copied> {
  const { store, ledger, reader, examine } = to
  const { generations, notes } = ledger
  const trust = trustOf(ledger, source)
  const parts: OnceParts = {
    ...store,
    reader,
    examine,
    generations,
    clock: realClock,
    upstream: source.upstream,
    trust,
  }
  const before = generations.head()?.gid
  const count = new Count(onProgress)
  const note = (report: ProgressReport): void => count.note(report)
  // It fails where the folder is of another depot, and then nothing has changed.
  const target = await targetOf(parts, signal)
  await prepare?.()
  const keys = await source.keys(signal)
  if (keys !== undefined) await trust.take(keys)
  const { generation } = await takeHead(parts, target, signal, note)
  const tokens = await source.tokens(signal)
  await adoptTokens(ledger, tokens)
  for (const follower of await source.followers(signal)) await notes.keep(follower)
  const older = await takeHistory(parts, signal, note)
  const isNew = generation.gid !== before
  return { generation, isNew, ...count.sum(), tokens: tokens.tokens.length, older }
}

/** What the folder believes: the keys that it has, and what they lead to; where it has none, those of the source. */
function trustOf({ ring }: Pick<OpenLedger, 'ring'>, source: DepotSource): UpstreamTrust {
  return new UpstreamTrust({
    keys: { view: () => ring.kept(), adopt: async (kept) => await ring.keep(kept) },
    ask: async (signal) => await source.keys(signal),
    given: undefined,
    clock: realClock,
  })
}

/** With what each has used, which a node that only follows does not take over. */
async function adoptTokens({ tokens }: Pick<OpenLedger, 'tokens'>, change: TokensSince): Promise<void> {
  await tokens.adopt(change)
  const used = new Map(tokens.list().map(({ id, usedBytes }) => [id, usedBytes]))
  for (const { id, usedBytes } of change.tokens) {
    const more = usedBytes - (used.get(id) ?? 0)
    if (more > 0) await tokens.use(id, more)
  }
}

/** What has come, of all generations together. */
class Count {
  readonly #reports = new Map<Gid, ProgressReport>()
  readonly #onProgress: CopyWish['onProgress']

  constructor(onProgress: CopyWish['onProgress']) {
    this.#onProgress = onProgress
  }

  note(report: ProgressReport): void {
    this.#reports.set(report.gid, report)
    const { done, total } = inAll(report)
    this.#onProgress?.(done, total)
  }

  sum(): Pick<Copied, 'blobs' | 'nodes' | 'bytes'> {
    const reports = [...this.#reports.values()]
    const over = (tallies: readonly Tally[], what: 'done' | 'doneBytes'): number =>
      tallies.reduce((sum, tally) => sum + tally[what], 0)
    const blobs = reports.flatMap(({ manifests, files }) => [manifests, files])
    const nodes = reports.map((report) => report.nodes)
    return {
      blobs: over(blobs, 'done'),
      nodes: over(nodes, 'done'),
      bytes: over([...blobs, ...nodes], 'doneBytes'),
    }
  }
}
