/**
 * A folder outside of those that `durable.ts` makes: the data folder itself, with whatever stands above it.
 */
import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { codeOf, Durable, nodeFiles } from './durable.ts'

/** Makes a folder, and those above it, where they are absent. `path` is absolute; `mode` is for the last one only. */
export async function makeFolder(path: string, mode = 0o777): Promise<void> {
  try {
    await mkdir(path, { mode })
  } catch (error) {
    if (codeOf(error) === 'EEXIST' && (await stat(path)).isDirectory()) return
    if (codeOf(error) !== 'ENOENT' || path === dirname(path)) throw error
    await makeFolder(dirname(path))
    return await makeFolder(path, mode)
  }
  await new Durable(nodeFiles).sync(dirname(path), 'folder')
}
