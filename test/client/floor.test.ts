import { rmSync, writeFileSync } from 'node:fs'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { FileFloor } from '../../src/client/floor.ts'
import { Heads } from '../../src/client/heads.ts'
import { MemoryPins } from '../../src/client/keys/pins.ts'
import { KeyTrust } from '../../src/client/keys/trust.ts'
import type { Gid } from '../../src/model/generation.ts'
import { Caller } from '../../src/wire/caller.ts'
import { realRandom } from '../support/real-world.ts'
import { countingRandom, noChance, stillClock } from '../wire/still-world.ts'
import { expectFailure, temporaryFolder } from './world.ts'

const FIRST = 'g41.k3x7m2q5wz4a.9f3ab2c41d07e655' as Gid
const SECOND = 'g42.k3x7m2q5wz4a.9f3ab2c41d07e656' as Gid
const THIRD = 'g43.k3x7m2q5wz4a.9f3ab2c41d07e657' as Gid
const URL_OF_DEPOT = 'https://depot.example'

function floorIn(folder: string, url: string = URL_OF_DEPOT): FileFloor {
  return new FileFloor({ folder, url, random: realRandom })
}

describe('a floor in a file', () => {
  it('is none at first, and later what was written, in another process too', async () => {
    await using folder = await temporaryFolder()
    const path = join(folder.path, 'state', 'floors')
    const floor = floorIn(path)
    expect(await floor.read()).toBeUndefined()
    expect(await floor.replace(undefined, FIRST)).toBe(true)
    expect(await floor.replace(FIRST, SECOND)).toBe(true)
    const later = floorIn(path, `${URL_OF_DEPOT}/`)
    expect(await later.read()).toBe(SECOND)
    const [file = '', ...others] = await readdir(path)
    expect(others).toEqual([])
    expect(JSON.parse(await readFile(join(path, file), 'utf8'))).toEqual({
      depot: URL_OF_DEPOT,
      floor: SECOND,
    })
    expect((await stat(path)).mode & 0o777).toBe(0o700)
  })

  it('is one for each depot', async () => {
    await using folder = await temporaryFolder()
    await floorIn(folder.path).replace(undefined, FIRST)
    const other = floorIn(folder.path, 'https://other.example')
    expect(await other.read()).toBeUndefined()
    await other.replace(undefined, SECOND)
    expect([await floorIn(folder.path).read(), await other.read()]).toEqual([FIRST, SECOND])
  })

  it('is replaced by nobody who saw another one', async () => {
    await using folder = await temporaryFolder()
    const [one, two] = [floorIn(folder.path), floorIn(folder.path)]
    await one.replace(undefined, FIRST)
    await two.replace(FIRST, THIRD)
    expect(await one.replace(FIRST, SECOND)).toBe(false)
    expect(await one.read()).toBe(THIRD)
  })

  it('is replaced by one of many who do so at once, and leaves nothing else behind', async () => {
    await using folder = await temporaryFolder()
    for (let round = 0; round < 10; round += 1) {
      const before = await floorIn(folder.path).read()
      const gids = Array.from(
        { length: 8 },
        (_, at) => `g${round * 8 + at}.k3x7m2q5wz4a.9f3ab2c41d07e655` as Gid,
      )
      const done = await Promise.all(gids.map(async (gid) => await floorIn(folder.path).replace(before, gid)))
      const winners = gids.filter((_, at) => done[at])
      expect(winners).toEqual([await floorIn(folder.path).read()])
    }
    expect(await readdir(folder.path)).toHaveLength(1)
  })

  it('is not replaced by somebody so slow that others have replaced it twice', async () => {
    await using folder = await temporaryFolder()
    await floorIn(folder.path).replace(undefined, FIRST)
    const [first = ''] = await readdir(folder.path)
    const third = first.replace('.1.', '.3.')
    const slow = new FileFloor({
      folder: folder.path,
      url: URL_OF_DEPOT,
      random: {
        // Where it thinks of a name, it has seen the first one already.
        bytes(count) {
          writeFileSync(join(folder.path, third), JSON.stringify({ depot: URL_OF_DEPOT, floor: THIRD }))
          rmSync(join(folder.path, first), { force: true })
          return realRandom.bytes(count)
        },
      },
    })
    expect(await slow.replace(FIRST, SECOND)).toBe(false)
    expect(await readdir(folder.path)).toEqual([third])
    expect(await slow.read()).toBe(THIRD)
  })

  it('never goes back when many who share it have seen different generations', async () => {
    await using folder = await temporaryFolder()
    const caller = new Caller({ url: URL_OF_DEPOT, clock: stillClock(), random: noChance })
    const gids = Array.from(
      { length: 40 },
      (_, at) => `g${(at * 7) % 40}.k3x7m2q5wz4a.9f3ab2c41d07e655` as Gid,
    )
    const trust = new KeyTrust({ caller, pins: new MemoryPins() })
    const seen: number[] = []
    let isOver = false
    const watching = (async () => {
      while (!isOver) seen.push(Number(/^g(\d+)/.exec((await floorIn(folder.path).read()) ?? 'g0')?.[1]))
    })()
    await Promise.all(
      gids.map(
        async (gid) =>
          await new Heads({ caller, floor: floorIn(folder.path), trust, random: realRandom }).raise(gid),
      ),
    )
    isOver = true
    await watching
    expect(seen).toEqual(seen.toSorted((a, b) => a - b))
    expect(await floorIn(folder.path).read()).toMatch(/^g39\./)
  })

  it.each([
    '',
    'null',
    '{"depot":"https://depot.example"}',
    '{"depot":"https://depot.example","floor":"g42"}',
    '{"floor":1',
  ])('that is damaged (%j) is a failure, not forgotten', async (text) => {
    await using folder = await temporaryFolder()
    const floor = floorIn(folder.path)
    await floor.replace(undefined, FIRST)
    const [file = ''] = await readdir(folder.path)
    await writeFile(join(folder.path, file), text)
    const error = await expectFailure(floor.read(), 'data-unusable')
    expect(error.message).toContain(join(folder.path, file))
    await expectFailure(floor.replace(undefined, SECOND), 'data-unusable')
  })

  it('that cannot be written says where', async () => {
    await using folder = await temporaryFolder()
    const path = join(folder.path, 'file')
    await writeFile(path, '')
    const floor = new FileFloor({ folder: path, url: URL_OF_DEPOT, random: countingRandom() })
    const error = await expectFailure(floor.replace(undefined, FIRST), 'data-unusable')
    expect(error.message).toContain(path)
  })
})
