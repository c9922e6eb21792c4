/**
 * `depot help [command...]`: the help of a command, or of one in a family, like `depot help stage open`.
 */
import type { Command } from 'commander'
import { UsageError } from '../shell.ts'

export function addHelp(parent: Command): void {
  // The one that commander brings knows no families, and takes any word.
  parent.helpCommand(false)
  parent
    .command('help')
    .description('say more about a command')
    .argument('[command...]')
    .action((words: readonly string[]) => {
      let command = parent
      for (const word of words) {
        const found = command.commands.find((child) => child.name() === word)
        if (found === undefined)
          throw new UsageError(`there is no command "${words.join(' ')}"; depot help lists all of them`)
        command = found
      }
      command.outputHelp()
    })
}
