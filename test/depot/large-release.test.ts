/**
 * A release of 18,000 files: its manifest is examined in a worker, and a file in it is found by one look-up, without
 * the manifest being read; also when the rows that make this so were dropped.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Digest } from '../../src/model/digest.ts'
import type { Generation } from '../../src/model/generation.ts'
import type { ManifestFile } from '../../src/model/manifest.ts'
import {
  commit,
  type Engine,
  engine,
  manifestOf,
  open,
  outcomeOf,
  type Stores,
  stageRelease,
} from './an-engine.ts'

const COUNT = 18_000
const RELEASE = { channel: 'stable', name: 'large', version: '1.0.0' }
const FILES = Object.fromEntries(
  Array.from({ length: COUNT }, (_, number) => [
    `lib/part-${number % 100}/file-${number}.txt`,
    `fifty bytes or so of the file with the number ${number}`,
  ]),
)
const { text, blobs, digest } = manifestOf({ name: 'large', files: FILES })

let at: Engine
let generation: Generation
/** How often each blob was opened. */
const opened = new Map<Digest, number>()

beforeAll(async () => {
  at = await engine({ wrap: countingOpens })
  const stage = await open(at, at.admin)
  await at.depot.blobs.putAll(at.admin, stage, blobs)
  await at.depot.releases.put(at.admin, stage, RELEASE, text)
  generation = (await commit(at, at.admin, stage)).generation
})
afterAll(async () => {
  await at[Symbol.asyncDispose]()
})

function countingOpens(stores: Stores): Stores {
  const { pool } = stores
  const counting: Stores['pool'] = {
    put: async (...how) => await pool.put(...how),
    putAll: async (...how) => await pool.putAll(...how),
    absent: async (...how) => await pool.absent(...how),
    remove: async (...how) => await pool.remove(...how),
    open: async (asked) => {
      opened.set(asked, (opened.get(asked) ?? 0) + 1)
      return await pool.open(asked)
    },
  }
  return { ...stores, pool: counting }
}

async function find(path: string): Promise<ManifestFile> {
  return await (await at.depot.views.of(generation)).file(RELEASE, path)
}

describe('a release of 18,000 files', () => {
  it('has every one of them, found without its manifest being read', async () => {
    const paths = Object.keys(FILES)
    for (const path of [paths[0], paths[COUNT / 2], paths.at(-1)])
      expect(await find(path ?? '')).toMatchObject({ path, size: FILES[path ?? '']?.length })
    expect(opened.get(digest) ?? 0).toBe(0)
  })

  it.each(['', 'lib', 'lib/part-0', 'lib/part-0/file-0', 'LIB/part-0/file-0.txt', 'x'.repeat(5_000), '\0'])(
    'has no file %j',
    async (path) => {
      expect(await outcomeOf(find(path))).toBe('not-found')
    },
  )

  it('finds its files again when the rows were dropped, and makes the rows once for all who ask', async () => {
    await at.stores.derived.clear()
    opened.clear()
    const paths = Object.keys(FILES).slice(0, 50)
    const found = await Promise.all(paths.map(find))
    expect(found.map(({ path }) => path as string)).toEqual(paths)
    expect(opened.get(digest)).toBeLessThanOrEqual(paths.length)
    opened.clear()
    expect((await find(paths[0] ?? '')).path).toBe(paths[0])
    expect(opened.get(digest) ?? 0).toBe(0)
  })

  it('next to a small release, whose manifest is read once', async () => {
    const stage = await open(at, at.admin)
    const small = await stageRelease(at, at.admin, stage, { files: { a: '1', b: '2' } })
    generation = (await commit(at, at.admin, stage)).generation
    const view = await at.depot.views.of(generation)
    opened.clear()
    for (const path of ['a', 'b', 'a']) await view.file({ ...RELEASE, name: 'hello' }, path)
    expect(opened.get(small)).toBe(1)
  })

  it.each([
    [
      'a path twice',
      (manifest: string) => manifest.replace('part-1/file-1.txt', 'part-0/file-0.txt'),
      'manifest-invalid',
    ],
    ['an unknown member', (manifest: string) => manifest.replace('"path"', '"pfad"'), 'manifest-invalid'],
    ['half of it missing', (manifest: string) => manifest.slice(0, manifest.length / 2), 'manifest-invalid'],
  ])('with %s is refused by the worker as a small one would be', async (_, spoil, code) => {
    const stage = await open(at, at.admin)
    const wish = { ...RELEASE, version: '2.0.0' }
    const spoilt = Buffer.from(spoil(text.toString().replace('1.0.0', '2.0.0')))
    const outcome = await outcomeOf(at.depot.releases.put(at.admin, stage, wish, spoilt))
    expect([code, 'path-invalid']).toContain(outcome)
    expect(await outcomeOf(at.depot.releases.put(at.admin, stage, wish, Buffer.alloc(70_000_000)))).toBe(
      'limit-exceeded',
    )
  })
})
