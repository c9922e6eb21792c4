/**
 * `depot doctor`: looks at everything that is usually wrong when a depot does not answer as it should. Exits with 1
 * when something fails. No token is ever printed.
 */
import type { Command } from 'commander'
import { addressOf, dataFolder } from '../connection.ts'
import { doing } from '../doing.ts'
import { type DepotOptions, withDepot } from '../options.ts'
import { EXIT, type Shell } from '../shell.ts'
import { checkDataFolder } from './check-data-folder.ts'
import { checkDepot } from './check-depot.ts'
import { checkNode, checkOpenFiles } from './check-machine.ts'

/** One line of what the doctor found. */
export interface Finding {
  readonly check: string
  readonly state: 'ok' | 'warn' | 'fail'
  readonly detail: string
}

export function addDoctor(parent: Command, shell: Shell): void {
  withDepot(parent.command('doctor'))
    .description('check the depot, this machine and the data folder; exits with 1 when something fails')
    .action(
      doing(shell, async (output, options: DepotOptions) => {
        const findings = [
          checkNode(shell.nodeVersion),
          await checkOpenFiles(),
          ...(await checkDataFolder(dataFolder(shell, options))),
          ...(await checkDepot(shell, options, addressOf(shell, options))),
        ]
        const failed = findings.some(({ state }) => state === 'fail')
        const lines = findings.map(({ check, state, detail }) => `${state.padEnd(5)} ${check}: ${detail}`)
        await output.say({ healthy: !failed, findings }, lines.join('\n'))
        if (failed) shell.leave(EXIT.error)
      }),
    )
}
