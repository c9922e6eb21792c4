/**
 * A disk that has damaged what it keeps: the damage is reported, never served, found by a scrub, and healed by putting
 * the same bytes again.
 */
import { readFile, rename, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ScrubLine } from '../../src/client/index.ts'
import { digestOf } from '../../src/model/digest.ts'
import { type Asking, asking } from '../http/well-formed.ts'
import { publish } from '../support/publish.ts'
import { runningDepot, type TestDepot } from '../support/running-depot.ts'
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts'
import { collect } from './verify.ts'

const SMALL = Buffer.from('a small file with some words in it that stand nowhere else: xylophone')
const LARGE = Buffer.alloc(200_000, 'a large file ')
const WISH = { name: 'hello', version: '1.0.0', files: { small: SMALL, large: LARGE, other: 'untouched' } }
const HEX = digestOf(LARGE).slice('sha256:'.length)

let folder: TemporaryFolder
let depot: TestDepot
let ask: Asking
let large = ''

beforeEach(async () => {
  folder = await temporaryFolder()
  await start()
  await publish(depot.client, WISH)
  large = join(folder.path, 'pool', HEX.slice(0, 2), HEX.slice(2))
})
afterEach(async () => {
  await depot[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

async function start(): Promise<void> {
  depot = await runningDepot({ data: folder.path })
  ask = asking(depot)
}

/** Does something to the files while the depot is stopped. */
async function whileStopped(act: () => Promise<void>): Promise<void> {
  await depot.running.close('SIGINT')
  await act()
  await start()
}

/** Flips a bit in every place of the file where the text stands. */
async function flipIn(path: string, text: string): Promise<void> {
  const bytes = await readFile(path)
  let found = 0
  for (let at = bytes.indexOf(text); at !== -1; at = bytes.indexOf(text, at + 1)) {
    bytes[at] = bytes[at]! ^ 1
    found += 1
  }
  expect(found).toBeGreaterThan(0)
  await writeFile(path, bytes)
}

const FILES = '/v1/channels/stable/files/hello/1.0.0'

async function expectCorrupt(...paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const answer = await ask(path)
    expect([path, answer.status, answer.problem]).toEqual([path, 500, 'blob-corrupt'])
    expect(answer.header('cache-control')).toBe('no-store')
  }
}

async function damagedBy(lines: AsyncIterable<ScrubLine>): Promise<readonly string[]> {
  const found = await collect(lines)
  const damaged = found.flatMap((line) => (line.kind === 'damaged' ? [line.digest as string] : []))
  expect(found.at(-1)).toMatchObject({ kind: 'done', damaged: damaged.length })
  return damaged
}

/** Publishes the same release again, as a publisher would who was told to. */
async function heal(): Promise<void> {
  await publish(depot.client, WISH, { name: 'another', version: '1.0.0' })
}

async function expectHealed(): Promise<void> {
  expect(await damagedBy(depot.client.scrub())).toEqual([])
  expect((await ask(`${FILES}/large`)).body.equals(LARGE)).toBe(true)
  expect((await ask(`${FILES}/small`)).body.equals(SMALL)).toBe(true)
}

describe('a large file', () => {
  it.each<[string, () => Promise<void>]>([
    ['that was cut short', async () => await truncate(large, 100_000)],
    ['that is gone', async () => await rename(large, `${large}.elsewhere`)],
  ])('%s is never served, and heals when it is put again', async (_, damage) => {
    await damage()
    await expectCorrupt(`${FILES}/large`, `/o/sha256/${HEX}`)
    expect((await ask(`${FILES}/small`)).status).toBe(200)
    expect(await damagedBy(depot.client.scrub())).toEqual([digestOf(LARGE)])
    await heal()
    await expectHealed()
  })

  it('that has other bytes is found by a scrub, is not served from then on, and heals when it is put again', async () => {
    const bytes = await readFile(large)
    bytes[150_000] = 0
    await writeFile(large, bytes)
    expect(await damagedBy(depot.client.scrub())).toEqual([digestOf(LARGE)])
    await expectCorrupt(`${FILES}/large`, `/o/sha256/${HEX}`)
    await whileStopped(async () => undefined)
    await expectCorrupt(`${FILES}/large`)
    expect(await damagedBy(depot.client.scrub())).toEqual([digestOf(LARGE)])
    await heal()
    await expectHealed()
  })

  it('that is cut short while it is sent breaks the connection, and is not taken for whole', async () => {
    const huge = Buffer.alloc(64_000_000, 'huge ')
    const hex = digestOf(huge).slice('sha256:'.length)
    await publish(depot.client, { name: 'huge', version: '1.0.0', files: { huge } })
    const answer = await fetch(`${depot.url}/o/sha256/${hex}`)
    await truncate(join(folder.path, 'pool', hex.slice(0, 2), hex.slice(2)), 1_000_000)
    await expect(answer.arrayBuffer()).rejects.toThrow()
    expect((await ask('/livez')).status).toBe(200)
  })
})

describe('a small file', () => {
  it('that has other bytes is never served, and heals when it is put again', async () => {
    await whileStopped(async () => await flipIn(join(folder.path, 'pool.lmdb'), 'xylophone'))
    await expectCorrupt(`${FILES}/small`, `/o/sha256/${digestOf(SMALL).slice('sha256:'.length)}`)
    expect((await ask(`${FILES}/large`)).status).toBe(200)
    expect(await damagedBy(depot.client.scrub())).toEqual([digestOf(SMALL)])
    expect(await damagedBy(depot.client.scrub())).toEqual([digestOf(SMALL)])
    await heal()
    await expectHealed()
  })
})

describe('a manifest', () => {
  it('that has other bytes is never served, and neither is what only it leads to', async () => {
    await whileStopped(async () => await flipIn(join(folder.path, 'pool.lmdb'), '"name":"hello","version"'))
    await expectCorrupt('/v1/channels/stable/manifests/hello/1.0.0', `${FILES}/other`)
    await expect(
      async () =>
        await depot.client.session().then(async (s) => await s.manifest('stable', 'hello', '1.0.0')),
    ).rejects.toThrow(/damaged/)
    expect((await ask('/v1/channels/stable/catalog')).status).toBe(200)
    const [damaged] = await damagedBy(depot.client.scrub())
    expect((await ask('/v1/channels/stable/catalog')).text).toContain(damaged)
  })
})

describe('the metaset', () => {
  it('that has other bytes keeps the depot from starting, with a reason', async () => {
    await depot.running.close('SIGINT')
    const path = join(folder.path, 'pool.lmdb')
    const whole = await readFile(path)
    await flipIn(path, '"releases":{"bytes"')
    await expect(start()).rejects.toThrow(/damaged/)
    await writeFile(path, whole)
    await start()
    await expectHealed()
  })
})
