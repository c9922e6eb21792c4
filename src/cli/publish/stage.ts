/**
 * `depot stage ...`: a stage step by step, for many releases in one generation and for many publishers in one stage.
 */
import type { Command } from 'commander'
import type { StageBody } from '../../wire/bodies.ts'
import { connectToWrite } from '../connection.ts'
import { doing } from '../doing.ts'
import { collect, type DepotOptions, withDepot, withMessage } from '../options.ts'
import { parseRelease } from '../release-name.ts'
import type { Shell } from '../shell.ts'
import { countText, releaseText } from '../wording.ts'
import { channelText } from './channel.ts'
import { addMark } from './mark.ts'
import { type PublishOptions, publish, withRelease } from './publish.ts'

interface OpenOptions extends DepotOptions {
  readonly message?: string
  readonly base?: string
  readonly member?: readonly string[]
}

interface RemoveOptions extends DepotOptions {
  readonly channel: string
}

export function addStage(parent: Command, shell: Shell): void {
  const family = parent
    .command('stage')
    .helpCommand(false)
    .description('open a stage, fill it, look at it, give it up')
  for (const add of [addOpen, addList, addShow, addAdd, addRemove, addMark, addPreview, addAbort])
    add(family, shell)
}

function addOpen(family: Command, shell: Shell): void {
  withMessage(withDepot(family.command('open')))
    .description('open a stage and print its id')
    .option('--base <gid>', 'generation to start from; by default the head')
    .option('--member <token id>', 'let this token add to the stage as well; may be repeated', collect)
    .action(
      doing(shell, async (output, options: OpenOptions) => {
        const { message, base, member } = options
        const client = await connectToWrite(shell, options)
        const staging = await client.openStage(
          {
            ...(message === undefined ? {} : { message }),
            ...(base === undefined ? {} : { base }),
            ...(member === undefined ? {} : { members: member }),
          },
          shell.signal,
        )
        await output.say(output.json ? await staging.show(shell.signal) : undefined, staging.id)
      }),
    )
}

function addList(family: Command, shell: Shell): void {
  withDepot(family.command('list'))
    .description('the stages you opened, or all of them for an admin')
    .action(
      doing(shell, async (output, options: DepotOptions) => {
        const client = await connectToWrite(shell, options)
        for (const stage of await client.stages(shell.signal)) await output.say(stage, stageText(stage))
      }),
    )
}

function addShow(family: Command, shell: Shell): void {
  withDepot(family.command('show'))
    .description('what is known of a stage')
    .argument('<stage>', 'id of the stage')
    .action(
      doing(shell, async (output, options: DepotOptions, id: string) => {
        const client = await connectToWrite(shell, options)
        const stage = await client.stage(id).show(shell.signal)
        const gaps = (stage.missing ?? []).map((digest) => `  missing ${digest}`)
        await output.say(stage, [stageText(stage), ...gaps].join('\n'))
      }),
    )
}

function addAdd(family: Command, shell: Shell): void {
  const command = withDepot(family.command('add'))
    .description('add a folder as a release')
    .argument('<stage>', 'id of the stage')
  withRelease(command).action(
    doing(shell, async (output, options: PublishOptions, stage: string, folder: string) => {
      await publish(shell, output, { ...options, stage }, folder)
    }),
  )
}

function addRemove(family: Command, shell: Shell): void {
  withDepot(family.command('remove'))
    .description('stage that a release is no longer offered')
    .argument('<stage>', 'id of the stage')
    .argument('<release>', 'name@version')
    .requiredOption('--channel <name>', 'channel to take it from')
    .action(
      doing(shell, async (output, options: RemoveOptions, stage: string, release: string) => {
        const { name, version } = parseRelease(release)
        const client = await connectToWrite(shell, options)
        await client.stage(stage).remove(options.channel, name, version, shell.signal)
        await output.say(
          { stage, channel: options.channel, name, version },
          `${name} ${version} leaves channel ${options.channel} when ${stage} is committed`,
        )
      }),
    )
}

function addPreview(family: Command, shell: Shell): void {
  withDepot(family.command('preview'))
    .description('what the depot would offer: its channels, or the catalog of one')
    .argument('<stage>', 'id of the stage')
    .argument('[channel]')
    .action(
      doing(shell, async (output, options: DepotOptions, stage: string, channel?: string) => {
        const client = await connectToWrite(shell, options)
        const session = await client.stage(stage).preview(shell.signal)
        if (channel === undefined) {
          for await (const body of session.channels(shell.signal)) await output.say(body, channelText(body))
        } else {
          for await (const line of session.catalog(channel, shell.signal))
            await output.say(line, releaseText(line))
        }
      }),
    )
}

function addAbort(family: Command, shell: Shell): void {
  withDepot(family.command('abort'))
    .description('give a stage up and drop its changes; blobs that were uploaded stay in the depot')
    .argument('<stage>', 'id of the stage')
    .action(
      doing(shell, async (output, options: DepotOptions, stage: string) => {
        const client = await connectToWrite(shell, options)
        await client.stage(stage).abort(shell.signal)
        await output.say(
          { stage, state: 'aborted' },
          `stage ${stage} is aborted, and its changes are dropped`,
        )
      }),
    )
}

function stageText({ id, state, base, changes, missing = [], expires, message }: StageBody): string {
  const gaps = missing.length === 0 ? '' : `, ${countText(missing.length, 'blob')} missing`
  return `${id}  ${state}  ${countText(changes, 'change')}${gaps}  on ${base}  until ${expires}  ${message}`.trimEnd()
}
