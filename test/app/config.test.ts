/**
 * Where a setting comes from, and what is said when it cannot be used.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Configuration, type Given, loadConfig } from '../../src/app/config.ts'
import {
  fileKeyOf,
  flagOf,
  OPTION_NAMES,
  OPTIONS,
  optionsAsMarkdown,
  variableOf,
} from '../../src/app/config-options.ts'
import { parseAddress, parseProxies, parseWebAddress } from '../../src/app/config-values.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

interface Places {
  readonly flag?: string
  readonly environment?: string
  readonly file?: string
}

describe('a setting', () => {
  const cases: readonly [Places, string, string][] = [
    [{}, 'info', 'default'],
    [{ file: 'warn' }, 'warn', 'file'],
    [{ environment: 'error' }, 'error', 'environment'],
    [{ flag: 'debug' }, 'debug', 'flag'],
    [{ environment: 'error', file: 'warn' }, 'error', 'environment'],
    [{ flag: 'debug', file: 'warn' }, 'debug', 'flag'],
    [{ flag: 'debug', environment: 'error' }, 'debug', 'flag'],
    [{ flag: 'debug', environment: 'error', file: 'warn' }, 'debug', 'flag'],
    [{ environment: '', file: 'warn' }, 'warn', 'file'],
  ]

  it.each(cases)('given as %j is %s, from the %s', async ({ flag, environment, file }, level, source) => {
    const { config, settings } = await load(
      {
        flags: flag === undefined ? {} : { logLevel: flag },
        environment: environment === undefined ? {} : { DEPOT_LOG_LEVEL: environment },
      },
      file === undefined ? undefined : `log_level = "${file}"`,
    )
    expect(config.logLevel).toBe(level)
    expect(settings.find(({ name }) => name === 'log_level')?.source).toBe(source)
  })

  it('has one name in four spellings', () => {
    expect([fileKeyOf('answerCacheMb'), variableOf('answerCacheMb'), flagOf('answerCacheMb')]).toEqual([
      'answer_cache_mb',
      'DEPOT_ANSWER_CACHE_MB',
      '--answer-cache-mb',
    ])
    expect(flagOf('metricsToken')).toBeUndefined()
  })

  it('stands in the table of the README with its default', () => {
    const table = optionsAsMarkdown()
    expect(table.trim().split('\n')).toHaveLength(2 + OPTION_NAMES.length)
    expect(table).toContain('| `listen` | `--listen` | `DEPOT_LISTEN` | `127.0.0.1:8740` |')
  })

  it.each(OPTION_NAMES)('%s has a default that it would itself accept', (name) => {
    const { fallback, parse } = OPTIONS[name]
    if (fallback === undefined || typeof fallback === 'object') return
    expect(parse(fallback)).toEqual(fallback)
    expect(parse(String(fallback))).toEqual(fallback)
  })
})

describe('the configuration', () => {
  it('is the loopback address and an origin when nothing is said', async () => {
    const { config } = await load({})
    expect(config).toMatchObject({
      listen: { host: '127.0.0.1', port: 8740 },
      role: 'origin',
      reads: 'open',
      accessLog: false,
      publicUrl: undefined,
      trustProxy: false,
    })
    expect(config.data).toMatch(/^\/.*\/depot-data$/)
  })

  it('takes typed values from a file', async () => {
    const { config } = await load(
      {},
      'access_log = true\ndrain_seconds = 0\nlisten = "0.0.0.0:80"\ntrust_proxy = "loopback,10.0.0.0/8"\n',
    )
    expect(config).toMatchObject({
      accessLog: true,
      drainSeconds: 0,
      listen: { host: '0.0.0.0', port: 80 },
      trustProxy: 'loopback,10.0.0.0/8',
    })
  })

  it('finds its file in the data folder, then here, then where it is told', async () => {
    await using folder = await temporaryFolder()
    const given = { flags: { data: 'd' }, environment: {}, folder: folder.path }
    await writeFile(join(folder.path, 'depot.toml'), 'quota_mb = 1')
    expect((await loadConfig(given)).config.quotaMb).toBe(1)
    await mkdir(join(folder.path, 'd'))
    await writeFile(join(folder.path, 'd/depot.toml'), 'quota_mb = 2')
    expect((await loadConfig(given)).config.quotaMb).toBe(2)
    await writeFile(join(folder.path, 'other.toml'), 'quota_mb = 3')
    expect((await loadConfig({ ...given, configFile: 'other.toml' })).config.quotaMb).toBe(3)
    const named = { ...given, environment: { DEPOT_CONFIG: 'other.toml' } }
    expect((await loadConfig(named)).file).toBe(join(folder.path, 'other.toml'))
  })

  it('reads a relative folder in a file from where the file is', async () => {
    await using folder = await temporaryFolder()
    await mkdir(join(folder.path, 'etc'))
    await writeFile(join(folder.path, 'etc/depot.toml'), 'data = "../var"')
    const given = { flags: {}, environment: {}, folder: '/', configFile: join(folder.path, 'etc/depot.toml') }
    expect((await loadConfig(given)).config.data).toBe(join(folder.path, 'var'))
  })

  it('shows no secret', async () => {
    const { config, settings } = await load({ environment: { DEPOT_METRICS_TOKEN: 'very-secret' } })
    expect(config.metricsToken).toBe('very-secret')
    expect(JSON.stringify(settings)).not.toContain('very-secret')
  })
})

describe('what is wrong with a configuration', () => {
  const cases: readonly [string, Partial<Given>, string | undefined, RegExp][] = [
    [
      'an unknown key',
      {},
      'lissten = "x"',
      /depot\.toml: there is no setting "lissten"; there are data, listen,/,
    ],
    [
      'a wrong type',
      {},
      'drain_seconds = "soon"',
      /depot\.toml: drain_seconds must be a whole number from 0 to/,
    ],
    ['a list', {}, 'reads = ["open"]', /depot\.toml: reads must be text, a number, or true or false/],
    ['no TOML', {}, 'reads = ', /depot\.toml: Invalid TOML/],
    [
      'a level that is none',
      { flags: { logLevel: 'loud' } },
      undefined,
      /^--log-level must be one of trace,/,
    ],
    ['a role to come', { flags: { role: 'edge' } }, undefined, /^--role "edge" is not built yet/],
    ['a role that is none', { environment: { DEPOT_ROLE: 'boss' } }, undefined, /^DEPOT_ROLE must be one of/],
    [
      'no boolean',
      { environment: { DEPOT_ACCESS_LOG: 'maybe' } },
      undefined,
      /^DEPOT_ACCESS_LOG must be true/,
    ],
    ['a short secret', { environment: { DEPOT_METRICS_TOKEN: 'x' } }, undefined, /^DEPOT_METRICS_TOKEN must/],
    ['a file that is not there', { configFile: 'no.toml' }, undefined, /no\.toml: ENOENT/],
  ]

  it.each(cases)('is said of %s', async (_what, given, file, sentence) => {
    await expect(load(given, file)).rejects.toThrow(sentence)
  })

  it('is said all at once', async () => {
    const given = { flags: { reads: 'nobody', listen: 'a b' } }
    await expect(load(given, 'x = 1\ny = 2')).rejects.toMatchObject({
      name: 'ConfigError',
      problems: [expect.anything(), expect.anything(), expect.anything(), expect.anything()] as unknown[],
    })
  })
})

describe('an address to listen on', () => {
  it.each([
    ['127.0.0.1:80', { host: '127.0.0.1', port: 80 }],
    ['0.0.0.0:0', { host: '0.0.0.0', port: 0 }],
    ['[::1]:80', { host: '::1', port: 80 }],
    ['[::1]', { host: '::1', port: 9 }],
    ['localhost', { host: 'localhost', port: 9 }],
    ['80', { host: '127.0.0.1', port: 80 }],
  ])('is understood as %s', (text, expected) => {
    expect(parseAddress(text, 9)).toEqual(expected)
  })

  it.each(['', ':80', '::1:80', 'a:b', 'a:70000', '[x]:1', 'http://a', 'a b'])('is not %j', (text) => {
    expect(() => parseAddress(text, 9)).toThrow(/^must /)
  })
})

describe('other addresses', () => {
  it('keeps the path of a public address and drops its last slash', () => {
    expect(parseWebAddress('https://example.org/depot/')).toBe('https://example.org/depot')
  })

  it.each(['ftp://x', 'x', 'http://a?b', 'http://u:p@a', `http://a/${'\u{1f600}'.repeat(171)}`])(
    'takes no %s for a public address',
    (text) => {
      expect(() => parseWebAddress(text)).toThrow(/^must /)
    },
  )

  it.each(['somebody', '10.0.0.0/33', '1.2.3', '::1/129', '10.0.0.0/8/9', ''])(
    'trusts no proxy %j',
    (text) => {
      expect(() => parseProxies(text)).toThrow(/^must be true, false/)
    },
  )
})

async function load(given: Partial<Given>, file?: string): Promise<Configuration> {
  await using folder = await temporaryFolder()
  if (file !== undefined) await writeFile(join(folder.path, 'depot.toml'), file)
  return await loadConfig({ flags: {}, environment: {}, folder: folder.path, ...given })
}
