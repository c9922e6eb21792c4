/**
 * The format of the data folder is always told right, whatever was cut short.
 */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Durable, type Files, nodeFiles } from '../../src/disk/durable.ts'
import { MIGRATIONS, type Migration, settleFormat } from '../../src/ledger/format.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { openedLedger } from './a-ledger.ts'
import { FORGETTING, ForgetfulFiles, PowerCut } from './forgetful-files.ts'

/** What `Durable.write` does to the disk, one after the other. */
const STEPS_OF_WRITE = 8

describe('the format of a data folder', () => {
  it('is written by the first start and left alone by the next', async () => {
    await using folder = await temporaryFolder()
    await settleFormat(folder.path)
    expect(await formatIn(folder.path)).toEqual({ format: MIGRATIONS.length + 1 })
    await settleFormat(folder.path)
    expect(await readdir(folder.path)).toEqual(['format.json'])
  })

  it('that is newer is refused with `data-newer`', async () => {
    await using folder = await temporaryFolder()
    await writeFile(join(folder.path, 'format.json'), '{"format":7}')
    await expect(settleFormat(folder.path)).rejects.toMatchObject({
      code: 'data-newer',
      details: { found: 7, known: MIGRATIONS.length + 1 },
    })
    expect(await formatIn(folder.path)).toEqual({ format: 7 })
  })

  it.each([
    '',
    '{',
    'null',
    '[]',
    '7',
    '{"format":"1"}',
    '{"format":0}',
    '{"format":1.5}',
    '{"form":1}',
    '\0'.repeat(99),
  ])('that says %j is refused with `data-unusable`', async (text) => {
    await using folder = await temporaryFolder()
    await writeFile(join(folder.path, 'format.json'), text)
    await expect(settleFormat(folder.path)).rejects.toMatchObject({ code: 'data-unusable' })
  })

  it('that cannot be read or written is refused with the reason', async () => {
    await using folder = await temporaryFolder()
    await mkdir(join(folder.path, 'format.json'))
    await expect(settleFormat(folder.path)).rejects.toMatchObject({ code: 'data-unusable' })
    await expect(settleFormat(join(folder.path, 'nowhere'))).rejects.toThrow(/ENOENT/)
  })

  it('that is lost beside a ledger is not guessed', async () => {
    await using folder = await temporaryFolder()
    await (await openedLedger(folder.path))[Symbol.asyncDispose]()
    await expect(settleFormat(folder.path)).rejects.toMatchObject({ code: 'data-unusable' })
  })
})

describe('a data folder of an older format', () => {
  it('is migrated step by step, from where it is', async () => {
    for (const from of [1, 2, 3, 4]) {
      await using folder = await temporaryFolder()
      const done: number[] = []
      await writeFile(join(folder.path, 'format.json'), JSON.stringify({ format: from }))
      const step = (at: number): Migration => ({
        from: at,
        run: async () => void done.push(await Promise.resolve(at)),
      })
      await settleFormat(folder.path, [step(1), step(2), step(3)])
      expect(done).toEqual([1, 2, 3].slice(from - 1))
      expect(await formatIn(folder.path)).toEqual({ format: 4 })
    }
  })

  it('is never taken for another one when the power is cut at any step, and is migrated in the end', async () => {
    for (const forgets of FORGETTING) {
      let cuts = 0
      for (let steps = 0; cuts === steps; steps += 1) {
        await using folder = await temporaryFolder()
        await writeFile(join(folder.path, 'format.json'), '{"format":1}')
        await writeFile(join(folder.path, 'names'), 'b a c')
        const files = new ForgetfulFiles(steps)
        const cut = await settleFormat(folder.path, migrations(files), files).then(() => false, isPowerCut)
        await files.forget(forgets)
        if (cut) cuts += 1
        expect([1, 2, 3]).toContain((await formatIn(folder.path)).format)

        await settleFormat(folder.path, migrations(nodeFiles))
        expect(await formatIn(folder.path)).toEqual({ format: 3 })
        expect(await readFile(join(folder.path, 'sorted/names'), 'utf8')).toBe('a,b,c')
      }
      expect(cuts).toBe(4 * STEPS_OF_WRITE)
    }
  })

  it('is a new folder as well when its very first start is cut short', async () => {
    for (const forgets of FORGETTING)
      for (let steps = 0; steps < STEPS_OF_WRITE; steps += 1) {
        await using folder = await temporaryFolder()
        const files = new ForgetfulFiles(steps)
        await expect(settleFormat(folder.path, [], files)).rejects.toThrow(PowerCut)
        await files.forget(forgets)
        await settleFormat(folder.path)
        expect(await formatIn(folder.path)).toEqual({ format: MIGRATIONS.length + 1 })
      }
  })
})

/** Two steps that can be run again: sort the names, then move them into a folder. Each writes a file. */
function migrations(files: Files): readonly Migration[] {
  const put = async (path: string, text: string): Promise<void> => {
    await new Durable(files).write(path, Buffer.from(text))
  }
  return [
    {
      from: 1,
      run: async (folder) => {
        const names = await readFile(join(folder, 'names'), 'utf8')
        await put(join(folder, 'names.2'), names.split(' ').sort().join(','))
      },
    },
    {
      from: 2,
      run: async (folder) => {
        await mkdir(join(folder, 'sorted'), { recursive: true })
        await put(join(folder, 'sorted/names'), await readFile(join(folder, 'names.2'), 'utf8'))
      },
    },
  ]
}

function isPowerCut(error: unknown): boolean {
  expect(error).toBeInstanceOf(PowerCut)
  return true
}

async function formatIn(path: string): Promise<{ format: number }> {
  return JSON.parse(await readFile(join(path, 'format.json'), 'utf8')) as { format: number }
}
