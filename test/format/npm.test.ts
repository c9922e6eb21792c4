/**
 * Importing what npm installed: every package once, nothing of another, nothing from outside.
 */
import { mkdir, symlink } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { FileSource, Imported } from '../../src/format/importer.ts'
import { importNpm } from '../../src/format/npm.ts'
import { readNpmPackage } from '../../src/format/npm-package.ts'
import { digestOf } from '../../src/model/digest.ts'
import { LIMITS } from '../../src/model/limits.ts'
import { encodeManifest } from '../../src/model/manifest.ts'
import { semverOrder } from '../../src/model/version.ts'
import { folderOf } from './folder-of.ts'

type Release = Extract<Imported, { kind: 'release' }>
type Skip = Extract<Imported, { kind: 'skipped' }>

describe('a node_modules folder', () => {
  it('gives every package with its files, scoped and nested ones too', async () => {
    await using folder = await folderOf({
      'a/package.json': { name: 'a', version: '1.0.0' },
      'a/lib/index.js': 'a',
      'a/node_modules/b/package.json': { name: 'b', version: '2.0.0' },
      'a/node_modules/@s/c/package.json': { name: '@s/c', version: '3.0.0' },
      '@s/c/package.json': { name: '@s/c', version: '3.1.0' },
      '.bin/tool': '#!/bin/sh',
      '.package-lock.json': '{}',
      'no-package/readme.md': '',
    })
    const { releases, skips, folders } = await importAll(folder.path)
    expect(folders).toBe(5)
    expect(skips).toEqual([])
    expect(releases.map(nameOf)).toEqual(['@s/c 3.1.0', 'a 1.0.0', '@s/c 3.0.0', 'b 2.0.0'])
    expect(pathsOf(releases[1])).toEqual(['lib/index.js', 'package.json'])
  })

  it('gives each name and version once, and skips what has none', async () => {
    await using folder = await folderOf({
      'a/package.json': { name: 'a', version: '1.0.0' },
      'b/package.json': { name: 'b', version: '1.0.0' },
      'b/node_modules/a/package.json': { name: 'a', version: '1.0.0' },
      'c/package.json': { private: true },
      'd/package.json': 'no JSON',
      'e/package.json': { name: 'e', version: 'v1' },
      'f/package.json': { name: '../f', version: '1.0.0' },
      'g/package.json': { name: 'g', version: '1.0.0' },
      'g/back\\slash': '',
    })
    const { releases, skips } = await importAll(folder.path)
    expect(releases.map(nameOf)).toEqual(['a 1.0.0', 'b 1.0.0'])
    expect(skips.map(({ path, why }) => `${path} ${why}`)).toEqual([
      'c unnamed',
      'd unnamed',
      'e refused',
      'f refused',
      'g refused',
      'b/node_modules/a repeated',
    ])
  })

  it('keeps what a package itself calls node_modules below its top', async () => {
    await using folder = await folderOf({
      'a/package.json': { name: 'a', version: '1.0.0' },
      'a/test/node_modules/fixture/index.js': 'f',
    })
    const { releases } = await importAll(folder.path)
    expect(pathsOf(releases[0])).toEqual(['package.json', 'test/node_modules/fixture/index.js'])
  })

  it('follows no link: neither out of the folder nor inside of a package', async () => {
    await using outside = await folderOf({
      'package.json': { name: 'outside', version: '1.0.0' },
      secret: 's',
    })
    await using folder = await folderOf({ 'a/package.json': { name: 'a', version: '1.0.0' } })
    await symlink(outside.path, join(folder.path, 'outside'))
    await symlink(join(outside.path, 'secret'), join(folder.path, 'a/secret'))
    await symlink(outside.path, join(folder.path, 'a/folder'))
    await symlink('nowhere', join(folder.path, 'broken'))
    await symlink('a', join(folder.path, 'again'))
    const { releases, skips } = await importAll(folder.path)
    expect(releases.map(nameOf)).toEqual(['a 1.0.0'])
    expect(pathsOf(releases[0])).toEqual(['package.json'])
    expect(releases[0]?.linksLeftOut).toBe(2)
    expect(skips.map(({ path, why }) => `${path} ${why}`)).toEqual(['broken link', 'outside link'])
  })

  it('finds the packages of pnpm where they really are', async () => {
    const store = '.pnpm/a@1.0.0/node_modules'
    await using folder = await folderOf({
      [`${store}/a/package.json`]: { name: 'a', version: '1.0.0' },
      '.pnpm/b@2.0.0/node_modules/b/package.json': { name: 'b', version: '2.0.0' },
    })
    await symlink(`${store}/a`, join(folder.path, 'a'))
    await symlink('../../b@2.0.0/node_modules/b', join(folder.path, store, 'b'))
    await mkdir(join(folder.path, '.pnpm/node_modules'))
    const { releases, skips } = await importAll(folder.path)
    expect(releases.map(nameOf)).toEqual(['a 1.0.0', 'b 2.0.0'])
    expect(skips).toEqual([])
  })

  it('hands over sources that give the bytes, from any offset, small and large', async () => {
    const large = 'x'.repeat(LIMITS.smallBlobBytes + 1)
    await using folder = await folderOf({
      'a/package.json': { name: 'a', version: '1.0.0' },
      'a/small': 'small',
      'a/empty': '',
      'a/large': large,
    })
    const { releases } = await importAll(folder.path)
    const [release] = releases
    const sources = new Map(release?.sources.map((source) => [source.digest, source]))
    for (const text of ['small', '', large]) {
      const source = sources.get(digestOf(text))
      expect(source?.size).toBe(text.length)
      expect(await textFrom(source, 0)).toBe(text)
      expect(await textFrom(source, Math.floor(text.length / 2))).toBe(text.slice(text.length / 2))
    }
  })

  it('stops when it is told to', async () => {
    await using folder = await folderOf({ 'a/package.json': { name: 'a', version: '1.0.0' } })
    const stop = new AbortController()
    stop.abort(new Error('enough'))
    await expect(importAll(folder.path, stop.signal)).rejects.toThrow('enough')
  })
})

describe('the node_modules of this project', () => {
  it('becomes more than a hundred releases, each with a manifest that a depot takes', async () => {
    const began = performance.now()
    const { releases, skips } = await importAll(resolve(import.meta.dirname, '../../node_modules'))
    expect(performance.now() - began).toBeLessThan(20_000)
    expect(releases.length).toBeGreaterThan(100)
    expect(skips.filter(({ why }) => why !== 'repeated')).toEqual([])
    for (const { manifest, sources } of releases) {
      expect(encodeManifest(manifest, semverOrder).manifest).toEqual(manifest)
      expect(manifest.files.map(({ path }) => path).filter((path) => path.startsWith('..'))).toEqual([])
      expect(sources.map(({ digest }) => digest)).toEqual(manifest.files.map(({ digest }) => digest))
    }
    expect(releases.map(nameOf)).toContain('semver 7.8.6')
  })
})

describe('a package.json', () => {
  it('gives ranges as dependencies, and annotates what is none', () => {
    const found = readNpmPackage(
      JSON.stringify({
        name: 'a',
        version: '1.0.0',
        description: '  Two\n lines ',
        dependencies: {
          b: '^1',
          c: 'latest',
          d: 'git+ssh://x',
          e: 'npm:f@^1',
          o: '^1',
          '../x': '1',
          any: '',
        },
        optionalDependencies: { o: '^1' },
        peerDependencies: { p: '*' },
        os: ['linux'],
        cpu: 'x64',
        license: 'MIT',
      }),
    )
    expect(found).toEqual({
      kind: 'package',
      name: 'a',
      version: '1.0.0',
      summary: 'Two lines',
      dependencies: { b: '^1', any: '' },
      annotations: {
        npm: {
          dependencies: { c: 'latest', d: 'git+ssh://x', e: 'npm:f@^1', '../x': '1' },
          optionalDependencies: { o: '^1' },
          peerDependencies: { p: '*' },
          os: ['linux'],
          cpu: ['x64'],
          license: 'MIT',
        },
      },
    })
  })

  it.each([
    ['[]', 'unnamed'],
    ['{', 'unnamed'],
    ['{"name":"a"}', 'unnamed'],
    ['{"name":"","version":""}', 'unnamed'],
    ['{"name":1,"version":"1.0.0"}', 'unnamed'],
    ['{"name":"a","version":"=1.0.0"}', 'refused'],
    ['{"name":"a/../b","version":"1.0.0"}', 'refused'],
  ])('%s is %s', (text, kind) => {
    expect(readNpmPackage(text).kind).toBe(kind)
  })

  it('may begin with a byte order mark, and say much or strange things', () => {
    const members = {
      name: 'a',
      version: '1.0.0',
      description: `${'€'.repeat(1_000)}\ud800`,
      dependencies: { __proto__: null, ok: '1' },
      peerDependencies: Object.fromEntries(
        Array.from({ length: 5_000 }, (_, at) => [`package-${at}`, '^1.0.0']),
      ),
      os: [1, 'linux'],
      license: { type: '\ud800' },
    }
    const found = readNpmPackage(`\uFEFF${JSON.stringify(members)}`)
    expect(found.kind).toBe('package')
    const { kind: _, ...about } = found as Extract<typeof found, { kind: 'package' }>
    const { manifest } = encodeManifest({ ...about, files: [] }, semverOrder)
    expect(Buffer.byteLength(manifest.summary ?? '')).toBeLessThanOrEqual(LIMITS.summaryBytes)
  })
})

interface ImportedAll {
  readonly folders: number
  readonly releases: readonly Release[]
  readonly skips: readonly Skip[]
}

async function importAll(folder: string, signal?: AbortSignal): Promise<ImportedAll> {
  const all: Imported[] = []
  for await (const imported of importNpm(folder, signal)) all.push(imported)
  const [found] = all
  return {
    folders: found?.kind === 'found' ? found.folders : -1,
    releases: all.filter((one) => one.kind === 'release'),
    skips: all.filter((one) => one.kind === 'skipped'),
  }
}

function nameOf({ manifest }: Release): string {
  return `${manifest.name} ${manifest.version}`
}

function pathsOf(release: Release | undefined): readonly string[] {
  return release?.manifest.files.map(({ path }) => path) ?? []
}

async function textFrom(source: FileSource | undefined, start: number): Promise<string> {
  let text = ''
  for await (const chunk of source?.open(start) ?? []) text += Buffer.from(chunk).toString()
  return text
}
