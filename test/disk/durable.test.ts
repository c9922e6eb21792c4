/**
 * What `Durable` says is durable survives any crash, at whatever step it comes.
 */
import { describe, expect, it } from 'vitest'
import { Durable } from '../../src/disk/durable.ts'
import { someBytes } from '../pool/bytes.ts'
import { CRASHES, LossyFiles } from './lossy-files.ts'
import { CuttableFiles, PowerCut } from './power.ts'

const BYTES = someBytes(100)
const DRAFT = '/incoming/draft'
const NAME = '/pool/ab/cd'

interface Ground {
  readonly disk: LossyFiles
  readonly files: CuttableFiles
  readonly durable: Durable
}

async function ground(name = DRAFT): Promise<Ground> {
  const disk = new LossyFiles('/incoming', '/pool')
  const files = new CuttableFiles(disk)
  await write(disk, name, BYTES)
  return { disk, files, durable: new Durable(files) }
}

async function write(disk: LossyFiles, path: string, bytes: Uint8Array): Promise<void> {
  const file = await disk.open(path, 'new')
  await file.write(bytes, 0)
}

/** Whether it ended although the power was cut before the step. */
async function survived(files: CuttableFiles, step: number, work: () => Promise<unknown>): Promise<boolean> {
  files.cutBefore(step)
  return await work().then(
    () => true,
    (error: unknown) => {
      if (!(error instanceof PowerCut)) throw error
      return false
    },
  )
}

describe('a file that is linked to its name', () => {
  it('is there whole or not at all, after a crash at any step (P4), and there when link returned (P1)', async () => {
    const outcomes: string[] = []
    for (let step = 1; outcomes.at(-1) !== 'survived'; step += 1) {
      const { disk, files, durable } = await ground()
      const ended = await survived(files, step, async () => await durable.link(DRAFT, NAME))
      const kept = CRASHES.map((crash) => disk.after(crash, NAME))
      expect(kept.every((bytes) => bytes === undefined || bytes.equals(BYTES))).toBe(true)
      if (ended) expect(kept).toEqual([BYTES, BYTES, BYTES])
      outcomes.push(ended ? 'survived' : (files.steps.at(-1) ?? 'nothing'))
    }
    expect(outcomes).toEqual([
      'nothing',
      'open old',
      'sync',
      'mkdir',
      'open folder',
      'sync folder',
      'link',
      'open folder',
      'survived',
    ])
  })

  it('is durable for the loser of a race, whatever the winner came to', async () => {
    for (let step = 1, ended = false; !ended; step += 1) {
      const { disk, files, durable } = await ground()
      await write(disk, '/incoming/other', BYTES)
      ended = await survived(files, step, async () => await durable.link(DRAFT, NAME))
      const loser = new Durable(disk)
      await loser.link('/incoming/other', NAME)
      expect(CRASHES.map((crash) => disk.after(crash, NAME))).toEqual([BYTES, BYTES, BYTES])
    }
  })

  it('tells who came second', async () => {
    const { disk, durable } = await ground()
    await write(disk, '/incoming/other', BYTES)
    await expect(durable.link(DRAFT, NAME)).resolves.toBe('linked')
    await expect(durable.link('/incoming/other', NAME)).resolves.toBe('taken')
    await expect(durable.link('/incoming/none', NAME)).rejects.toMatchObject({ code: 'ENOENT' })
  })
})

describe('a name whose bytes are replaced', () => {
  it('has the old bytes or the new ones after a crash at any step, and the new ones when replace returned', async () => {
    const damaged = someBytes(100, 'damaged')
    for (let step = 1, ended = false; !ended; step += 1) {
      const { disk, files, durable } = await ground()
      await write(disk, '/incoming/damaged', damaged)
      await new Durable(disk).link('/incoming/damaged', NAME)
      ended = await survived(files, step, async () => await durable.replace(DRAFT, NAME))
      const kept = CRASHES.map((crash) => disk.after(crash, NAME))
      expect(kept.every((bytes) => bytes?.equals(damaged) === true || bytes?.equals(BYTES) === true)).toBe(
        true,
      )
      if (ended) expect(kept).toEqual([BYTES, BYTES, BYTES])
    }
  })
})

describe('a name that is given new bytes', () => {
  const NEW = someBytes(100, 'new')
  const SETTINGS = '/pool/settings'

  it('has the old bytes or the new ones after a crash at any step, and the new ones when write returned', async () => {
    const outcomes: string[] = []
    for (let step = 1; outcomes.at(-1) !== 'survived'; step += 1) {
      const { disk, files, durable } = await ground()
      await new Durable(disk).write(SETTINGS, BYTES)
      const ended = await survived(files, step, async () => await durable.write(SETTINGS, NEW))
      const kept = CRASHES.map((crash) => disk.after(crash, SETTINGS))
      expect(kept.every((bytes) => bytes?.equals(BYTES) === true || bytes?.equals(NEW) === true)).toBe(true)
      if (ended) expect(kept).toEqual([NEW, NEW, NEW])
      outcomes.push(ended ? 'survived' : (files.steps.at(-1) ?? 'nothing'))

      await new Durable(disk).write(SETTINGS, NEW)
      expect(CRASHES.map((crash) => disk.after(crash, SETTINGS))).toEqual([NEW, NEW, NEW])
    }
    expect(outcomes).toEqual([
      'nothing',
      'unlink',
      'open new',
      'write',
      'open old',
      'sync',
      'rename',
      'open folder',
      'survived',
    ])
  })
})
