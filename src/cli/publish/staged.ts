/**
 * A change to the depot, made in one of two ways: in a stage of its own that is committed at once, or in a stage that
 * somebody opened and will commit. A stage of our own is given up when anything fails, so that it leases nothing.
 */
import type { Client, Staging } from '../../client/client.ts'
import type { Generation } from '../../model/generation.ts'
import type { ChangeOptions } from '../options.ts'
import { EXIT, type Shell } from '../shell.ts'

export type Outcome =
  | { readonly kind: 'staged'; readonly stage: string }
  | { readonly kind: 'committed' | 'unchanged'; readonly generation: Generation }

const GIVE_UP_MS = 5_000

/** `message` is what the log says when the user gave no words. */
export async function change(
  client: Client,
  { stage, message }: Pick<ChangeOptions, 'stage' | 'message'> & { readonly message: string },
  fill: (staging: Staging) => Promise<void>,
  signal: AbortSignal,
): Promise<Outcome> {
  if (stage !== undefined) {
    await fill(client.stage(stage))
    return { kind: 'staged', stage }
  }
  const staging = await client.openStage({ message }, signal)
  try {
    await fill(staging)
    const { generation, changed } = await staging.commit({ message }, signal)
    return { kind: changed ? 'committed' : 'unchanged', generation }
  } catch (error) {
    // The first failure is the one to tell. What cannot be aborted now expires by itself.
    await staging.abort(AbortSignal.timeout(GIVE_UP_MS)).catch(() => undefined)
    throw error
  }
}

/** The members that tell of an outcome in JSON. */
export function outcomeMembers(outcome: Outcome): Readonly<Record<string, unknown>> {
  if (outcome.kind === 'staged') return { stage: outcome.stage }
  return { generation: outcome.generation.gid, changed: outcome.kind === 'committed' }
}

/** The end of a sentence like "published left-pad 1.3.0". */
export function outcomeText(outcome: Outcome): string {
  if (outcome.kind === 'staged') return `staged in ${outcome.stage}, not committed`
  const { gid, state } = outcome.generation
  if (outcome.kind === 'unchanged') return `nothing to do, it is all in ${gid}`
  return state === 'active' ? `generation ${gid}` : `generation ${gid}, which is ${state} and not active yet`
}

export function leaveWith(shell: Pick<Shell, 'leave'>, outcome: Outcome): void {
  if (outcome.kind === 'unchanged') shell.leave(EXIT.nothingToDo)
}
