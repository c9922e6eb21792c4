/**
 * `depot publish <folder>`: a folder becomes a release, committed at once or added to a stage.
 */
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { encodeManifest, type Manifest, sizeOfFiles } from '../../model/manifest.ts'
import { parseChannelName } from '../../model/name.ts'
import { semverOrder } from '../../model/version.ts'
import { connectToWrite } from '../connection.ts'
import { doing } from '../doing.ts'
import { type ChangeOptions, collect, withDepot, withStage } from '../options.ts'
import type { Output } from '../output.ts'
import { progressBar, withBar } from '../progress.ts'
import type { Shell } from '../shell.ts'
import { countText, sizeText } from '../wording.ts'
import { ALWAYS_LEFT_OUT, type ReleaseOptions, releaseOf } from './release.ts'
import { change, leaveWith, outcomeMembers, outcomeText } from './staged.ts'

export interface PublishOptions extends ChangeOptions, ReleaseOptions {
  readonly channel: string
  readonly dryRun?: boolean
}

export function addPublish(parent: Command, shell: Shell): void {
  withRelease(withStage(withDepot(parent.command('publish'))))
    .description('make a folder a release of a channel, and commit it')
    .option('-n, --dry-run', 'show the manifest that would be published, and send nothing')
    .action(
      doing(shell, async (output, options: PublishOptions, folder: string) => {
        await publish(shell, output, options, folder)
      }),
    )
}

/** What `publish` and `stage add` understand alike. */
export function withRelease(command: Command): Command {
  return command
    .argument('<folder>', 'the files of the release')
    .requiredOption('--channel <name>', 'channel to put it into')
    .option('--name <name>', 'name of the release; by default from <folder>/package.json')
    .option('--version <version>', 'version of the release; by default from <folder>/package.json')
    .option('--summary <text>', 'one line about it')
    .option('--os <name>', 'the operating system that its files are for')
    .option('--cpu <name>', 'the processor that its files are for')
    .option(
      '--exclude <pattern>',
      `leave out what matches, may be repeated; always left out: ${ALWAYS_LEFT_OUT.join(', ')}`,
      collect,
    )
}

export async function publish(
  shell: Shell,
  output: Output,
  options: PublishOptions,
  folder: string,
): Promise<void> {
  const channel = parseChannelName(options.channel)
  if (options.dryRun === true) {
    const { manifest } = await releaseOf(resolve(shell.folder, folder), options, shell.signal)
    await output.say(
      { dryRun: true, channel, ...membersOf(manifest), release: manifest },
      previewText(manifest),
    )
    return
  }
  // Before the files are hashed: without a token it would be for nothing.
  const client = await connectToWrite(shell, options)
  const release = await releaseOf(resolve(shell.folder, folder), options, shell.signal)
  const { manifest } = release
  const { name, version } = manifest
  const outcome = await change(
    client,
    { message: `publish ${name} ${version} to ${channel}`, ...options },
    async (staging) => {
      const bar = progressBar(shell, 'uploading', 'bytes')
      await withBar(bar, async () => await staging.upload(release.sources, bar.update, shell.signal))
      await staging.put(channel, manifest, shell.signal)
    },
    shell.signal,
  )
  await output.say(
    { channel, ...membersOf(manifest), ...outcomeMembers(outcome) },
    `${contentText(manifest)} in channel ${channel}; ${outcomeText(outcome)}`,
  )
  leaveWith(shell, outcome)
}

function membersOf(manifest: Manifest): Readonly<Record<string, unknown>> {
  const { name, version, files } = manifest
  const { digest } = encodeManifest(manifest, semverOrder)
  return { name, version, manifest: digest, files: files.length, bytes: sizeOfFiles(manifest) }
}

function contentText(manifest: Manifest): string {
  const { name, version, files } = manifest
  return `${name} ${version}: ${countText(files.length, 'file')}, ${sizeText(sizeOfFiles(manifest))}`
}

function previewText(manifest: Manifest): string {
  const files = manifest.files.map(({ path, size }) => `  ${path}  ${sizeText(size)}`)
  return [contentText(manifest), ...files, 'nothing was sent'].join('\n')
}
