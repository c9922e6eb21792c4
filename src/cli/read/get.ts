/**
 * `depot get <name>[@range]`: the newest release that matches, written into a folder, or one file of it to stdout.
 */
import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import type { Session } from '../../client/client.ts'
import { failure } from '../../model/errors.ts'
import { type ChannelName, parseChannelName } from '../../model/name.ts'
import type { ReleaseBody } from '../../wire/bodies.ts'
import { connect } from '../connection.ts'
import { doing } from '../doing.ts'
import { type DepotOptions, withDepot } from '../options.ts'
import type { Output } from '../output.ts'
import { progressBar, withBar } from '../progress.ts'
import { parseWish, type Wish } from '../release-name.ts'
import { type Shell, UsageError } from '../shell.ts'
import { countText, sizeText } from '../wording.ts'

interface GetOptions extends DepotOptions {
  readonly channel: string
  readonly generation?: string
  readonly to?: string
  readonly file?: string
  readonly os?: string
  readonly cpu?: string
}

export function addGet(parent: Command, shell: Shell): void {
  withDepot(parent.command('get'))
    .description('download the newest release that matches')
    .argument('<release>', 'name, name@version or name@range')
    .requiredOption('--channel <name>', 'channel to get it from')
    .option('--generation <ref>', 'as this generation has it')
    .option('--to <dir>', 'folder to write to; by default <name>-<version>')
    .option('--file <path>', 'write only this file of it, to stdout')
    .option('--os <name>', 'only files for this operating system, and for all')
    .option('--cpu <name>', 'only files for this processor, and for all')
    .action(
      doing(shell, async (output, options: GetOptions, text: string) => {
        if (options.file !== undefined && options.json === true)
          throw new UsageError('--file writes bytes to stdout, so it cannot go with --json')
        const channel = parseChannelName(options.channel)
        const client = await connect(shell, options)
        const session = await client.session(options.generation, shell.signal)
        const release = await findRelease(session, channel, parseWish(text), shell.signal)
        warn(output, release)
        if (options.file === undefined)
          await download(shell, output, session, { ...options, channel, release })
        else await writeFile(shell, output, session, { ...release, channel, path: options.file })
      }),
    )
}

/** A yanked release is found only by its very version. */
async function findRelease(
  session: Session,
  channel: ChannelName,
  { name, version }: Wish,
  signal: AbortSignal,
): Promise<ReleaseBody> {
  for await (const release of session.releases(channel, name, version ?? '*', signal)) return release
  // A range leaves out what is yanked and what is a prerelease; a bare name means those too when there is nothing else.
  for await (const release of session.releases(channel, name, undefined, signal)) {
    if (version === undefined ? release.status !== 'yanked' : release.version === version) return release
  }
  const what = version === undefined ? `release ${name}` : `release ${name} that matches ${version}`
  throw failure('not-found', { what: `${what} in channel ${channel}` })
}

function warn(output: Output, { name, version, status, reason }: ReleaseBody): void {
  if (status === undefined) return
  output.note(`note: ${name} ${version} is ${status}${reason === undefined ? '' : `: ${reason}`}`)
}

interface Download extends GetOptions {
  readonly channel: ChannelName
  readonly release: ReleaseBody
}

async function download(shell: Shell, output: Output, session: Session, wanted: Download): Promise<void> {
  const { channel, release, to, os, cpu } = wanted
  const { name, version } = release
  const folder = resolve(shell.folder, to ?? folderOf(release))
  const there = await stat(folder).catch(() => undefined)
  if (there?.isDirectory() === false)
    throw new UsageError(`${folder} is no folder; give another one with --to`)
  const bar = progressBar(shell, 'downloading', 'bytes')
  const manifest = await withBar(bar, async () => {
    const system = { ...(os === undefined ? {} : { os }), ...(cpu === undefined ? {} : { cpu }) }
    return await session.download(
      { channel, name, version, folder, ...system, onProgress: bar.update },
      shell.signal,
    )
  })
  const files = manifest.files.filter((file) => fits(file.os, os) && fits(file.cpu, cpu))
  const bytes = files.reduce((sum, { size }) => sum + size, 0)
  const generation = session.generation.gid
  await output.say(
    { generation, channel, name, version, manifest: release.manifest, folder, files: files.length, bytes },
    `${name} ${version}: ${countText(files.length, 'file')}, ${sizeText(bytes)} in ${folder}`,
  )
}

/** A file that names no system is for all of them, and who names none gets all. */
function fits(named: string | undefined, wanted: string | undefined): boolean {
  return named === undefined || wanted === undefined || named === wanted
}

/** `@scope/name` 1.0.0 goes to `scope-name-1.0.0`. */
function folderOf({ name, version }: ReleaseBody): string {
  return `${name.replace(/^@/, '').replaceAll('/', '-')}-${version}`
}

interface OneFile extends ReleaseBody {
  readonly channel: ChannelName
  readonly path: string
}

async function writeFile(shell: Shell, output: Output, session: Session, wanted: OneFile): Promise<void> {
  const { channel, name, version, path } = wanted
  for await (const bytes of session.file(channel, name, version, path, shell.signal))
    await output.bytes(bytes)
}
