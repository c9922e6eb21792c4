/**
 * `depot config show`: what `depot serve` would run by with the same flags, and where each value comes from. Secrets
 * only tell whether they are set.
 */
import type { Command } from 'commander'
import { loadConfig } from '../../app/config.ts'
import { doing } from '../doing.ts'
import { withJson } from '../options.ts'
import type { Shell } from '../shell.ts'
import { givenBy, type SettingFlags, withSettings } from './serve.ts'

export function addConfig(parent: Command, shell: Shell): void {
  const family = parent.command('config').helpCommand(false).description('the settings of depot serve')
  withSettings(withJson(family.command('show')))
    .description('every setting, its value and where that comes from')
    .action(
      doing(shell, async (output, options: SettingFlags) => {
        const { settings, file } = await loadConfig(givenBy(options, shell))
        const lines = settings.map(({ name, value, source, where }) => {
          const from = where === '' ? source : `${source} ${where}`
          return `${name.padEnd(26)}${value.padEnd(24)} ${from}`
        })
        const members = settings.map(({ name, ...setting }) => [name, setting] as const)
        await output.say(
          { ...(file === undefined ? {} : { file }), settings: Object.fromEntries(members) },
          lines.join('\n'),
        )
      }),
    )
}
