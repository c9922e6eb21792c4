/**
 * `depot serve`: runs a depot until a signal ends it. Its flags are the settings of `app/config-options.ts`.
 */
import { type Command, Option } from 'commander'
import { loadConfig } from '../../app/config.ts'
import {
  type ConfigOption,
  flagOf,
  OPTION_NAMES,
  OPTIONS,
  type OptionName,
  showSetting,
  variableOf,
} from '../../app/config-options.ts'
import type { Scalar } from '../../app/config-values.ts'
import { doing } from '../doing.ts'
import { type JsonOption, withJson } from '../options.ts'
import type { Output } from '../output.ts'
import { Interrupted, ReaderGone, type Shell, type StopSignal } from '../shell.ts'

/** The flags of the settings as commander collects them, by name of the setting. */
export interface SettingFlags extends JsonOption, Partial<Record<OptionName, string | boolean>> {
  readonly config?: string
}

export function addServe(parent: Command, shell: Shell): void {
  withSettings(withJson(parent.command('serve')))
    .description('run a depot; ends at SIGTERM or SIGINT, at once when it comes twice')
    .action(
      doing(shell, async (output, options: SettingFlags) => {
        const { config } = await loadConfig(givenBy(options, shell))
        // Loaded here, for no other command needs a whole depot.
        const { startDepot } = await import('../../app/app.ts')
        const depot = await startDepot(config)
        try {
          const { url } = depot
          await announce(output, { url, data: config.data })
          const by = await Promise.race([stopAsked(shell.signal), depot.closed.then(() => undefined)])
          await depot.close(by)
          // What went wrong while it closed is told here.
          await depot.closed
        } finally {
          // Does nothing when it is closed already.
          await depot.close('SIGINT')
        }
      }),
    )
}

/** Adds `--config` and the flag of every setting. */
export function withSettings(command: Command): Command {
  command.option(
    '--config <file>',
    'settings as TOML (DEPOT_CONFIG); else <data>/depot.toml, else ./depot.toml',
  )
  for (const name of OPTION_NAMES) {
    const flag = flagOf(name)
    if (flag !== undefined) command.addOption(optionOf(name, flag))
  }
  return command
}

export function givenBy(
  { config, ...options }: SettingFlags,
  { environment, folder }: Pick<Shell, 'environment' | 'folder'>,
): Parameters<typeof loadConfig>[0] {
  const flags: Partial<Record<OptionName, Scalar>> = {}
  for (const name of OPTION_NAMES) {
    const value = options[name]
    if (value !== undefined) flags[name] = value
  }
  return { flags, environment, folder, ...(config === undefined ? {} : { configFile: config }) }
}

/** Nothing is read here: a flag is checked where all other sources are. */
function optionOf(name: OptionName, flag: string): Option {
  const { placeholder, description }: ConfigOption<unknown> = OPTIONS[name]
  const value = placeholder === '' ? ' [yes]' : ` <${placeholder}>`
  const usual = showSetting(name, OPTIONS[name].fallback)
  return new Option(
    `${flag}${value}`,
    `${description} (${usual === '' ? '' : `default ${usual}; `}${variableOf(name)})`,
  )
}

/** A depot goes on without anybody who reads where it is. */
async function announce(
  output: Output,
  where: { readonly url: string; readonly data: string },
): Promise<void> {
  try {
    await output.sayNow(where, `depot is at ${where.url}, its data in ${where.data}`)
  } catch (error) {
    if (!(error instanceof ReaderGone)) throw error
  }
}

async function stopAsked(signal: AbortSignal): Promise<StopSignal> {
  const { promise, resolve } = Promise.withResolvers<void>()
  signal.addEventListener('abort', () => resolve(), { once: true })
  if (!signal.aborted) await promise
  return signal.reason instanceof Interrupted ? signal.reason.by : 'SIGTERM'
}
