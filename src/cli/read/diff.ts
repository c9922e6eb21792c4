/**
 * `depot diff <a> <b>`: what two generations do not have in common. Exits with 10 when there is something.
 */
import type { Command } from 'commander'
import { connect } from '../connection.ts'
import { doing } from '../doing.ts'
import { type DepotOptions, withDepot } from '../options.ts'
import { EXIT, type Shell } from '../shell.ts'
import { diffText } from '../wording.ts'

interface DiffOptions extends DepotOptions {
  readonly channel?: string
}

export function addDiff(parent: Command, shell: Shell): void {
  withDepot(parent.command('diff'))
    .description('list what differs between two generations; exits with 10 when anything does')
    .argument('<a>', 'a generation: id, number or time')
    .argument('<b>', 'a generation: id, number or time')
    .option('--channel <name>', 'in this channel only')
    .action(
      doing(shell, async (output, options: DiffOptions, a: string, b: string) => {
        const client = await connect(shell, options)
        for await (const line of client.diff(a, b, options.channel, shell.signal)) {
          shell.leave(EXIT.differences)
          await output.say(line, diffText(line))
        }
      }),
    )
}
