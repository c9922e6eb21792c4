/**
 * Planning a commit: from a head and the rows of a stage to the next metaset, or to the list of conflicts.
 *
 * Nodes of the new trees go into the pool while the plan is made, durable but named by nothing yet; a plan that is
 * thrown away costs room, which a sweep of the pool will have to give back, and nothing else. Only the flip makes it true (DESIGN §2).
 *
 * A stage rebases by itself: its rows are applied to the head, and conflict only where the head differs from the
 * stage's base in the very keys that the stage writes (DESIGN §3, "Many publishers").
 */
import type { Changes, Stage } from '../../ledger/ledger.ts'
import { edit } from '../../metaset/edit.ts'
import { type Key, partsOfKey } from '../../metaset/key.ts'
import type { OnEdit } from '../../metaset/level-editor.ts'
import { conflicts as conflictsWith } from '../../metaset/merge.ts'
import { type Channel, channelIn, emptyChannel, type Metaset } from '../../metaset/metaset.ts'
import type { NodeReader } from '../../metaset/node.ts'
import { encodeBound, encodeRelease } from '../../metaset/release.ts'
import type { Edit } from '../../metaset/source.ts'
import { EMPTY_TREE, type Tree } from '../../metaset/tree.ts'
import { failure } from '../../model/errors.ts'
import { LIMITS } from '../../model/limits.ts'
import { slices } from '../../model/slice.ts'
import type { Clock } from '../../model/world.ts'
import type { Nodes } from '../../pool/pool.ts'
import type { ChannelChange, ReleaseChange } from '../stage/change.ts'
import { Conflicts } from './conflicts.ts'
import { NodeWriter } from './node-writer.ts'
import { channelChangeOf, channelsOf, releaseChangesOf } from './rows.ts'

export interface PlanParts {
  readonly changes: Pick<Changes, 'list' | 'get'>
  readonly reader: NodeReader
  readonly nodes: Pick<Nodes, 'write'>
  readonly clock: Clock
}

/** What a stage began with, and what it is applied to. */
export interface PlanInput {
  readonly stage: Stage
  readonly base: Metaset
  readonly head: Metaset
}

/** The next metaset, its nodes durable. Fails with `conflict`, or `disk-full` when there is no room for the nodes. */
export async function planStage(parts: PlanParts, { stage, base, head }: PlanInput): Promise<Metaset> {
  const conflicts = new Conflicts()
  const writer = new NodeWriter(parts.nodes)
  const channels = new Map(Object.entries(head.channels))
  for (const name of channelsOf(parts.changes, stage.id)) {
    const planner = new ChannelPlanner(parts, { stage, head, name, conflicts, writer })
    channels.set(name, await planner.plan(channelIn(base, name), channelIn(head, name)))
  }
  if (channels.size > LIMITS.channels)
    throw failure('limit-exceeded', { what: 'channels', limit: LIMITS.channels })
  await writer.flush()
  conflicts.refuse()
  return { ...head, channels: Object.fromEntries(channels) }
}

interface ChannelInput {
  readonly stage: Stage
  readonly head: Metaset
  readonly name: string
  readonly conflicts: Conflicts
  readonly writer: NodeWriter
}

class ChannelPlanner {
  readonly #parts: PlanParts
  readonly #input: ChannelInput

  constructor(parts: PlanParts, input: ChannelInput) {
    this.#parts = parts
    this.#input = input
  }

  /** The channel as the stage makes it, from the channel as it was at the base and as it is now. */
  async plan(before: Channel | undefined, now: Channel | undefined): Promise<Channel> {
    const { stage, name } = this.#input
    const change = channelChangeOf(this.#parts.changes, stage.id, name)
    const channel = now ?? emptyChannel('semver')
    this.#compareSettings(change, before, now)
    if (change?.kind === 'drop') return this.#drop(before, channel)
    const { dropped: _, frozen: __, ...settings } = channel.settings
    const frozen = change === undefined ? channel.settings.frozen === true : change.frozen
    await this.#compareReleases(before?.releases, channel.releases)
    return {
      ...channel,
      settings: frozen ? { ...settings, frozen } : settings,
      releases: await this.#edit(channel.releases, this.#releaseEdits()),
      bound: await this.#edit(channel.bound, this.#boundEdits(), this.#compareBound),
    }
  }

  /** A channel that is gone keeps its bound names: what they once meant, they mean for ever. */
  #drop(before: Channel | undefined, channel: Channel): Channel {
    if (before?.releases.root !== channel.releases.root) this.#conflict('changed')
    return { ...emptyChannel(channel.format), settings: { dropped: true }, bound: channel.bound }
  }

  #compareSettings(
    change: ChannelChange | undefined,
    before: Channel | undefined,
    now: Channel | undefined,
  ): void {
    const isThere = isOffered(now)
    if (isOffered(before) && !isThere) this.#conflict('deleted')
    else if (change !== undefined && isThere && !sameSettings(before, now)) this.#conflict('settings')
    else if (change === undefined && now?.settings.frozen === true) this.#conflict('frozen')
  }

  /** Keys that the stage writes and that others have changed since its base, unless both made the same of it. */
  async #compareReleases(before: Tree = EMPTY_TREE, now: Tree): Promise<void> {
    for await (const { key } of conflictsWith(this.#parts.reader, before, now, this.#releaseEdits()))
      this.#conflict('changed', key)
  }

  readonly #compareBound: OnEdit = (key, before, after) => {
    if (before !== undefined && after !== undefined && !before.equals(after)) this.#conflict('bound', key)
  }

  async #edit(tree: Tree, edits: Iterable<Edit>, onEdit?: OnEdit): Promise<Tree> {
    const { reader, clock } = this.#parts
    const { head, writer } = this.#input
    return await edit(reader, tree, edits, {
      salt: head.salt,
      sink: writer,
      slices: slices(clock),
      ...(onEdit === undefined ? {} : { onEdit }),
    })
  }

  *#releaseEdits(): Generator<Edit> {
    for (const { key, change } of this.#releaseChanges())
      yield { key, line: change.kind === 'line' ? encodeRelease(change.release) : undefined }
  }

  /** Removing a release leaves its name bound. */
  *#boundEdits(): Generator<Edit> {
    for (const { key, change } of this.#releaseChanges())
      if (change.kind === 'line') yield { key, line: encodeBound(change.release) }
  }

  #releaseChanges(): Generator<{ readonly key: Key; readonly change: ReleaseChange }> {
    return releaseChangesOf(this.#parts.changes, this.#input.stage.id, this.#input.name)
  }

  #conflict(reason: 'changed' | 'bound' | 'frozen' | 'settings' | 'deleted', key?: Key): void {
    this.#input.conflicts.add({
      channel: this.#input.name,
      ...(key === undefined ? {} : partsOfKey(key)),
      reason,
    })
  }
}

function isOffered(channel: Channel | undefined): boolean {
  return channel !== undefined && channel.settings.dropped !== true
}

function sameSettings(a: Channel | undefined, b: Channel | undefined): boolean {
  return (
    a?.settings.frozen === b?.settings.frozen &&
    a?.settings.dropped === b?.settings.dropped &&
    a?.format === b?.format
  )
}
