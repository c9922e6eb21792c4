/**
 * The tree of commands, and the one place where a command ends: with an exit code, and told why if it failed.
 */
import { Command } from 'commander'
import { addBackup } from './lineage/backup.ts'
import { addRestore, addTakeover } from './lineage/restore.ts'
import { addAdopt, addFork } from './lineage/ways-out.ts'
import { addCompletion } from './operate/completion.ts'
import { addConfig } from './operate/config.ts'
import { addDemo } from './operate/demo.ts'
import { addDoctor } from './operate/doctor.ts'
import { addFloor } from './operate/floor.ts'
import { addHelp } from './operate/help.ts'
import { addKey } from './operate/key.ts'
import { addLbConfig } from './operate/lb-config.ts'
import { addReplica } from './operate/replica.ts'
import { addScrub } from './operate/scrub.ts'
import { addServe } from './operate/serve.ts'
import { addToken } from './operate/token.ts'
import { withDepot } from './options.ts'
import { tellFailure } from './problem.ts'
import { addChannel } from './publish/channel.ts'
import { addCommit } from './publish/commit.ts'
import { addImport } from './publish/import.ts'
import { addPublish } from './publish/publish.ts'
import { addRollback } from './publish/rollback.ts'
import { addStage } from './publish/stage.ts'
import { addCatalog } from './read/catalog.ts'
import { addDiff } from './read/diff.ts'
import { addGet } from './read/get.ts'
import { addLog } from './read/log.ts'
import { addShow } from './read/show.ts'
import { EXIT, type Shell } from './shell.ts'

/** Adds one command, or a family of them. */
type AddCommand = (parent: Command, shell: Shell) => void

const GROUPS: readonly { readonly heading: string; readonly commands: readonly AddCommand[] }[] = [
  {
    heading: 'Running a depot:',
    commands: [addServe, addConfig, addToken, addKey, addReplica, addScrub, addDoctor, addLbConfig, addDemo],
  },
  {
    heading: 'Not losing a depot:',
    commands: [addBackup, addRestore, addAdopt, addFork, addTakeover],
  },
  { heading: 'Publishing:', commands: [addPublish, addImport, addStage, addCommit, addChannel, addRollback] },
  { heading: 'Reading:', commands: [addGet, addCatalog, addShow, addLog, addDiff, addFloor] },
  { heading: 'And:', commands: [addCompletion, addHelp] },
]

/** Runs one command line, given without `node` and the script; answers the exit code. */
export async function runProgram(words: readonly string[], version: string, shell: Shell): Promise<number> {
  let exit: number = EXIT.done
  const program = createProgram(version, { ...shell, leave: (code) => void (exit = code) })
  try {
    await program.parseAsync(words, { from: 'user' })
    return exit
  } catch (error) {
    return tellFailure(error, shell, asksForJson(words))
  }
}

export function createProgram(version: string, shell: Shell): Command {
  const program = new Command('depot')
  withDepot(program)
    .description('A versioned package depot: stage, commit, and one pointer flips. No client sees a mix.')
    .version(version, '-V, --version')
    // Else `depot publish --version 1.2.3` would print the version of depot.
    .enablePositionalOptions()
    .exitOverride()
    .showSuggestionAfterError()
    .configureOutput({
      writeOut: (text) => void shell.stdout.write(text),
      writeErr: (text) => void shell.stderr.write(text),
      outputError: () => undefined,
    })
    .hook('preAction', handDown)
  for (const { heading, commands } of GROUPS) {
    program.commandsGroup(heading)
    for (const add of commands) add(program, shell)
  }
  return program
}

/** Options that stand before the command count as if they stood behind it. */
function handDown(program: Command, command: Command): void {
  for (const [name, value] of Object.entries(program.opts())) {
    if (command.getOptionValue(name) === undefined) command.setOptionValue(name, value)
  }
}

/** Read by hand, for commander may be what failed. */
function asksForJson(words: readonly string[]): boolean {
  const end = words.indexOf('--')
  return words.slice(0, end === -1 ? undefined : end).includes('--json')
}
