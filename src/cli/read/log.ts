/**
 * `depot log`: the generations, newest first.
 */
import type { Command } from 'commander'
import { connect } from '../connection.ts'
import { doing } from '../doing.ts'
import { type DepotOptions, whole, withDepot } from '../options.ts'
import type { Shell } from '../shell.ts'
import { generationText } from '../wording.ts'

interface LogOptions extends DepotOptions {
  readonly number: number
  readonly all?: boolean
}

export function addLog(parent: Command, shell: Shell): void {
  withDepot(parent.command('log'))
    .description('list generations, newest first')
    .option('-n, --number <count>', 'how many', whole(1), 20)
    .option('--all', 'all of them')
    .action(
      doing(shell, async (output, options: LogOptions) => {
        let left = options.all === true ? Number.POSITIVE_INFINITY : options.number
        const client = await connect(shell, options)
        for await (const generation of client.generations(shell.signal)) {
          await output.say(generation, generationText(generation))
          left -= 1
          if (left === 0) break
        }
      }),
    )
}
