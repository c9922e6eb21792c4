/**
 * `depot import npm <folder>`: every package that npm installed becomes a release of a channel, in one stage and with
 * one commit.
 */
import { access } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import type { Staging } from '../../client/client.ts'
import type { Imported, Skipped } from '../../format/importer.ts'
import { importNpm } from '../../format/npm.ts'
import { sizeOfFiles } from '../../model/manifest.ts'
import { type ChannelName, parseChannelName } from '../../model/name.ts'
import { connectToWrite } from '../connection.ts'
import { doing } from '../doing.ts'
import { type ChangeOptions, withDepot, withStage } from '../options.ts'
import { progressBar, withBar } from '../progress.ts'
import { EXIT, type Shell, UsageError } from '../shell.ts'
import { countText, sizeText } from '../wording.ts'
import { Loads } from './loads.ts'
import { change, leaveWith, outcomeMembers, outcomeText } from './staged.ts'

interface ImportOptions extends ChangeOptions {
  readonly channel: string
}

export function addImport(parent: Command, shell: Shell): void {
  const family = parent
    .command('import')
    .helpCommand(false)
    .description('make releases of what another packaging system has')
  withStage(withDepot(family.command('npm')))
    .description('every package below a node_modules folder; each name and version once')
    .argument('<folder>', 'a node_modules folder')
    .requiredOption('--channel <name>', 'channel to put them into')
    .action(
      doing(shell, async (output, options: ImportOptions, folder: string) => {
        const channel = parseChannelName(options.channel)
        await access(resolve(shell.folder, folder))
        const client = await connectToWrite(shell, options)
        const tally = new Tally()
        const outcome = await change(
          client,
          { message: `import npm packages to ${channel}`, ...options },
          async (staging) => await importAll(shell, { staging, channel, folder, tally }),
          shell.signal,
        )
        for (const { path, detail } of tally.refused) output.note(`skipped ${path}: ${detail}`)
        await output.say(
          { channel, ...tally.members(), ...outcomeMembers(outcome) },
          `${tally.text()} in channel ${channel}; ${outcomeText(outcome)}`,
        )
        if (tally.refused.length > 0) shell.leave(EXIT.partlyDone)
        else leaveWith(shell, outcome)
      }),
    )
}

interface Import {
  readonly staging: Staging
  readonly channel: ChannelName
  readonly folder: string
  readonly tally: Tally
}

async function importAll(shell: Shell, { staging, channel, folder, tally }: Import): Promise<void> {
  const loads = new Loads(staging, channel, shell.signal)
  const bar = progressBar(shell, 'importing packages', 'things')
  await withBar(bar, async () => {
    for await (const imported of importNpm(resolve(shell.folder, folder), shell.signal)) {
      tally.count(imported)
      bar.update({ done: tally.seen, total: tally.folders })
      if (imported.kind === 'release') await loads.add(imported)
    }
    if (tally.releases === 0)
      throw new UsageError(`there is no package in ${folder}; give a node_modules folder`)
    await loads.finish()
  })
}

/** What came of the folders so far. */
class Tally {
  folders = 0
  releases = 0
  #files = 0
  #bytes = 0
  #linksLeftOut = 0
  readonly #skipped: Record<Skipped, number> = { unnamed: 0, refused: 0, link: 0, repeated: 0 }
  /** They have a name and version, and yet no release could be made of them. */
  readonly refused: Extract<Imported, { kind: 'skipped' }>[] = []

  get seen(): number {
    return this.releases + Object.values(this.#skipped).reduce((sum, count) => sum + count, 0)
  }

  count(imported: Imported): void {
    switch (imported.kind) {
      case 'found':
        this.folders = imported.folders
        break
      case 'release':
        this.releases += 1
        this.#files += imported.manifest.files.length
        this.#bytes += sizeOfFiles(imported.manifest)
        this.#linksLeftOut += imported.linksLeftOut
        break
      case 'skipped':
        this.#skipped[imported.why] += 1
        if (imported.why === 'refused') this.refused.push(imported)
    }
  }

  members(): Readonly<Record<string, unknown>> {
    const { releases } = this
    const counts = { releases, files: this.#files, bytes: this.#bytes }
    return { ...counts, skipped: this.#skipped, linksLeftOut: this.#linksLeftOut, refused: this.refused }
  }

  text(): string {
    const left = Object.entries({ ...this.#skipped, 'link in a package': this.#linksLeftOut })
      .filter(([, count]) => count > 0)
      .map(([why, count]) => `${count} ${why}`)
    const skipped = left.length === 0 ? '' : ` (left out: ${left.join(', ')})`
    const content = `${countText(this.#files, 'file')}, ${sizeText(this.#bytes)}`
    return `${countText(this.releases, 'release')}: ${content}${skipped}`
  }
}
