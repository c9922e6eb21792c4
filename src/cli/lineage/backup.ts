/**
 * `depot backup ...`: keeps a copy of a depot in a folder, also while it runs, and looks whether a copy is whole.
 */
import type { Command } from 'commander'
import type { BackedUp } from '../../app/lineage/backup.ts'
import type { BackupFinding } from '../../app/lineage/verify.ts'
import { addressOf, dataFolder, findToken, isLoopback } from '../connection.ts'
import { doing } from '../doing.ts'
import { type DepotOptions, type JsonOption, withDepot, withJson } from '../options.ts'
import type { Output } from '../output.ts'
import { progressBar, withBar } from '../progress.ts'
import { EXIT, type Shell } from '../shell.ts'
import { countText, sizeText } from '../wording.ts'

interface CreateOptions extends DepotOptions {
  readonly to: string
}

export function addBackup(parent: Command, shell: Shell): void {
  const family = parent.command('backup').helpCommand(false).description('keep a copy of a depot in a folder')
  addCreate(family, shell)
  addVerify(family, shell)
}

function addCreate(family: Command, shell: Shell): void {
  withDepot(family.command('create', { isDefault: true }))
    .description('bring a backup up to date, also while the depot runs: only what is not in it yet is copied')
    .requiredOption('--to <dir>', 'folder of the backup; made where it is absent')
    .action(
      doing(shell, async (output, options: CreateOptions) => {
        const { backUp } = await import('../../app/lineage/backup.ts')
        const bar = progressBar(shell, 'copied', 'things')
        const token = await findToken(shell, options)
        const url = addressOf(shell, options)
        const done = await withBar(
          bar,
          async () =>
            await backUp({
              // What is on another machine is asked for over its API alone.
              data: isLoopback(url) ? dataFolder(shell, options) : undefined,
              running: token === undefined ? undefined : { url: url.href, token },
              to: options.to,
              signal: shell.signal,
              log: warningsTo(output),
              onProgress: (so, total) => bar.update({ done: so, total }),
            }),
        )
        await output.say(resultOf(done), textOf(done))
        if (!isLoopback(url)) output.note('a backup of another machine has no admin.token and no depot.toml')
      }),
    )
}

function addVerify(family: Command, shell: Shell): void {
  withJson(family.command('verify'))
    .description('check that a backup is whole, and every byte of it; exits with 1 when something is wrong')
    .argument('<dir>', 'folder of the backup')
    .action(
      doing(shell, async (output, _options: JsonOption, folder: string) => {
        const { verifyBackup } = await import('../../app/lineage/verify.ts')
        const log = warningsTo(output)
        for await (const finding of verifyBackup({ folder, signal: shell.signal, log }))
          await tell(output, finding, shell)
      }),
    )
}

async function tell(output: Output, finding: BackupFinding, shell: Shell): Promise<void> {
  switch (finding.kind) {
    case 'progress':
      if (output.json) await output.sayNow(finding, '')
      return
    case 'damaged':
      shell.leave(EXIT.error)
      return await output.sayNow(finding, `damaged: ${finding.digest}: ${finding.reason}`)
    case 'faulty':
      shell.leave(EXIT.error)
      return await output.sayNow(finding, `faulty: ${finding.what}: ${finding.reason}`)
    case 'whole':
      return await output.sayNow(
        finding,
        `head ${finding.gid}, ${countText(finding.generations, 'generation')} and ${countText(finding.tokens, 'token')}`,
      )
    case 'done': {
      if (finding.damaged > 0) shell.leave(EXIT.error)
      const { checked, bytes, damaged } = finding
      await output.say(
        finding,
        `${countText(checked, 'blob')} checked, ${sizeText(bytes)}, ${damaged} damaged`,
      )
    }
  }
}

function resultOf({ generation, isNew, isOnline, ...counts }: BackedUp): object {
  return { gid: generation.gid, changed: isNew, online: isOnline, ...counts }
}

function textOf({ generation, blobs, nodes, bytes, tokens, older, isOnline }: BackedUp): string {
  const how = isOnline ? 'of the running depot' : 'of a depot that does not run'
  const written = `${countText(blobs, 'blob')} and ${countText(nodes, 'node')} written, ${sizeText(bytes)}`
  const more = older === 0 ? '' : `, ${countText(older, 'older generation')}`
  return `${generation.gid} ${how}: ${written}${more}, ${countText(tokens, 'token')}`
}

/** What a store has to say is said beside the result. */
export function warningsTo(output: Output): { warn(fields: object, sentence: string): void } {
  return {
    warn: (_fields, sentence) => {
      output.note(sentence)
    },
  }
}
