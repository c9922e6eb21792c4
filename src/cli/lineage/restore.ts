/**
 * `depot restore` and `depot takeover`: make the data folder of an origin, of a backup or of a replica.
 */
import type { Command } from 'commander'
import { dataFolder } from '../connection.ts'
import { doing } from '../doing.ts'
import { type DepotOptions, type JsonOption, withJson } from '../options.ts'
import { progressBar, withBar } from '../progress.ts'
import { EXIT, type Shell } from '../shell.ts'
import { countText, generationText, sizeText } from '../wording.ts'
import { warningsTo } from './backup.ts'

interface RestoreOptions extends JsonOption {
  readonly from: string
  readonly data: string
  readonly fork?: boolean
}

export function addRestore(parent: Command, shell: Shell): void {
  withJson(parent.command('restore'))
    .description('make a data folder of a backup; started on it, the origin asks its replicas what is lost')
    .requiredOption('--from <dir>', 'folder of the backup')
    .requiredOption('--data <dir>', 'the new data folder: absent, or empty')
    .option('--fork', 'begin another lineage at the first start, and give up what the backup has not')
    .action(
      doing(shell, async (output, options: RestoreOptions) => {
        const { restore } = await import('../../app/lineage/restore.ts')
        const bar = progressBar(shell, 'restored', 'things')
        const fork = options.fork === true
        const done = await withBar(
          bar,
          async () =>
            await restore({
              from: options.from,
              data: dataFolder(shell, options),
              fork,
              signal: shell.signal,
              log: warningsTo(output),
              onProgress: (so, total) => bar.update({ done: so, total }),
            }),
        )
        const { generation, blobs, nodes, bytes, tokens, older, followers } = done
        const text = [
          `${generation.gid} restored: ${countText(blobs, 'blob')} and ${countText(nodes, 'node')}, ${sizeText(bytes)}, ${countText(tokens, 'token')}`,
          fork ? FORKS : followers > 0 ? ASKS : NOBODY,
        ]
        await output.say(
          { gid: generation.gid, blobs, nodes, bytes, tokens, older, followers, fork },
          text.join('\n'),
        )
      }),
    )
}

const FORKS = 'the first start begins another lineage, above all numbers that replicas tell of'
const ASKS =
  'start it where the origin was: it commits when its replicas have nothing newer; else bring that back with depot adopt, or go on without it with depot fork'
const NOBODY =
  'no replica is known that could tell what was committed after this backup: start it with --allow-unverified if nothing was, or restore with --fork'

export function addTakeover(parent: Command, shell: Shell): void {
  withJson(parent.command('takeover'))
    .description('make the data folder of a stopped replica that of the origin, in another lineage')
    .option('--data <dir>', 'data folder of the replica (DEPOT_DATA)')
    .action(
      doing(shell, async (output, options: DepotOptions) => {
        const { takeOver } = await import('../../app/lineage/takeover.ts')
        const { generation, changed } = await takeOver(dataFolder(shell, options), warningsTo(output))
        await output.say(
          { ...generation, changed },
          changed
            ? `${generationText(generation)}\nstart it as the origin (--role origin), and point the other replicas to it`
            : `nothing to do; ${generation.gid} has begun this lineage by a takeover`,
        )
        if (!changed) shell.leave(EXIT.nothingToDo)
      }),
    )
}
