/**
 * `depot rollback <ref>`: a new generation that offers what an older one offered. Numbers never go back.
 */
import type { Command } from 'commander'
import { connectToWrite } from '../connection.ts'
import { doing } from '../doing.ts'
import { type DepotOptions, withDepot, withMessage } from '../options.ts'
import { EXIT, type Shell } from '../shell.ts'
import { generationText } from '../wording.ts'

interface RollbackOptions extends DepotOptions {
  readonly message?: string
}

export function addRollback(parent: Command, shell: Shell): void {
  withMessage(withDepot(parent.command('rollback')))
    .description('offer again what an older generation offered, as a new generation')
    .argument('<ref>', 'a generation: its id, its number, or a time (then the newest at or before it)')
    .action(
      doing(shell, async (output, options: RollbackOptions, ref: string) => {
        const client = await connectToWrite(shell, options)
        const { generation, changed } = await client.rollback(ref, options.message, shell.signal)
        await output.say(
          { ...generation, changed },
          changed
            ? generationText(generation)
            : `nothing to do; the head ${generation.gid} offers that already`,
        )
        if (!changed) shell.leave(EXIT.nothingToDo)
      }),
    )
}
