/**
 * `depot catalog <channel>`: what a channel offers, or what has changed in it since a generation.
 */
import type { Command } from 'commander'
import { parseGid } from '../../model/generation.ts'
import { parseChannelName } from '../../model/name.ts'
import { connect } from '../connection.ts'
import { doing } from '../doing.ts'
import { type DepotOptions, withDepot } from '../options.ts'
import type { Shell } from '../shell.ts'
import { diffText, releaseText } from '../wording.ts'

interface CatalogOptions extends DepotOptions {
  readonly generation?: string
  readonly since?: string
}

export function addCatalog(parent: Command, shell: Shell): void {
  withDepot(parent.command('catalog'))
    .description('list the releases of a channel')
    .argument('<channel>')
    .option('--generation <ref>', 'as it was in this generation')
    .option('--since <gid>', 'only what has changed since this generation')
    .action(
      doing(shell, async (output, options: CatalogOptions, name: string) => {
        const channel = parseChannelName(name)
        const since = options.since === undefined ? undefined : parseGid(options.since)
        const client = await connect(shell, options)
        const session = await client.session(options.generation, shell.signal)
        if (since === undefined) {
          for await (const line of session.catalog(channel, shell.signal))
            await output.say(line, releaseText(line))
        } else {
          for await (const line of session.changes(channel, since, shell.signal))
            await output.say(line, diffText(line))
        }
      }),
    )
}
