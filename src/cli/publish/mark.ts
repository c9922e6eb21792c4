/**
 * `depot stage mark`: a release stays what it is and gets a mark, or loses it. Ranges skip what is yanked.
 */
import { type Command, Option } from 'commander'
import type { ReleaseStatus } from '../../wire/bodies.ts'
import { connectToWrite } from '../connection.ts'
import { doing } from '../doing.ts'
import { type DepotOptions, withDepot } from '../options.ts'
import { parseRelease } from '../release-name.ts'
import type { Shell } from '../shell.ts'

interface MarkOptions extends DepotOptions {
  readonly channel: string
  readonly status: ReleaseStatus | 'none'
  readonly reason?: string
}

export function addMark(family: Command, shell: Shell): void {
  withDepot(family.command('mark'))
    .description('stage that a release is yanked or deprecated, or neither')
    .argument('<stage>', 'id of the stage')
    .argument('<release>', 'name@version')
    .requiredOption('--channel <name>', 'channel that offers it')
    .addOption(
      new Option('--status <status>', 'the mark')
        .choices(['yanked', 'deprecated', 'none'])
        .makeOptionMandatory(),
    )
    .option('--reason <text>', 'why, for those who use it')
    .action(
      doing(shell, async (output, options: MarkOptions, stage: string, release: string) => {
        const { name, version } = parseRelease(release)
        const { channel, reason } = options
        const status = options.status === 'none' ? null : options.status
        const client = await connectToWrite(shell, options)
        const mark = { status, ...(reason === undefined ? {} : { reason }) }
        await client.stage(stage).mark(channel, name, version, mark, shell.signal)
        await output.say(
          { stage, channel, name, version, ...mark },
          `${name} ${version} is ${status ?? 'no longer marked'} when ${stage} is committed`,
        )
      }),
    )
}
