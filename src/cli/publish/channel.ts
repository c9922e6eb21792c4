/**
 * `depot channel ...`: the channels of a depot. What changes one is a staged change like any other: committed at once,
 * or added to a stage.
 */
import type { Command } from 'commander'
import type { Staging } from '../../client/client.ts'
import { parseChannelName } from '../../model/name.ts'
import type { ChannelBody } from '../../wire/bodies.ts'
import { connect, connectToWrite } from '../connection.ts'
import { doing } from '../doing.ts'
import { type ChangeOptions, type DepotOptions, withDepot, withStage } from '../options.ts'
import type { Shell } from '../shell.ts'
import { countText, sizeText } from '../wording.ts'
import { change, leaveWith, outcomeMembers, outcomeText } from './staged.ts'

interface ReadOptions extends DepotOptions {
  readonly generation?: string
}

/** A verb that changes a channel, and what it does in a stage. */
interface Change {
  readonly verb: string
  readonly description: string
  readonly past: string
  readonly make: (staging: Staging, channel: string, signal: AbortSignal) => Promise<void>
}

const CHANGES: readonly Change[] = [
  {
    verb: 'create',
    description: 'make a new channel',
    past: 'created',
    make: async (staging, channel, signal) => await staging.setChannel(channel, {}, signal),
  },
  {
    verb: 'freeze',
    description: 'let a channel take no changes',
    past: 'frozen',
    make: async (staging, channel, signal) => await staging.setChannel(channel, { frozen: true }, signal),
  },
  {
    verb: 'unfreeze',
    description: 'let a channel take changes again',
    past: 'unfrozen',
    make: async (staging, channel, signal) => await staging.setChannel(channel, { frozen: false }, signal),
  },
  {
    verb: 'remove',
    description: 'take a channel away with all it offers; older generations keep it',
    past: 'removed',
    make: async (staging, channel, signal) => await staging.removeChannel(channel, signal),
  },
]

export function addChannel(parent: Command, shell: Shell): void {
  const family = parent.command('channel').helpCommand(false).description('list, show and change channels')
  addList(family, shell)
  addShow(family, shell)
  for (const kind of CHANGES) addChange(family, shell, kind)
}

/** A line about a channel. */
export function channelText({ name, format, frozen, releases, bytes }: ChannelBody): string {
  const state = frozen ? ', frozen' : ''
  return `${name}  ${countText(releases, 'release')}, ${format}${state}, catalog of ${sizeText(bytes)}`
}

function addList(family: Command, shell: Shell): void {
  withDepot(family.command('list'))
    .description('all channels')
    .option('--generation <ref>', 'as they were in this generation')
    .action(
      doing(shell, async (output, options: ReadOptions) => {
        const client = await connect(shell, options)
        const session = await client.session(options.generation, shell.signal)
        for await (const channel of session.channels(shell.signal))
          await output.say(channel, channelText(channel))
      }),
    )
}

function addShow(family: Command, shell: Shell): void {
  withDepot(family.command('show'))
    .description('one channel')
    .argument('<channel>')
    .option('--generation <ref>', 'as it was in this generation')
    .action(
      doing(shell, async (output, options: ReadOptions, name: string) => {
        const client = await connect(shell, options)
        const session = await client.session(options.generation, shell.signal)
        const channel = await session.channel(parseChannelName(name), shell.signal)
        await output.say(channel, channelText(channel))
      }),
    )
}

function addChange(family: Command, shell: Shell, { verb, description, past, make }: Change): void {
  withStage(withDepot(family.command(verb)))
    .description(description)
    .argument('<channel>')
    .action(
      doing(shell, async (output, options: ChangeOptions, name: string) => {
        const channel = parseChannelName(name)
        const client = await connectToWrite(shell, options)
        const outcome = await change(
          client,
          { message: `${verb} channel ${channel}`, ...options },
          async (staging) => await make(staging, channel, shell.signal),
          shell.signal,
        )
        await output.say(
          { channel, ...outcomeMembers(outcome) },
          `channel ${channel} ${outcome.kind === 'unchanged' ? `was ${past} before` : past}; ${outcomeText(outcome)}`,
        )
        leaveWith(shell, outcome)
      }),
    )
}
