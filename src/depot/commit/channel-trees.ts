/**
 * The two trees of a channel as a stage makes them: from its rows, or from what was made of them earlier and the rows
 * that were touched since. A tree is a function of its content, so both ways give the same; the second costs what is new.
 */
import type { Changes, StageId } from '../../ledger/ledger.ts'
import { diff } from '../../metaset/diff.ts'
import { edit } from '../../metaset/edit.ts'
import type { Key } from '../../metaset/key.ts'
import type { OnEdit } from '../../metaset/level-editor.ts'
import type { Channel, Metaset } from '../../metaset/metaset.ts'
import type { NodeReader } from '../../metaset/node.ts'
import { lookup } from '../../metaset/read.ts'
import { encodeBound, encodeRelease } from '../../metaset/release.ts'
import type { Edit, Edits } from '../../metaset/source.ts'
import type { Tree } from '../../metaset/tree.ts'
import { slices } from '../../model/slice.ts'
import type { Clock } from '../../model/world.ts'
import { decodeReleaseChange, type ReleaseChange } from '../stage/change.ts'
import type { NodeWriter } from './node-writer.ts'
import { releaseChangesOf } from './rows.ts'

export type Trees = Pick<Channel, 'releases' | 'bound'>

export interface TreesParts {
  readonly changes: Pick<Changes, 'list' | 'get' | 'count'>
  readonly reader: NodeReader
  readonly clock: Clock
}

export interface TreesInput {
  readonly stage: StageId
  readonly channel: string
  readonly salt: Metaset['salt']
  /** The channel as it is. */
  readonly now: Trees
  readonly writer: NodeWriter
  /** Told of names that are bound to something else already. */
  readonly onBound: (key: Key) => void
}

/** What was made of the stage's rows on a head, and what was touched since. */
export interface EarlierTrees {
  readonly head: Trees
  readonly made: Trees
  readonly touched: ReadonlySet<Key>
}

/** Of what others have committed since, so much is taken over; where it is more, making everything anew is no dearer. */
const TAKEN_OVER = 20_000

export class ChannelTrees {
  readonly #parts: TreesParts
  readonly #input: TreesInput

  constructor(parts: TreesParts, input: TreesInput) {
    this.#parts = parts
    this.#input = input
  }

  /** From all rows. */
  async make(): Promise<Trees> {
    const { stage, channel, now } = this.#input
    return {
      releases: await this.#edit(now.releases, releaseEdits(this.#parts.changes, stage, channel)),
      bound: await this.#edit(now.bound, this.#boundEdits(), this.#compareBound),
    }
  }

  /** From what was made earlier, as far as that is quicker. */
  async makeFrom({ head, made, touched }: EarlierTrees): Promise<Trees> {
    const { now } = this.#input
    const releases = await this.#differences(head.releases, now.releases)
    const bound = await this.#differences(head.bound, now.bound)
    if (releases === undefined || bound === undefined) return await this.make()
    const keys = [...touched].sort()
    const rebased = {
      releases: await this.#edit(made.releases, this.#releasesTakenOver(releases)),
      bound: await this.#edit(made.bound, this.#boundTakenOver(bound)),
    }
    // What is edited next is read, and so must have arrived.
    await this.#input.writer.flush()
    return {
      releases: await this.#edit(rebased.releases, this.#touchedReleases(keys)),
      bound: await this.#edit(rebased.bound, this.#touchedBound(keys)),
    }
  }

  async #edit(tree: Tree, edits: Edits, onEdit?: OnEdit): Promise<Tree> {
    const { reader, clock } = this.#parts
    const { salt, writer } = this.#input
    return await edit(reader, tree, edits, {
      salt,
      sink: writer,
      slices: slices(clock),
      ...(onEdit === undefined ? {} : { onEdit }),
    })
  }

  /** Removing a release leaves its name bound. */
  *#boundEdits(): Generator<Edit> {
    for (const { key, change } of this.#rows())
      if (change.kind === 'line') yield { key, line: encodeBound(change.release) }
  }

  readonly #compareBound: OnEdit = (key, before, after) => {
    if (before !== undefined && after !== undefined && !before.equals(after)) this.#input.onBound(key)
  }

  /** What others have changed since, or undefined when it is too much. */
  async #differences(before: Tree, now: Tree): Promise<readonly Edit[] | undefined> {
    const most = Math.min(TAKEN_OVER, this.#parts.changes.count(this.#input.stage))
    const edits: Edit[] = []
    for await (const { key, after } of diff(this.#parts.reader, before, now)) {
      if (edits.length === most) return undefined
      edits.push({ key, line: after })
    }
    return edits
  }

  /** Where the stage has a row of its own, that stands. */
  *#releasesTakenOver(differences: readonly Edit[]): Generator<Edit> {
    for (const difference of differences) if (this.#row(difference.key) === undefined) yield difference
  }

  /** What the stage binds stands already, if it is the same. */
  *#boundTakenOver(differences: readonly Edit[]): Generator<Edit> {
    for (const difference of differences) {
      const row = this.#row(difference.key)
      if (row?.kind !== 'line') yield difference
      else this.#compareBound(difference.key, difference.line, encodeBound(row.release))
    }
  }

  /** The releases of touched keys as they are to be; where the stage has nothing any more, as they are now. */
  async *#touchedReleases(keys: readonly Key[]): AsyncGenerator<Edit> {
    const { reader } = this.#parts
    for (const key of keys) {
      const row = this.#row(key)
      const line =
        row === undefined ? await lookup(reader, this.#input.now.releases, key) : releaseLineOf(row)
      yield { key, line }
    }
  }

  async *#touchedBound(keys: readonly Key[]): AsyncGenerator<Edit> {
    for (const key of keys) {
      const row = this.#row(key)
      const now = await lookup(this.#parts.reader, this.#input.now.bound, key)
      const line = row?.kind === 'line' ? encodeBound(row.release) : now
      this.#compareBound(key, now, line)
      yield { key, line }
    }
  }

  #row(key: Key): ReleaseChange | undefined {
    const { stage, channel } = this.#input
    const value = this.#parts.changes.get(stage, channel, key)
    return value === undefined ? undefined : decodeReleaseChange(value)
  }

  #rows(): Generator<{ readonly key: Key; readonly change: ReleaseChange }> {
    return releaseChangesOf(this.#parts.changes, this.#input.stage, this.#input.channel)
  }
}

/** What the rows of a stage make of the releases of a channel, in the order of keys. */
export function* releaseEdits(
  changes: Pick<Changes, 'list'>,
  stage: StageId,
  channel: string,
): Generator<Edit> {
  for (const { key, change } of releaseChangesOf(changes, stage, channel))
    yield { key, line: releaseLineOf(change) }
}

/** What a change makes of the line of a release. */
function releaseLineOf(change: ReleaseChange): Buffer | undefined {
  return change.kind === 'line' ? encodeRelease(change.release) : undefined
}
