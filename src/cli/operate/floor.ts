/**
 * `depot floor`: the least generation that a later job must accept. What one job published, the next one then sees,
 * whichever node it asks: `export DEPOT_MIN_GENERATION=$(depot floor)` (PROTOCOL §13).
 */
import type { Command } from 'commander'
import { connect } from '../connection.ts'
import { doing } from '../doing.ts'
import { type DepotOptions, withDepot } from '../options.ts'
import type { Shell } from '../shell.ts'

interface FloorOptions extends DepotOptions {
  readonly env?: boolean
}

export function addFloor(parent: Command, shell: Shell): void {
  withDepot(parent.command('floor'))
    .description('print the id of the head, for DEPOT_MIN_GENERATION of another job')
    .option('--env', 'print it as DEPOT_MIN_GENERATION=..., for a file of variables')
    .action(
      doing(shell, async (output, options: FloorOptions) => {
        const client = await connect(shell, options)
        const { gid } = await client.head(shell.signal)
        await output.say({ floor: gid }, options.env === true ? `DEPOT_MIN_GENERATION=${gid}` : gid)
      }),
    )
}
