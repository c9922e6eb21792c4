/**
 * From files on disk to files of a release: what is listed, left out, hashed and kept.
 */
import { chmod, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { listFolder } from '../../src/format/folder.ts'
import { formatOf } from '../../src/format/format.ts'
import { mediaTypeOf } from '../../src/format/media-type.ts'
import { mapParallel } from '../../src/format/parallel.ts'
import { anyOf } from '../../src/format/pattern.ts'
import { readReleaseFiles } from '../../src/format/release-file.ts'
import { digestOf } from '../../src/model/digest.ts'
import { semverOrder } from '../../src/model/version.ts'
import { folderOf } from './folder-of.ts'

describe('a format', () => {
  it('is found by its name, or not at all', () => {
    expect(formatOf('semver')).toEqual({ name: 'semver', order: semverOrder })
    for (const name of ['ips', 'constructor', '__proto__', ''])
      expect(() => formatOf(name)).toThrow(/there is no format/)
  })
})

describe('a listing', () => {
  it('is sorted by bytes, and tells links from files', async () => {
    await using folder = await folderOf({ 'b/c': '', 'b.txt': '', 'a/d/e': '', '\uffff': '', '😀': '' })
    await symlink('b.txt', join(folder.path, 'link'))
    const all = await listFolder(folder.path, () => false)
    expect(all).toEqual({ files: ['a/d/e', 'b.txt', 'b/c', '\uffff', '😀'], links: ['link'], others: [] })
    const some = await listFolder(folder.path, (path) => path === 'a')
    expect(some.files).not.toContain('a/d/e')
  })
})

describe('a pattern', () => {
  it.each([
    ['node_modules', 'node_modules', true],
    ['node_modules', 'a/node_modules', true],
    ['node_modules/', 'a/node_modules', true],
    ['*.log', 'a/b.log', true],
    ['*.log', 'a.log/b', false],
    ['/dist', 'dist', true],
    ['/dist', 'a/dist', false],
    ['a/*.js', 'a/b.js', true],
    ['a/*.js', 'a/b/c.js', false],
    ['a/**/c.js', 'a/c.js', true],
    ['a/**/c.js', 'a/b/b/c.js', true],
    ['a/**', 'a/b/c', true],
    ['?.js', 'a.js', true],
    ['?.js', 'ab.js', false],
    ['a+(b).js', 'a+(b).js', true],
    ['a.js', 'abjs', false],
  ])('%s on %s: %s', (pattern, path, matches) => {
    expect(anyOf([pattern])(path)).toBe(matches)
  })

  it('is one of many, or of none', () => {
    expect(anyOf(['a', 'b'])('b')).toBe(true)
    expect(anyOf([])('b')).toBe(false)
  })
})

describe('the files of a release', () => {
  it('are hashed, and normalised to two modes', async () => {
    await using folder = await folderOf({ 'run.sh': 'x', 'data.json': '{}' })
    await chmod(join(folder.path, 'run.sh'), 0o4711)
    await chmod(join(folder.path, 'data.json'), 0o600)
    const { files } = await readReleaseFiles(folder.path, ['data.json', 'run.sh'])
    expect(files).toEqual([
      { path: 'data.json', digest: digestOf('{}'), size: 2, mode: 0o644, mediaType: 'application/json' },
      { path: 'run.sh', digest: digestOf('x'), size: 1, mode: 0o755 },
    ])
  })

  it('are never read through a link, even one that was put there meanwhile', async () => {
    await using folder = await folderOf({})
    await symlink('/etc/passwd', join(folder.path, 'passwd'))
    await expect(readReleaseFiles(folder.path, ['passwd'])).rejects.toThrow(/ELOOP/)
  })

  it('are refused when no release can have their name', async () => {
    await using folder = await folderOf({ 'back\\slash': '' })
    await expect(readReleaseFiles(folder.path, ['back\\slash'])).rejects.toMatchObject({
      code: 'path-invalid',
    })
  })

  it.each([
    ['a.js', 'text/javascript'],
    ['A.JS', 'text/javascript'],
    ['a.tar.gz', 'application/gzip'],
    ['a.b/c', undefined],
    ['.json', undefined],
    ['a.', undefined],
    ['LICENSE', undefined],
  ])('%s is %s', (path, mediaType) => {
    expect(mediaTypeOf(path)).toBe(mediaType)
  })
})

describe('a parallel map', () => {
  it('keeps the order and the bound', async () => {
    let running = 0
    let most = 0
    const results = await mapParallel([30, 1, 20, 2, 10], 2, async (milliseconds) => {
      running += 1
      most = Math.max(most, running)
      await new Promise((resolve) => setTimeout(resolve, milliseconds))
      running -= 1
      return milliseconds
    })
    expect(results).toEqual([30, 1, 20, 2, 10])
    expect(most).toBe(2)
  })

  it('begins nothing more after a failure', async () => {
    const begun: number[] = []
    const mapped = mapParallel([1, 2, 3, 4], 1, async (item) => {
      begun.push(item)
      await Promise.resolve()
      if (item === 2) throw new Error('no')
      return item
    })
    await expect(mapped).rejects.toThrow('no')
    expect(begun).toEqual([1, 2])
  })
})
