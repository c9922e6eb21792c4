/**
 * Planning a commit: from a head and the rows of a stage to the next metaset, or to the list of conflicts.
 *
 * A stage rebases by itself: its rows are applied to the head, and conflict only where the head differs from the
 * stage's base in the very keys that the stage writes (DESIGN §3, "Many publishers").
 */
import type { Changes, Stage } from '../../ledger/ledger.ts'
import { type Key, partsOfKey } from '../../metaset/key.ts'
import { conflicts as conflictsWith } from '../../metaset/merge.ts'
import { type Channel, channelIn, emptyChannel, type Metaset } from '../../metaset/metaset.ts'
import type { NodeReader } from '../../metaset/node.ts'
import { EMPTY_TREE, type Tree } from '../../metaset/tree.ts'
import { failure } from '../../model/errors.ts'
import { LIMITS } from '../../model/limits.ts'
import type { Clock } from '../../model/world.ts'
import type { ChannelChange } from '../stage/change.ts'
import { ChannelTrees, type EarlierTrees, releaseEdits, type Trees } from './channel-trees.ts'
import { Conflicts } from './conflicts.ts'
import type { NodeWriter } from './node-writer.ts'
import { channelChangeOf, channelsOf } from './rows.ts'
import type { TouchedKeys } from './touched.ts'

export interface PlanParts {
  readonly changes: Pick<Changes, 'list' | 'get' | 'count'>
  readonly reader: NodeReader
  readonly clock: Clock
}

/** What a stage began with, and what it is applied to. */
export interface PlanInput {
  readonly stage: Stage
  readonly base: Metaset
  readonly head: Metaset
  /** Takes the new nodes. */
  readonly writer: NodeWriter
  readonly earlier?: EarlierPlan
}

/** What the stage came to before, on whatever head, and the rows that were touched since. */
export interface EarlierPlan {
  readonly head: Metaset
  readonly made: Metaset
  readonly touched: NonNullable<TouchedKeys>
}

/** The next metaset, all of its nodes handed to the writer. Fails with `conflict`, or as the writer does. */
export async function planStage(parts: PlanParts, input: PlanInput): Promise<Metaset> {
  const { stage, base, head, writer } = input
  const conflicts = new Conflicts()
  const channels = new Map(Object.entries(head.channels))
  const touched = channelsOf(parts.changes, stage.id)
  if (new Set([...channels.keys(), ...touched]).size > LIMITS.channels)
    throw failure('limit-exceeded', { what: 'channels', limit: LIMITS.channels })
  for (const name of touched) {
    const planner = new ChannelPlanner(parts, { ...input, name, conflicts })
    channels.set(name, await planner.plan(channelIn(base, name), channelIn(head, name)))
  }
  await writer.flush()
  conflicts.refuse()
  return { ...head, channels: Object.fromEntries(channels) }
}

interface ChannelInput extends PlanInput {
  readonly name: string
  readonly conflicts: Conflicts
}

const NO_KEYS: ReadonlySet<Key> = new Set()
const NO_TREES: Trees = { releases: EMPTY_TREE, bound: EMPTY_TREE }

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
      ...(await this.#trees(channel)),
    }
  }

  async #trees(now: Trees): Promise<Trees> {
    const { stage, head, name, writer } = this.#input
    const trees = new ChannelTrees(this.#parts, {
      stage: stage.id,
      channel: name,
      salt: head.salt,
      now,
      writer,
      onBound: (key) => this.#conflict('bound', key),
    })
    const earlier = this.#earlier()
    return earlier === undefined ? await trees.make() : await trees.makeFrom(earlier)
  }

  #earlier(): EarlierTrees | undefined {
    const { earlier, name } = this.#input
    if (earlier === undefined) return undefined
    return {
      head: channelIn(earlier.head, name) ?? NO_TREES,
      made: channelIn(earlier.made, name) ?? NO_TREES,
      touched: earlier.touched.get(name) ?? NO_KEYS,
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
    for await (const { key } of conflictsWith(
      this.#parts.reader,
      before,
      now,
      releaseEdits(this.#parts.changes, this.#input.stage.id, this.#input.name),
    ))
      this.#conflict('changed', key)
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
