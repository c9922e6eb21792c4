/**
 * README.md is held to the code: its tables are made from it, and the commands it shows are commands that there are.
 * `npm run readme` writes the tables.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { PassThrough } from 'node:stream'
import type { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { optionsAsMarkdown } from '../src/app/config-options.ts'
import { createProgram } from '../src/cli/program.ts'
import { statusOfCode } from '../src/http/problem.ts'
import { errorCodes } from '../src/model/errors.ts'
import { runningDepot } from './support/running-depot.ts'

const README = resolve(import.meta.dirname, '../README.md')
const IS_WRITING = process.env['UPDATE_README'] === '1'
const END = '<!-- end -->'
/** The order of the table: time first, for every read begins there. */
const TAGS = ['time', 'read', 'publish', 'access', 'operate', 'replicate', 'control', 'about']

interface Operation {
  readonly summary: string
  readonly tags: readonly string[]
}

type Paths = Readonly<Record<string, Readonly<Record<string, Operation>>>>

const program = createProgram('0.0.0', {
  environment: {},
  folder: '/',
  stdout: new PassThrough(),
  stderr: new PassThrough(),
  clock: { now: () => 0, monotonic: () => 0 },
  nodeVersion: process.versions.node,
  signal: new AbortController().signal,
  leave: () => undefined,
})

describe('README.md', () => {
  it.each([
    ['configuration', optionsAsMarkdown],
    ['http', async () => routesAsMarkdown(await pathsOfDepot())],
    ['commands', commandsAsMarkdown],
  ])('has the table of the code under "%s"; npm run readme writes it', async (name, make) => {
    const made = frame(name, (await make()).trim())
    const text = readFileSync(README, 'utf8')
    const section = sectionOf(text, name)
    if (IS_WRITING)
      writeFileSync(
        README,
        text.replace(section, () => made),
      )
    else expect(section).toBe(made)
  })

  it('says rightly what can be read of a stage', async () => {
    const paths = Object.keys(await pathsOfDepot())
    const below = (prefix: string): string[] =>
      paths.filter((path) => path.startsWith(prefix)).map((path) => path.slice(prefix.length))
    expect(below('/v1/stages/{stage}/preview/v1/channels')).toEqual(below('/v1/channels'))
  })

  it('shows only commands that there are, with all that they need', () => {
    expect(commandLines(readFileSync(README, 'utf8')).flatMap(faultsOf)).toEqual([])
  })

  it('is right in that every command takes --json', () => {
    const deaf = leavesBelow(program).filter(
      ({ command }) => command.name() !== 'help' && !command.options.some(({ long }) => long === '--json'),
    )
    expect(deaf.map(({ path }) => path)).toEqual([])
  })

  it('names problems that there are, by their status', () => {
    const [, table = ''] = readFileSync(README, 'utf8').split('## When something goes wrong')
    const rows = [...table.matchAll(/^\|[^|]+\| (?:(\d{3}) )?`([a-z-]+)` \|/gm)]
    const told = rows.map(([, status, code = '']) => ({ code, status: status && Number(status) }))
    expect(told.length).toBeGreaterThan(10)
    for (const { code, status } of told) {
      const known = errorCodes().find((candidate) => candidate === code)
      expect.soft(known, code).toBeDefined()
      if (known !== undefined && status !== undefined) expect.soft(statusOfCode(known), code).toBe(status)
    }
  })
})

describe('the inspector of README.md', () => {
  it.each([
    ['depot publish folder --channel stable', []],
    ['depot publish folder --channel stable --nonsense', ['--nonsense']],
    ['depot publish folder', ['--channel is missing']],
    ['depot nonsense', ['no such command']],
    ['depot token', ['no such command']],
  ])('judges `%s`', (line, faults) => {
    expect(faultsOf({ line, isWhole: true })).toEqual(faults.map((fault) => `${line}: ${fault}`))
  })
})

/** From its mark to its end, both included. */
function sectionOf(text: string, name: string): string {
  const start = text.indexOf(`<!-- generated: ${name} -->`)
  const end = text.indexOf(END, start)
  expect(start, `a place for ${name}`).toBeGreaterThan(-1)
  expect(end, `an end of ${name}`).toBeGreaterThan(start)
  return text.slice(start, end + END.length)
}

function frame(name: string, made: string): string {
  return `<!-- generated: ${name} -->\n\n${made}\n\n${END}`
}

async function pathsOfDepot(): Promise<Paths> {
  await using depot = await runningDepot()
  const { paths } = (await (await depot.ask('/v1/openapi.json')).json()) as { readonly paths: Paths }
  return paths
}

/** Each path once, in front of it where else it can be asked; HEAD goes without saying. */
function routesAsMarkdown(paths: Paths): string {
  const rows = new Map<string, { readonly tag: string; readonly methods: string[]; readonly rest: string }>()
  for (const [path, operations] of Object.entries(paths)) {
    if (/^\/g\/|\/preview\//.test(path)) continue
    const isPinnable = Object.hasOwn(paths, `/g/{gid}${path}`)
    for (const [method, { summary, tags }] of Object.entries(operations)) {
      if (method === 'head') continue
      const rest = `\`${isPinnable ? '[/g/<gid>]' : ''}${shownPath(path)}\` | ${inCell(summary)}`
      const row = rows.get(rest) ?? { tag: tags[0] ?? '', methods: [], rest }
      row.methods.push(method.toUpperCase())
      rows.set(rest, row)
    }
  }
  const sorted = [...rows.values()].sort((a, b) => TAGS.indexOf(a.tag) - TAGS.indexOf(b.tag))
  return [
    '| method | path | what |',
    '|---|---|---|',
    ...sorted.map(({ methods, rest }) => `| ${methods.join(', ')} | ${rest} |`),
    '',
    'A stage is read like a generation: `/v1/stages/<stage>/preview/v1/channels...` answers as `/v1/channels...` will when',
    'it is committed on the head of this moment, to those who may add to it.',
  ].join('\n')
}

/** `{*}` is the path of a file in its release. */
function shownPath(path: string): string {
  return path.replaceAll('{*}', '<path>').replaceAll(/\{(\w+)\}/g, '<$1>')
}

function commandsAsMarkdown(): string {
  const groups = Map.groupBy(leavesBelow(program), ({ group }) => group)
  return [...groups]
    .map(([heading, leaves]) => {
      const rows = leaves.map(({ path, command }) => {
        const words = [path, ...argumentsOf(command), ...demandsOf(command).map(({ flags }) => flags)]
        return `| \`${inCell(words.join(' '))}\` | ${inCell(command.description())} |`
      })
      return [`| ${heading.replace(/:$/, '')} | |`, '|---|---|', ...rows].join('\n')
    })
    .join('\n\n')
}

interface Leaf {
  readonly path: string
  readonly group: string
  readonly command: Command
}

/** The commands that do something, with the words that lead to them. */
function leavesBelow(parent: Command, path = parent.name(), group?: string): readonly Leaf[] {
  return childrenOf(parent).flatMap((command) => {
    const below = `${path} ${command.name()}`
    const heading = group ?? command.helpGroup()
    return command.commands.length === 0
      ? [{ path: below, group: heading, command }]
      : leavesBelow(command, below, heading)
  })
}

function childrenOf(parent: Command): Command[] {
  return parent.createHelp().visibleCommands(parent)
}

function argumentsOf(command: Command): readonly string[] {
  return command.registeredArguments.map((word) => (word.required ? `<${word.name()}>` : `[${word.name()}]`))
}

/** The options that a command cannot do without. */
function demandsOf(command: Command): Command['options'] {
  return command.options.filter(({ mandatory }) => mandatory)
}

interface Shown {
  readonly line: string
  /** As it is typed; what stands in a sentence may leave out what it is not about. */
  readonly isWhole: boolean
}

/** What README shows of `depot`, in blocks of shell and in sentences. */
function commandLines(text: string): readonly Shown[] {
  const blocks = [...text.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, block = '']) => block)
  const typed = blocks.flatMap((block) => [...block.matchAll(/\bnpx (depot [^|&;)\n]*)/g)])
  const told = text.matchAll(/`(?:npx )?(depot [^`\n]+)`/g)
  return [
    ...typed.map(([, line = '']) => ({ line, isWhole: true })),
    ...[...told].map(([, line = '']) => ({ line, isWhole: false })),
  ]
}

function faultsOf({ line, isWhole }: Shown): readonly string[] {
  const words = (line.match(/'[^']*'|"[^"]*"|\S+/g) ?? []).slice(1)
  let command = program
  for (const word of words) {
    const child = childrenOf(command).find((candidate) => candidate.name() === word)
    if (child === undefined) break
    command = child
  }
  const known = new Set(command.options.flatMap(({ long, short }) => [long, short]))
  const strange = words.filter((word) => word.startsWith('-') && !known.has(word))
  const missing = demandsOf(command).filter(({ long }) => isWhole && !words.includes(long ?? ''))
  const isFamily = command === program || command.commands.length > 0
  return [
    ...(isFamily ? ['no such command'] : []),
    ...strange,
    ...missing.map(({ long }) => `${long} is missing`),
  ].map((fault) => `${line}: ${fault}`)
}

/** Text that does not end its cell. */
function inCell(text: string): string {
  return text.replaceAll('|', '\\|')
}
