/**
 * `depot adopt` and `depot fork`: the two ways out for an origin that has lost generations. Both are asked of the origin
 * while it runs: it goes on serving, and it knows what its replicas have told of numbers.
 */
import type { Command } from 'commander'
import { connectToWrite } from '../connection.ts'
import { doing } from '../doing.ts'
import { type DepotOptions, withDepot } from '../options.ts'
import { progressBar, withBar } from '../progress.ts'
import { EXIT, type Shell } from '../shell.ts'
import { generationText } from '../wording.ts'

export function addAdopt(parent: Command, shell: Shell): void {
  withDepot(parent.command('adopt'))
    .description(
      'bring generations that the origin has lost back from a replica (DEPOT_UPSTREAM_TOKEN where it follows another one)',
    )
    .argument('<url>', 'address of the replica, as the origin reaches it')
    .action(
      doing(shell, async (output, options: DepotOptions, from: string) => {
        const client = await connectToWrite(shell, options)
        // As a replica has it for its upstream. A replica of this origin needs none: one is made.
        const token = shell.environment['DEPOT_UPSTREAM_TOKEN'] ?? ''
        const request = { from, ...(token === '' ? {} : { token }) }
        const bar = progressBar(shell, 'adopted', 'things')
        await withBar(bar, async () => {
          for await (const line of client.adopt(request, shell.signal)) {
            if (line.kind === 'progress') bar.update({ done: line.done, total: line.needed })
            if (line.kind !== 'done') continue
            const { gid, changed } = line
            await output.say(
              { gid, changed },
              changed ? `${gid} is the head again` : `nothing to do; ${gid} is the head there, too`,
            )
            if (!changed) shell.leave(EXIT.nothingToDo)
          }
        })
      }),
    )
}

export function addFork(parent: Command, shell: Shell): void {
  withDepot(parent.command('fork'))
    .description('begin another lineage at the head of the origin, and give up what replicas have beyond it')
    .action(
      doing(shell, async (output, options: DepotOptions) => {
        const client = await connectToWrite(shell, options)
        const generation = await client.fork(shell.signal)
        await output.say(generation, generationText(generation))
      }),
    )
}
