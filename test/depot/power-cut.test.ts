/**
 * The power is cut at every step of publishing (STYLE habit 9): whatever the depot had answered by then, it is true
 * after the next start, what it had not is there whole or not at all, and doing it again works.
 */
import { describe, expect, it } from 'vitest'
import type { Generation } from '../../src/client/index.ts'
import { wholeOf } from '../../src/depot/read/whole.ts'
import { entries } from '../../src/metaset/read.ts'
import { decodeRelease } from '../../src/metaset/release.ts'
import { digestOf } from '../../src/model/digest.ts'
import { stillClock } from '../support/still-clock.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { commit, type Engine, engine, manifestOf, offered, published } from './an-engine.ts'
import { type Cut, Power, PowerCut } from './power.ts'

const LARGE = 'large '.repeat(20_000)
const WISH = { version: '2.0.0', files: { 'a.txt': 'small', 'b.bin': LARGE } }
const RELEASE = { channel: 'stable', name: 'hello', version: '2.0.0' }
const KEY = { text: 'key', bodyDigest: digestOf('{}') }

/** What the publisher was told before the power was cut. */
interface Heard {
  stage?: string
  committed?: Generation
}

/** All of publishing, with a small and a large file; goes on with the stage that it was told of before. */
async function publish(at: Engine, heard: Heard): Promise<void> {
  const stage =
    heard.stage === undefined
      ? await at.depot.stages.open(at.admin, { base: at.depot.head.now(), message: '', members: [] })
      : at.depot.stages.show(at.admin, heard.stage)
  heard.stage = stage.id
  if (stage.state === 'open') {
    const { text, blobs } = manifestOf(WISH)
    const declared = blobs.map(({ digest, bytes }) => ({ digest, size: bytes.length }))
    const missing = await at.depot.blobs.missing(at.admin, stage, declared)
    const [small, large] = blobs
    if (missing.includes(small!.digest)) await at.depot.blobs.putAll(at.admin, stage, [small!])
    if (missing.includes(large!.digest)) {
      const offset = (await at.depot.blobs.progress(stage, large!.digest))?.offset ?? 0
      const [digest, size, rest] = [large!.digest, large!.bytes.length, large!.bytes.subarray(offset)]
      await at.depot.blobs.upload(at.admin, stage, {
        digest,
        size,
        offset,
        bytes: once(rest),
        complete: true,
      })
    }
    await at.depot.releases.put(at.admin, stage, RELEASE, text)
  }
  heard.committed = (await commit(at, at.admin, stage, { key: KEY })).generation
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** Everything that any generation of the log names is here and right. */
async function expectWhole(at: Engine): Promise<void> {
  for (const generation of at.depot.generations.list({ kind: 'newest' }, 100)) {
    const view = await at.depot.views.of(generation)
    for (const channel of view.channelNames())
      for await (const { line } of entries(at.depot.reader, view.channel(channel).releases)) {
        const { manifest } = decodeRelease(line)
        const bytes = await wholeOf((await at.stores.pool.open(manifest))!)
        expect(digestOf(bytes)).toBe(manifest)
        for (const { digest, size } of (
          JSON.parse(bytes.toString()) as { files: { digest: string; size: number }[] }
        ).files) {
          const blob = await at.stores.pool.open(digest as never)
          expect(blob?.size).toBe(size)
          expect(digestOf(await wholeOf(blob!))).toBe(digest)
        }
      }
  }
}

/** Publishes with the power cut, starts again, publishes on; tells what the second start found. */
async function cutAt(cut: Cut): Promise<'survived' | 'nothing' | 'whole'> {
  await using folder = await temporaryFolder()
  const clock = stillClock()
  {
    await using before = await engine({ folder: folder.path, clock })
    await published(before, { version: '1.0.0' })
  }
  const heard: Heard = {}
  let isSurvived = false
  {
    // Reading what is there when it starts is not counted: the cut comes later.
    const power = new Power(cut)
    await using dying = await engine({ folder: folder.path, clock, wrap: (stores) => power.wrap(stores) })
    isSurvived = await publish(dying, heard).then(
      () => true,
      (error: unknown) => {
        if (!(error instanceof PowerCut)) throw error
        return false
      },
    )
  }
  await using reborn = await engine({ folder: folder.path, clock })
  const { number } = reborn.depot.head.now().record
  if (heard.committed !== undefined) expect(reborn.depot.head.now()).toEqual(heard.committed)
  expect([1, 2]).toContain(number)
  await expectWhole(reborn)
  expect(await offered(reborn)).toEqual(number === 2 ? ['hello 1.0.0', 'hello 2.0.0'] : ['hello 1.0.0'])
  if (heard.stage !== undefined)
    expect(reborn.depot.stages.show(reborn.admin, heard.stage).state).toBe(
      number === 2 ? 'committed' : 'open',
    )
  await publish(reborn, heard)
  expect(reborn.depot.head.now()).toEqual(heard.committed)
  expect(heard.committed?.record.number).toBe(2)
  expect(await offered(reborn)).toEqual(['hello 1.0.0', 'hello 2.0.0'])
  await expectWhole(reborn)
  if (isSurvived) return 'survived'
  return number === 2 ? 'whole' : 'nothing'
}

describe('the power is cut', () => {
  it.each(['before', 'after'] as const)('%s every step of the very first start', async (when) => {
    const lineages: number[] = []
    for (let step = 1; lineages.at(-1) !== 0; step += 1) {
      await using folder = await temporaryFolder()
      const power = new Power({ at: step, when })
      const began = engine({ folder: folder.path, wrap: (stores) => power.wrap(stores) })
      const isSurvived = await began.then(
        async (at) => {
          await at[Symbol.asyncDispose]()
          return true
        },
        () => false,
      )
      await using reborn = await engine({ folder: folder.path })
      expect(reborn.depot.head.now().record.number).toBe(0)
      expect(reborn.depot.generations.lineages().size).toBe(1)
      expect(reborn.depot.head.now().signatures.length).toBe(1)
      await published(reborn, {})
      expect(await offered(reborn)).toEqual(['hello 1.0.0'])
      lineages.push(isSurvived ? 0 : step)
    }
    expect(lineages).toEqual([1, 2, 3, 0])
  })
  it.each(['before', 'after'] as const)('%s every step of publishing', async (when) => {
    const outcomes: string[] = []
    while (outcomes.at(-1) !== 'survived') outcomes.push(await cutAt({ at: outcomes.length + 1, when }))
    // Nothing is visible before the flip, which is the last step; everything is as soon as it has happened.
    const nothings = outcomes.filter((outcome) => outcome === 'nothing').length
    expect(nothings).toBeGreaterThan(8)
    const expected = when === 'before' ? ['survived'] : ['whole', 'survived']
    expect(outcomes).toEqual([...Array.from({ length: nothings }, () => 'nothing'), ...expected])
  })
})
