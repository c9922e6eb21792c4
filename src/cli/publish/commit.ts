/**
 * `depot commit <stage>`: what was staged becomes a generation.
 */
import type { Command } from 'commander'
import { parseGid } from '../../model/generation.ts'
import { connectToWrite } from '../connection.ts'
import { doing } from '../doing.ts'
import { type DepotOptions, withDepot, withMessage } from '../options.ts'
import type { Shell } from '../shell.ts'
import { generationText } from '../wording.ts'
import { leaveWith, outcomeMembers } from './staged.ts'

interface CommitOptions extends DepotOptions {
  readonly message?: string
  readonly onlyOn?: string
  readonly idempotencyKey?: string
}

export function addCommit(parent: Command, shell: Shell): void {
  withMessage(withDepot(parent.command('commit')))
    .description('make what is in a stage the next generation')
    .argument('<stage>', 'id of the stage')
    .option('--only-on <gid>', 'only if this is still the head')
    .option('--idempotency-key <key>', 'the same key gets the same answer, also in another job')
    .action(
      doing(shell, async (output, options: CommitOptions, stage: string) => {
        const { message, onlyOn, idempotencyKey } = options
        const client = await connectToWrite(shell, options)
        const { generation, changed } = await client.stage(stage).commit(
          {
            ...(message === undefined ? {} : { message }),
            ...(onlyOn === undefined ? {} : { onlyOn: parseGid(onlyOn) }),
            ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
          },
          shell.signal,
        )
        const outcome = { kind: changed ? 'committed' : 'unchanged', generation } as const
        await output.say(
          { stage, ...outcomeMembers(outcome), record: generation.record },
          changed ? generationText(generation) : `nothing to do; the head is ${generation.gid}`,
        )
        leaveWith(shell, outcome)
      }),
    )
}
