/**
 * What changed between two generations, release by release, in the order of channel and key. Equal subtrees are
 * skipped, so it costs what changed and not what there is.
 */
import { diff } from '../../metaset/diff.ts'
import type { Channel } from '../../metaset/metaset.ts'
import type { NodeReader } from '../../metaset/node.ts'
import { decodeRelease, type Release } from '../../metaset/release.ts'
import { EMPTY_TREE } from '../../metaset/tree.ts'
import type { Digest } from '../../model/digest.ts'
import type { View } from './view.ts'

export interface Difference extends Release {
  readonly op: 'added' | 'removed' | 'changed'
  /** The manifest before, where it is another one now. */
  readonly was?: Digest
}

/** Of one channel, which either side may lack. */
export async function* differencesOf(
  reader: NodeReader,
  before: Channel | undefined,
  after: Channel | undefined,
): AsyncGenerator<Difference> {
  const from = before?.releases ?? EMPTY_TREE
  const to = after?.releases ?? EMPTY_TREE
  for await (const entry of diff(reader, from, to)) {
    const was = entry.before && decodeRelease(entry.before)
    const is = entry.after && decodeRelease(entry.after)
    if (is === undefined && was !== undefined) yield { op: 'removed', ...was }
    else if (is !== undefined && was === undefined) yield { op: 'added', ...is }
    else if (is !== undefined && was !== undefined)
      yield { op: 'changed', ...is, ...(was.manifest === is.manifest ? {} : { was: was.manifest }) }
  }
}

/** The channels that differ, in order. */
export function channelsThatDiffer(before: View, after: View): readonly string[] {
  const names = new Set([...Object.keys(before.metaset.channels), ...Object.keys(after.metaset.channels)])
  return [...names]
    .filter(
      (name) => before.metaset.channels[name]?.releases.root !== after.metaset.channels[name]?.releases.root,
    )
    .sort()
}
