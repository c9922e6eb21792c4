/**
 * The configuration of `depot serve`: flags > environment (`DEPOT_*`) > config file (TOML) > default.
 *
 * The environment is handed in, so that only the CLI's front door reads it. Everything that is wrong is reported at
 * once, each with the place it came from; an empty variable counts as none.
 */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { parse as parseToml } from 'smol-toml'
import {
  type Config,
  type ConfigOption,
  DEFAULT_DATA,
  fileKeyOf,
  flagOf,
  OPTION_NAMES,
  OPTIONS,
  type OptionName,
  showSetting,
  variableOf,
} from './config-options.ts'
import type { Scalar } from './config-values.ts'

export type { Config } from './config-options.ts'

/** What a configuration is made of. */
export interface Given {
  /** As the command line had them, by name of the setting. */
  readonly flags: Readonly<Partial<Record<OptionName, Scalar>>>
  /** `--config` */
  readonly configFile?: string
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Where relative paths begin that do not stand in a file. */
  readonly folder: string
}

/** One setting, and where its value came from. */
export interface Setting {
  /** As the file spells it. */
  readonly name: string
  readonly value: string
  readonly source: 'flag' | 'environment' | 'file' | 'default'
  /** The flag, variable or file; empty for a default. */
  readonly where: string
}

export interface Configuration {
  readonly config: Config
  readonly settings: readonly Setting[]
  /** The file that was read, if there is one. */
  readonly file?: string
}

/** The configuration cannot be used: what is wrong, all of it. */
export class ConfigError extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.join('; '))
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/** Fails with `ConfigError`. */
export async function loadConfig(given: Given): Promise<Configuration> {
  const file = findFile(given)
  const table = file === undefined ? {} : await readTable(file)
  const problems = file === undefined ? [] : strangersIn(table, file)
  const config: Partial<Record<OptionName, unknown>> = {}
  const settings = OPTION_NAMES.map((name) => {
    const found = lookUp(name, given, { file, table })
    const value = valueOf(name, found, problems)
    config[name] = name === 'data' ? resolve(found.base, String(value)) : value
    const { source, where } = found
    return { name: fileKeyOf(name), value: showSetting(name, config[name] as never), source, where }
  })
  if (config.role === 'replica' && config.upstream === undefined)
    problems.push(`a replica follows an upstream: set ${flagOf('upstream')} or ${variableOf('upstream')}`)
  if (problems.length > 0) throw new ConfigError(problems)
  return { config: config as unknown as Config, settings, ...(file === undefined ? {} : { file }) }
}

interface Found {
  readonly source: Setting['source']
  readonly where: string
  readonly raw: unknown
  /** What a relative path in this place is relative to. */
  readonly base: string
}

interface ConfigFile {
  readonly file: string | undefined
  readonly table: Readonly<Record<string, unknown>>
}

/** `--config`, `DEPOT_CONFIG`, `<data>/depot.toml`, `./depot.toml`: the first that is named or there. */
function findFile({ flags, configFile, environment, folder }: Given): string | undefined {
  const named = nonEmpty(configFile) ?? nonEmpty(environment['DEPOT_CONFIG'])
  if (named !== undefined) return resolve(folder, named)
  const data = String(flags.data ?? nonEmpty(environment[variableOf('data')]) ?? DEFAULT_DATA)
  const candidates = [join(resolve(folder, data), 'depot.toml'), join(folder, 'depot.toml')]
  return candidates.find((candidate) => existsSync(candidate))
}

async function readTable(file: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return parseToml(await readFile(file, 'utf8'))
  } catch (error) {
    const [sentence = ''] = (error as Error).message.split('\n')
    throw new ConfigError([`${file}: ${sentence}`])
  }
}

function strangersIn(table: Readonly<Record<string, unknown>>, file: string): string[] {
  const known = new Set(OPTION_NAMES.map(fileKeyOf))
  return Object.keys(table)
    .filter((key) => !known.has(key))
    .map((key) => `${file}: there is no setting "${key}"; there are ${[...known].join(', ')}`)
}

function lookUp(name: OptionName, given: Given, { file, table }: ConfigFile): Found {
  const flag = given.flags[name]
  if (flag !== undefined) return { source: 'flag', where: flagOf(name) ?? '', raw: flag, base: given.folder }
  const variable = nonEmpty(given.environment[variableOf(name)])
  if (variable !== undefined)
    return { source: 'environment', where: variableOf(name), raw: variable, base: given.folder }
  const key = fileKeyOf(name)
  if (file !== undefined && Object.hasOwn(table, key))
    return { source: 'file', where: file, raw: table[key], base: dirname(file) }
  return { source: 'default', where: '', raw: undefined, base: given.folder }
}

/** The value, or the default and one more problem. */
function valueOf(name: OptionName, { source, where, raw }: Found, problems: string[]): unknown {
  const option: ConfigOption<unknown> = OPTIONS[name] as ConfigOption<unknown>
  if (source === 'default') return option.fallback
  const spelled = source === 'file' ? `${where}: ${fileKeyOf(name)}` : where
  try {
    if (!isScalar(raw)) throw new Error('must be text, a number, or true or false')
    return option.parse(raw)
  } catch (error) {
    problems.push(`${spelled} ${(error as Error).message}`)
    return option.fallback
  }
}

function isScalar(raw: unknown): raw is Scalar {
  return typeof raw === 'string' || typeof raw === 'number' || typeof raw === 'boolean'
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === undefined || text === '' ? undefined : text
}
