/** The URLs of the native API: a name arrives as it was sent, however hostile. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../src/model/digest.ts'
import { parseGid } from '../../src/model/generation.ts'
import { parseFilePath, parseReleaseName } from '../../src/model/name.ts'
import {
  blobPath,
  catalogPath,
  channelPath,
  diffPath,
  filePath,
  generationPath,
  manifestPath,
  PATHS,
  pinned,
  previewPath,
  problemType,
  releasesPath,
  stageBlobPath,
  stagedPath,
  stagePath,
  tokenPath,
} from '../../src/wire/paths.ts'
import { fixture } from '../model/fixture.ts'
import { outcomeOf } from '../model/refusal.ts'

const golden = fixture<{ releases: string[]; paths: string[]; versions: string[] }>('names.json')
const GID = parseGid('g42.k3x7m2q5wz4a.9f3ab2c41d07e655')
const DIGEST = digestOf('')

const hostile = fc
  .array(
    fc.constantFrom(
      'a',
      '.',
      '..',
      '/',
      '%',
      '%2F',
      '%2e',
      '%00',
      '?',
      '#',
      '&',
      '=',
      '+',
      ';',
      ' ',
      ':',
      '@',
      '\u{1f600}',
      'é',
      '"',
      '<',
      "'",
      '~',
      '[',
      '|',
      '^',
      '`',
      '{',
    ),
    { minLength: 1, maxLength: 6 },
  )
  .map((pieces) => pieces.join(''))
const names = hostile.filter((name) => outcomeOf(() => parseReleaseName(name)) === 'accepted')
const paths = hostile.filter((path) => outcomeOf(() => parseFilePath(path)) === 'accepted')

/** The segments that a server sees, after a client, proxies and itself have read the URL as one does. */
function arrived(path: string): readonly string[] {
  const { pathname, search, hash } = new URL(path, 'http://depot.example')
  expect({ pathname, search, hash }).toEqual({ pathname: path, search: '', hash: '' })
  return pathname.slice(1).split('/').map(decodeURIComponent)
}

describe('a name in a URL', () => {
  it('is one segment, and arrives as it was sent', () => {
    fc.assert(
      fc.property(names, names, (name, other) => {
        expect(arrived(releasesPath('stable', name))).toEqual(['v1', 'channels', 'stable', 'manifests', name])
        expect(arrived(manifestPath('stable', name, other))).toEqual([
          'v1',
          'channels',
          'stable',
          'manifests',
          name,
          other,
        ])
      }),
    )
  })

  it.each(golden.releases)('%j arrives, a golden one', (name) => {
    expect(arrived(releasesPath('stable', name)).at(-1)).toBe(name)
  })

  it.each(golden.versions)('the version %s arrives', (version) => {
    expect(arrived(manifestPath('stable', 'a', version)).at(-1)).toBe(version)
  })
})

describe('the path of a file in a URL', () => {
  it('keeps its slashes, and arrives as it was sent', () => {
    fc.assert(
      fc.property(names, paths, (name, path) => {
        const [, , , , sentName, version, ...segments] = arrived(filePath('stable', name, '1.0.0', path))
        expect([sentName, version, segments.join('/')]).toEqual([name, '1.0.0', path])
      }),
    )
  })

  it.each(golden.paths)('%j arrives, a golden one', (path) => {
    expect(
      arrived(filePath('stable', 'a', '1.0.0', path))
        .slice(6)
        .join('/'),
    ).toBe(path)
  })
})

describe('two different things', () => {
  it('never have one URL', () => {
    fc.assert(
      fc.property(names, names, paths, paths, (name, other, path, second) => {
        fc.pre(name !== other || path !== second)
        expect(filePath('c', name, '1.0.0', path)).not.toBe(filePath('c', other, '1.0.0', second))
      }),
    )
  })
})

describe('the URLs of DESIGN §7', () => {
  it.each([
    [PATHS.head, '/v1/head'],
    [generationPath(GID), `/v1/generations/${GID}`],
    [generationPath('2026-11-22T04:22:08+01:00'), '/v1/generations/2026-11-22T04%3A22%3A08%2B01%3A00'],
    [diffPath(GID, 'head'), `/v1/generations/${GID}/diff/head`],
    [channelPath('stable'), '/v1/channels/stable'],
    [catalogPath('stable'), '/v1/channels/stable/catalog'],
    [releasesPath('stable', '@scope/name'), '/v1/channels/stable/manifests/%40scope%2Fname'],
    [manifestPath('stable', 'zlib', '1.3.1-rc.1'), '/v1/channels/stable/manifests/zlib/1.3.1-rc.1'],
    [
      filePath('stable', 'zlib', '1.3.1', 'include/z lib.h'),
      '/v1/channels/stable/files/zlib/1.3.1/include/z%20lib.h',
    ],
    [blobPath(DIGEST), '/o/sha256/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
    [stagePath('s1'), '/v1/stages/s1'],
    [stageBlobPath('s1', DIGEST), `/v1/stages/s1/blobs${blobPath(DIGEST).slice(2)}`],
    [
      stagedPath('s1', manifestPath('stable', 'zlib', '1.3.1')),
      '/v1/stages/s1/channels/stable/manifests/zlib/1.3.1',
    ],
    [previewPath('s1', catalogPath('stable')), '/v1/stages/s1/preview/v1/channels/stable/catalog'],
    [pinned(GID, catalogPath('stable')), `/g/${GID}/v1/channels/stable/catalog`],
    [tokenPath('t/1'), '/v1/tokens/t%2F1'],
    [problemType('not-found'), '/problems/not-found'],
  ])('%s', (path, expected) => {
    expect(path).toBe(expected)
  })
})
