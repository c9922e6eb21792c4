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
    const difference = differenceOf(
      entry.before && decodeRelease(entry.before),
      entry.after && decodeRelease(entry.after),
    )
    if (difference !== undefined) yield difference
  }
}

function differenceOf(was: Release | undefined, is: Release | undefined): Difference | undefined {
  if (is === undefined) return was && { op: 'removed', ...was }
  if (was === undefined) return { op: 'added', ...is }
  return { op: 'changed', ...is, ...(was.manifest === is.manifest ? {} : { was: was.manifest }) }
}

/** The channels that differ, in order. */
export function channelsThatDiffer(before: View, after: View): readonly string[] {
  const names = new Set([...Object.keys(before.metaset.channels), ...Object.keys(after.metaset.channels)])
  return [...names]
    .filter((name) => before.known(name)?.releases.root !== after.known(name)?.releases.root)
    .sort()
}
