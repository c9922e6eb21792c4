import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { FileFloor } from '../../src/client/floor.ts'
import type { Gid } from '../../src/model/generation.ts'
import { countingRandom } from '../wire/still-world.ts'
import { expectFailure, temporaryFolder } from './world.ts'

const FIRST = 'g41.k3x7m2q5wz4a.9f3ab2c41d07e655' as Gid
const SECOND = 'g42.k3x7m2q5wz4a.9f3ab2c41d07e656' as Gid
const URL_OF_DEPOT = 'https://depot.example'

describe('a floor in a file', () => {
  it('is none at first, and later what was written, in another process too', async () => {
    await using folder = await temporaryFolder()
    const path = join(folder.path, 'state', 'floors')
    const floor = new FileFloor({ folder: path, url: URL_OF_DEPOT, random: countingRandom() })
    expect(await floor.read()).toBeUndefined()
    await floor.write(FIRST)
    await floor.write(SECOND)
    const later = new FileFloor({ folder: path, url: `${URL_OF_DEPOT}/`, random: countingRandom() })
    expect(await later.read()).toBe(SECOND)
    expect(await readdir(path)).toHaveLength(1)
    expect(JSON.parse(await readFile(later.path, 'utf8'))).toEqual({ depot: URL_OF_DEPOT, floor: SECOND })
    expect((await stat(path)).mode & 0o777).toBe(0o700)
  })

  it('is one for each depot', async () => {
    await using folder = await temporaryFolder()
    const options = { folder: folder.path, random: countingRandom() }
    await new FileFloor({ ...options, url: URL_OF_DEPOT }).write(FIRST)
    expect(await new FileFloor({ ...options, url: 'https://other.example' }).read()).toBeUndefined()
  })

  it.each([
    '',
    'null',
    '{"depot":"https://depot.example"}',
    '{"depot":"https://depot.example","floor":"g42"}',
    '{"floor":1',
  ])('that is damaged (%j) is a failure, not forgotten', async (text) => {
    await using folder = await temporaryFolder()
    const floor = new FileFloor({ folder: folder.path, url: URL_OF_DEPOT, random: countingRandom() })
    await writeFile(floor.path, text)
    const error = await expectFailure(floor.read(), 'data-unusable')
    expect(error.message).toContain(floor.path)
  })

  it('that cannot be written says where', async () => {
    await using folder = await temporaryFolder()
    await writeFile(join(folder.path, 'file'), '')
    const floor = new FileFloor({
      folder: join(folder.path, 'file'),
      url: URL_OF_DEPOT,
      random: countingRandom(),
    })
    await expectFailure(floor.write(FIRST), 'data-unusable')
  })
})
