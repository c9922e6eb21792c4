/**
 * Everything about `depot serve` that can be set, as one table: the flags, `--help`, `depot config show` and the table
 * in README.md are all made of it.
 *
 * A setting has one name, from which its other spellings follow: `drainSeconds` is `drain_seconds` in the file,
 * `DEPOT_DRAIN_SECONDS` in the environment and `--drain-seconds` on the command line. A secret has no flag, for
 * arguments can be read by everybody on the machine.
 */

import { type KeyId, parseKeyId } from '../model/keys/key.ts'
import { LIMITS } from '../model/limits.ts'
import { parseNodeId } from '../wire/node-label.ts'
import {
  type Listen,
  oneOf,
  parseAddress,
  parseProxies,
  parseSecret,
  parseText,
  parseWebAddress,
  parseYesOrNo,
  type Scalar,
  showAddress,
  wholeNumber,
} from './config-values.ts'

/** Not taken by the package servers people run beside this one; 8741 and up are what examples give to replicas. */
export const DEFAULT_PORT = 8740
export const DEFAULT_DATA = './depot-data'

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'

/** What `depot serve` runs by, every value checked. */
export interface Config {
  /** Absolute. */
  readonly data: string
  readonly listen: Listen
  readonly role: 'origin' | 'replica'
  /** The node that a replica follows; without a slash at its end. */
  readonly upstream: string | undefined
  readonly upstreamToken: string | undefined
  readonly upstreamKey: KeyId | undefined
  readonly nodeId: string | undefined
  readonly whenCut: 'serve' | 'refuse'
  readonly allowUnverified: boolean
  /** Without a slash at its end. */
  readonly publicUrl: string | undefined
  readonly logLevel: LogLevel
  readonly accessLog: boolean
  readonly reads: 'open' | 'token'
  readonly stageIdleMinutes: number
  readonly tokenWritesPerSecond: number
  readonly tokenWriteBurst: number
  readonly addressWritesPerSecond: number
  readonly addressWriteBurst: number
  readonly quotaMb: number
  /** As fastify takes it: nobody, everybody, or a list of addresses and ranges. */
  readonly trustProxy: boolean | string
  readonly drainSeconds: number
  readonly answerCacheMb: number
  readonly metricsToken: string | undefined
  readonly keyOverlapDays: number
  readonly replaceLostKey: boolean
}

export type OptionName = keyof Config

export interface ConfigOption<Value> {
  /** What stands for the value in the help; none where the flag alone says it. */
  readonly placeholder: string
  readonly fallback: Value
  readonly description: string
  readonly secret?: true
  /** Throws an `Error` whose message goes on after the name of the setting. */
  readonly parse: (given: Scalar) => Value
}

type OptionTable = { readonly [Name in OptionName]: ConfigOption<Config[Name]> }

export const OPTIONS: OptionTable = {
  data: {
    placeholder: 'dir',
    fallback: DEFAULT_DATA,
    description: 'folder that holds everything the depot knows; one process at a time',
    parse: parseText,
  },
  listen: {
    placeholder: 'host:port',
    fallback: { host: '127.0.0.1', port: DEFAULT_PORT },
    description: 'address to listen on; port 0 takes a free one',
    parse: (given) => parseAddress(given, DEFAULT_PORT),
  },
  role: {
    placeholder: 'role',
    fallback: 'origin',
    description: 'what this node is: origin (it commits) or replica (it follows an upstream)',
    parse: parseRole,
  },
  upstream: {
    placeholder: 'url',
    fallback: undefined,
    description: 'the node that a replica follows',
    parse: parseWebAddress,
  },
  upstreamToken: {
    placeholder: 'secret',
    fallback: undefined,
    description: 'token of the upstream with the scope replicate',
    secret: true,
    parse: parseSecret,
  },
  upstreamKey: {
    placeholder: 'id',
    fallback: undefined,
    description:
      'key that the depot signs with, as depot key list says; by default the one that a replica sees first',
    parse: parseKey,
  },
  nodeId: {
    placeholder: 'id',
    fallback: undefined,
    description:
      'name of this node among the others: a-z, 0-9, and . _ - between them; by default origin, or by its address',
    parse: parseId,
  },
  whenCut: {
    placeholder: 'how',
    fallback: 'serve',
    description: 'what a replica does with its head when the origin is silent: serve it, or refuse',
    parse: oneOf('serve', 'refuse'),
  },
  allowUnverified: {
    placeholder: '',
    fallback: false,
    description: 'commit although none of those who followed this origin can tell whether it lost something',
    parse: parseYesOrNo,
  },
  publicUrl: {
    placeholder: 'url',
    fallback: undefined,
    description: 'address under which clients reach this depot, where it is not the one it listens on',
    parse: parseWebAddress,
  },
  logLevel: {
    placeholder: 'level',
    fallback: 'info',
    description: 'least level that is logged: trace, debug, info, warn, error or silent',
    parse: oneOf('trace', 'debug', 'info', 'warn', 'error', 'silent'),
  },
  accessLog: {
    placeholder: '',
    fallback: false,
    description: 'log a line for every request',
    parse: parseYesOrNo,
  },
  reads: {
    placeholder: 'who',
    fallback: 'open',
    description: 'who may read: open (everybody) or token (who has a token)',
    parse: oneOf('open', 'token'),
  },
  stageIdleMinutes: {
    placeholder: 'minutes',
    fallback: LIMITS.stageIdleMs / 60_000,
    description: 'a stage that nobody touches expires after this long',
    parse: wholeNumber(1, 525_600),
  },
  tokenWritesPerSecond: {
    placeholder: 'n',
    fallback: 500,
    description: 'writes a second that one token may make; 0 is no limit',
    parse: wholeNumber(0, 1_000_000),
  },
  tokenWriteBurst: {
    placeholder: 'n',
    fallback: 2_000,
    description: 'writes that one token may make at once',
    parse: wholeNumber(1, 1_000_000),
  },
  addressWritesPerSecond: {
    placeholder: 'n',
    fallback: 1_000,
    description: 'writes a second that one address may make; 0 is no limit',
    parse: wholeNumber(0, 1_000_000),
  },
  addressWriteBurst: {
    placeholder: 'n',
    fallback: 4_000,
    description: 'writes that one address may make at once',
    parse: wholeNumber(1, 1_000_000),
  },
  quotaMb: {
    placeholder: 'n',
    fallback: 0,
    description: 'MiB that a new token may upload in all, unless it is given its own quota; 0 is no limit',
    parse: wholeNumber(0, 1_000_000_000),
  },
  trustProxy: {
    placeholder: 'who',
    fallback: false,
    description:
      'whose X-Forwarded-For is believed: false, true, or addresses and ranges (127.0.0.1,10.0.0.0/8)',
    parse: parseProxies,
  },
  drainSeconds: {
    placeholder: 'seconds',
    fallback: 5,
    description: 'on SIGTERM go on answering for at least this long, so that balancers notice',
    parse: wholeNumber(0, 3_600),
  },
  answerCacheMb: {
    placeholder: 'n',
    fallback: LIMITS.answerCacheBytes / 1_048_576,
    description: 'MiB of memory for ready answers',
    parse: wholeNumber(0, 1_048_576),
  },
  metricsToken: {
    placeholder: 'secret',
    fallback: undefined,
    description:
      'bearer token for /metrics; without one it answers on loopback, and elsewhere to an admin token',
    secret: true,
    parse: parseSecret,
  },
  keyOverlapDays: {
    placeholder: 'days',
    fallback: 30,
    description: 'after a rotation the old key signs beside the new one for so long',
    parse: wholeNumber(0, 3_650),
  },
  replaceLostKey: {
    placeholder: '',
    fallback: false,
    description: 'make a new signing key when the old one is lost: every client and replica has to accept it',
    parse: parseYesOrNo,
  },
}

export const OPTION_NAMES: readonly OptionName[] = Object.keys(OPTIONS) as OptionName[]

/** The setting as the file spells it. */
export function fileKeyOf(name: OptionName): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

export function variableOf(name: OptionName): string {
  return `DEPOT_${fileKeyOf(name).toUpperCase()}`
}

/** Undefined for a secret. */
export function flagOf(name: OptionName): string | undefined {
  return OPTIONS[name].secret === true ? undefined : `--${fileKeyOf(name).replaceAll('_', '-')}`
}

/** The value as people read it; a secret only tells whether it is set. */
export function showSetting(name: OptionName, value: Config[OptionName]): string {
  if (value === undefined) return ''
  if (OPTIONS[name].secret === true) return '(set)'
  return typeof value === 'object' ? showAddress(value) : String(value)
}

/** The table of all settings for README.md. */
export function optionsAsMarkdown(): string {
  const rows = OPTION_NAMES.map((name) => {
    const flag = flagOf(name)
    const fallback = showSetting(name, OPTIONS[name].fallback)
    const cells = [
      `\`${fileKeyOf(name)}\``,
      flag === undefined ? '' : `\`${flag}\``,
      `\`${variableOf(name)}\``,
    ]
    return `| ${cells.join(' | ')} | ${fallback === '' ? '' : `\`${fallback}\``} | ${OPTIONS[name].description} |`
  })
  return ['| in the file | flag | environment | default | |', '|---|---|---|---|---|', ...rows, ''].join('\n')
}

function parseRole(given: Scalar): Config['role'] {
  const role = oneOf('origin', 'replica', 'edge')(given)
  if (role === 'edge') throw new Error('"edge" is not built yet; this depot can be an origin or a replica')
  return role
}

function parseKey(given: Scalar): KeyId {
  try {
    return parseKeyId(parseText(given))
  } catch (error) {
    throw new Error(`must be the id of a key: ${(error as Error).message}`, { cause: error })
  }
}

function parseId(given: Scalar): string {
  try {
    return parseNodeId(parseText(given))
  } catch (error) {
    throw new Error(`must be an id: ${(error as Error).message}`, { cause: error })
  }
}
