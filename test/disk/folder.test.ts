/**
 * The data folder is durable in the one above it, whoever made it and however far he came.
 */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { type Files, nodeFiles } from '../../src/disk/durable.ts'
import { makeFolder } from '../../src/disk/folder.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { CuttableFiles, PowerCut } from './power.ts'

it('a folder is synced into the one above it, by the next start when the first was cut short', async () => {
  for (let step = 1, ended = false; !ended; step += 1) {
    await using above = await temporaryFolder()
    const path = join(above.path, 'one/two')
    const files = new CuttableFiles()
    files.cutBefore(step)
    ended = await makeFolder(path, 0o700, files).then(
      () => true,
      (error: unknown) => {
        if (!(error instanceof PowerCut)) throw error
        return false
      },
    )
    const synced: string[] = []
    await makeFolder(path, 0o700, noting(synced))
    expect(synced).toContain(join(above.path, 'one'))
    if (step <= 2) expect(synced).toContain(above.path)
    expect(((await stat(path)).mode & 0o777).toString(8)).toBe('700')
  }
})

it('above a folder that was there may be one that nobody here can read, and above a new one not', async () => {
  await using above = await temporaryFolder()
  const files = refusing('EACCES')
  await makeFolder(above.path, 0o700, files)
  await expect(makeFolder(join(above.path, 'new'), 0o700, files)).rejects.toMatchObject({ code: 'EACCES' })
  await expect(makeFolder(above.path, 0o700, refusing('EIO'))).rejects.toMatchObject({ code: 'EIO' })
})

/** Notes which folders were synced. */
function noting(synced: string[]): Files {
  const open: Files['open'] = async (path, how) => {
    synced.push(path)
    return await nodeFiles.open(path, how)
  }
  return { ...nodeFiles, open }
}

function refusing(code: string): Files {
  const open = async (): Promise<never> => await Promise.reject(Object.assign(new Error(code), { code }))
  return { ...nodeFiles, open }
}
