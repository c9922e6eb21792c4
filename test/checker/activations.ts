/**
 * The order of generations as the origin has it: its log, oldest first, written down when all is over.
 */
import type { Client } from '../../src/client/index.ts'
import { monotonicMs, type Recorder } from './recorder.ts'

/**
 * `seenAt` says when somebody was told that a generation is active; what nobody was told of was active before the next
 * one that somebody was, and before now. Put the head into it before the first commit, so that what was there is told
 * from what is made. Ask the origin itself: a replica may not have all of it yet.
 */
export async function recordActivations(
  recorder: Recorder,
  origin: Pick<Client, 'generations'>,
  seenAt: ReadonlyMap<string, number>,
): Promise<void> {
  const newestFirst: string[] = []
  for await (const { gid, state } of origin.generations())
    if (state === 'active' || state === 'retired') newestFirst.push(gid)
  let latest = monotonicMs()
  const lines = newestFirst.map((gid) => {
    latest = Math.min(latest, seenAt.get(gid) ?? latest)
    return { what: 'active', gid, at: latest } as const
  })
  for (const line of lines.toReversed()) recorder.add(line)
}
