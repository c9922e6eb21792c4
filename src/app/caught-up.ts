/**
 * Who writes through a replica is answered when what he wrote is here, so that he finds it where he asks next; but not
 * later than after a while, and at once by a node that lets nobody wait any more (PROTOCOL §5, K7).
 */
import type { Head } from '../depot/head.ts'
import type { Node } from '../depot/node.ts'
import { partsOf } from '../model/generation.ts'
import type { Clock } from '../model/world.ts'

export interface CatchUpParts {
  readonly node: Pick<Node, 'changed'>
  readonly head: Pick<Head, 'now' | 'isThere'>
  readonly clock: Pick<Clock, 'monotonic'>
  /** From then on `changed` resolves at once, whether anything has changed or not. */
  readonly isReleased: () => boolean
}

/** After this long an answer to a write goes out, whether what was written is here or not. */
const CATCH_UP_MS = 2_000
const NEVER = new AbortController().signal

/** `generation` is what an answer says in `Depot-Generation`. Fails with `hold-limit` when too many wait already. */
export async function caughtUp(
  { node, head, clock, isReleased }: CatchUpParts,
  generation: string,
): Promise<void> {
  const [gid = '', state] = generation.split(';')
  // Of a stage: nothing of it comes here before it is committed.
  if (state !== undefined) return
  const wanted = Number(/^g(\d+)\./.exec(gid)?.[1] ?? Number.NaN)
  const ends = clock.monotonic() + CATCH_UP_MS
  for (;;) {
    const left = ends - clock.monotonic()
    const has = head.isThere() ? partsOf(head.now().gid).number : -1
    if (!(has < wanted) || left <= 0 || isReleased()) return
    await node.changed(left, NEVER)
  }
}
