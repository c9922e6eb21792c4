/**
 * The map is the law: who may import whom, how large files and folders may be, and that every file says what it is
 * for. The table is the one people read, in `src/README.md`.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '..')
const SRC = join(ROOT, 'src')
const TOP_LEVEL =
  /^(package\.json|package-lock\.json|tsconfig\.json|src|fixtures|test|bench|README\.md|LICENSE|node_modules|dist|depot-data|\..*)$/
const FILE_LINES = 300
const FOLDER_FILES = 20

interface Rule {
  readonly folders: ReadonlySet<string>
  readonly packages: ReadonlySet<string>
}

interface Source {
  readonly path: string
  readonly text: string
}

describe('the house', () => {
  const rules = readRules(readFileSync(join(SRC, 'README.md'), 'utf8'))
  const sources = sourcesBelow(SRC)

  it('imports only downward, as src/README.md allows', () => {
    expect(sources.flatMap((source) => breaches(source, rules))).toEqual([])
  })

  it('has a rule for every folder, and a folder for every rule', () => {
    const folders = readdirSync(SRC, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
    expect([...rules.keys()].sort()).toEqual(folders.sort())
  })

  it('opens every file with a sentence that says what it is for', () => {
    expect(sources.filter(({ text }) => !opensWithSentence(text)).map(({ path }) => path)).toEqual([])
  })

  it('has no syntax that the oldest Node in package.json does not know', () => {
    expect(sources.filter(({ text }) => isTooNew(text)).map(({ path }) => path)).toEqual([])
  })

  it('has no file too long to be read at one sitting', () => {
    const long = sources.filter(
      ({ text }) => text.split('\n').length > FILE_LINES + 1 && !text.includes('oxlint-disable max-lines --'),
    )
    expect(long.map(({ path }) => path)).toEqual([])
  })

  it('has no folder too full to be seen at a glance', () => {
    const counts = Map.groupBy(sources, ({ path }) => dirname(path))
    expect([...counts].filter(([, files]) => files.length > FOLDER_FILES).map(([folder]) => folder)).toEqual(
      [],
    )
  })

  it('holds nothing else at its top level', () => {
    expect(readdirSync(ROOT).filter((name) => !TOP_LEVEL.test(name))).toEqual([])
  })
})

describe('the inspector of the house', () => {
  const rules = readRules('| model | values | - | semver |\n| pool | bytes | model | lmdb |\n')

  it.each([
    ["import { x } from '../pool/x.ts'", 'model/a.ts', ['model/a.ts -> pool']],
    ["import { x } from '../../pool/x.ts'", 'model/deep/a.ts', ['model/deep/a.ts -> pool']],
    ["import type { x } from '../model/x.ts'", 'pool/a.ts', []],
    ["import { x } from 'lmdb'", 'model/a.ts', ['model/a.ts -> lmdb']],
    ["import { x } from 'lmdb'", 'pool/a.ts', []],
    ["import { x } from 'node:fs'", 'model/a.ts', []],
    ["const x = await import('lmdb')", 'model/a.ts', ['model/a.ts -> lmdb']],
    ["export { x } from '../ledger/x.ts'", 'pool/a.ts', ['pool/a.ts -> ledger']],
    ["import { x } from '@scope/name/deep'", 'pool/a.ts', ['pool/a.ts -> @scope/name']],
  ])('judges %s in %s', (text, path, found) => {
    expect(breaches({ path, text }, rules)).toEqual(found)
  })

  it.each([
    ['  using file = open()', true],
    ['  await using file = await open()', true],
    ['  for (const one of all) {\n    await using file = await one.open()', true],
    ['  for (await using file of files) {', true],
    ['  for (using file of files) {', true],
    ['  const opened = new AsyncDisposableStack()', true],
    ['  const opened = new DisposableStack()', true],
    [' * One is using x = 1 here, or await using file = 2 there.', false],
    ['  const using = 1', false],
    ['  using(file)', false],
    ['  const file = await open()\n  try {', false],
  ])('judges whether %j is too new', (text, found) => {
    expect(isTooNew(text)).toBe(found)
  })
})

/** `using`, `await using` and the stacks for them: Node 22 refuses the one and has none of the other. */
function isTooNew(text: string): boolean {
  return /^\s*(?:for (?:await )?\()?(?:await )?using [\w$]+ (?:=|of) |\bnew (?:Async)?DisposableStack\b/m.test(
    text,
  )
}

/** Rows of the table: folder, what it is, folders it may import, packages it may import. */
function readRules(markdown: string): ReadonlyMap<string, Rule> {
  const rows = markdown
    .split('\n')
    .filter((line) => /^\| [a-z]+ \|/.test(line) && !line.startsWith('| folder'))
  const list = (cell = ''): ReadonlySet<string> =>
    new Set(
      cell
        .split(',')
        .map((name) => name.trim())
        .filter((name) => name !== '-'),
    )
  return new Map(
    rows.map((row) => {
      const [folder = '', , folders, packages] = row
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim())
      return [folder, { folders: list(folders), packages: list(packages) }]
    }),
  )
}

function breaches({ path, text }: Source, rules: ReadonlyMap<string, Rule>): readonly string[] {
  const [folder = ''] = path.split('/')
  const rule = rules.get(folder)
  return importsOf(text).flatMap((imported) => {
    if (imported.startsWith('node:')) return []
    if (imported.startsWith('.')) {
      const [target = ''] = relative(SRC, resolve(SRC, dirname(path), imported)).split('/')
      return target === folder || rule?.folders.has(target) ? [] : [`${path} -> ${target}`]
    }
    const name = imported
      .split('/')
      .slice(0, imported.startsWith('@') ? 2 : 1)
      .join('/')
    return rule?.packages.has(name) ? [] : [`${path} -> ${name}`]
  })
}

function importsOf(text: string): readonly string[] {
  const found = text.matchAll(
    /^(?:import|export)\s[^'"]*?from\s+'([^']+)'|^import\s+'([^']+)'|\bimport\('([^']+)'\)/gm,
  )
  return [...found].map(([, from, bare, dynamic]) => from ?? bare ?? dynamic ?? '')
}

function opensWithSentence(text: string): boolean {
  return /^(?:#![^\n]*\n)?\/\*\*[\s*]*[A-Z`'"0-9][^]*?[.:]\s*(?:\n|\*\/)/.test(text)
}

function sourcesBelow(folder: string): readonly Source[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(?:ts|mjs)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ path: relative(SRC, path), text: readFileSync(path, 'utf8') }))
}
