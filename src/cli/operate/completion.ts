/**
 * `depot completion <shell>`: a script that completes the words of this very program, made from its own tree of
 * commands.
 */
import { Argument, type Command } from 'commander'
import { doing } from '../doing.ts'
import { type JsonOption, withJson } from '../options.ts'
import type { Shell } from '../shell.ts'
import { bashScript, fishScript, type Level, zshScript } from './completion-scripts.ts'

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript } as const

export function addCompletion(parent: Command, shell: Shell): void {
  withJson(parent.command('completion'))
    .description('print a script that completes depot commands, for bash, zsh or fish')
    .addArgument(new Argument('<shell>').choices(Object.keys(SCRIPTS)))
    .addHelpText(
      'after',
      [
        '',
        '  bash   eval "$(depot completion bash)"',
        '  zsh    eval "$(depot completion zsh)"',
        '  fish   depot completion fish | source',
      ].join('\n'),
    )
    .action(
      doing(shell, async (output, _options: JsonOption, name: keyof typeof SCRIPTS) => {
        const script = SCRIPTS[name](levelsOf(parent))
        await output.say({ shell: name, script }, script)
      }),
    )
}

/** The program and every command below it, with the words that may follow. */
function levelsOf(command: Command, path: readonly string[] = ['depot']): Level[] {
  const help = command.createHelp()
  const children = help.visibleCommands(command)
  const level: Level = {
    path: path.join(' '),
    commands: children.map((child) => ({ word: child.name(), about: child.description() })),
    options: help.visibleOptions(command).flatMap(({ long, short, description, argChoices, required }) => {
      const words = [long, short].filter((word) => word !== undefined && word !== null)
      return words.map((word) => ({
        word,
        about: description,
        takesValue: required,
        choices: argChoices ?? [],
      }))
    }),
    choices: command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []),
  }
  return [level, ...children.flatMap((child) => levelsOf(child, [...path, child.name()]))]
}
