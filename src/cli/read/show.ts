/**
 * `depot show`: one generation, or with `--channel` one release.
 */
import type { Command } from 'commander'
import type { Client } from '../../client/client.ts'
import type { Generation } from '../../model/generation.ts'
import { type Manifest, sizeOfFiles } from '../../model/manifest.ts'
import { parseChannelName } from '../../model/name.ts'
import { connect } from '../connection.ts'
import { doing } from '../doing.ts'
import { type DepotOptions, withDepot } from '../options.ts'
import { parseRelease } from '../release-name.ts'
import { type Shell, UsageError } from '../shell.ts'
import { countText, sizeText } from '../wording.ts'

interface ShowOptions extends DepotOptions {
  readonly channel?: string
  readonly generation?: string
}

export function addShow(parent: Command, shell: Shell): void {
  withDepot(parent.command('show'))
    .description('show a generation, or with --channel the manifest of a release')
    .argument('[what]', 'a generation: id, number or time, by default the head; or name@version')
    .option('--channel <name>', 'show a release of this channel')
    .option('--generation <ref>', 'the release as this generation has it')
    .action(
      doing(shell, async (output, options: ShowOptions, what: string = 'head') => {
        const client = await connect(shell, options)
        if (options.channel === undefined) {
          if (what.includes('@'))
            throw new UsageError(
              `"${what}" is no generation; to show a release, name its channel with --channel`,
            )
          const generation = await client.generation(what, shell.signal)
          await output.say(generation, fullGenerationText(generation))
          return
        }
        const manifest = await findManifest(
          client,
          { ...options, channel: options.channel, release: what },
          shell.signal,
        )
        await output.say(manifest, manifestText(manifest))
      }),
    )
}

interface Wanted {
  readonly channel: string
  readonly generation?: string
  readonly release: string
}

async function findManifest(client: Client, wanted: Wanted, signal: AbortSignal): Promise<Manifest> {
  const { name, version } = parseRelease(wanted.release)
  const channel = parseChannelName(wanted.channel)
  const session = await client.session(wanted.generation, signal)
  return await session.manifest(channel, name, version, signal)
}

function fullGenerationText({ gid, record, state }: Generation): string {
  const { created, publisher, parent, metaset, rollbackOf, message } = record
  const lines: readonly (readonly [string, string | null | undefined])[] = [
    ['generation', gid],
    ['state', state],
    ['created', created],
    ['publisher', publisher],
    ['parent', parent],
    ['metaset', metaset],
    ['rollback of', rollbackOf],
    ['message', message],
  ]
  return tableText(lines)
}

function manifestText(manifest: Manifest): string {
  const { name, version, summary, published, files, dependencies = {} } = manifest
  const needs = Object.entries(dependencies).map(([to, range]) => `  ${to} ${range}`)
  const content = files.map(({ path, size }) => `  ${path}  ${sizeText(size)}`)
  return [
    tableText([
      ['release', `${name} ${version}`],
      ['summary', summary],
      ['published', published],
    ]),
    ...(needs.length === 0 ? [] : ['needs', ...needs]),
    `${countText(files.length, 'file')}, ${sizeText(sizeOfFiles(manifest))}`,
    ...content,
  ].join('\n')
}

/** What is known, a line each. */
function tableText(lines: readonly (readonly [string, string | null | undefined])[]): string {
  return lines
    .filter(([, value]) => value !== undefined && value !== null && value !== '')
    .map(([word, value]) => `${word.padEnd(12)}${value}`)
    .join('\n')
}
