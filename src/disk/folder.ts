/**
 * A folder outside of those that `durable.ts` makes: the data folder itself, with whatever stands above it.
 *
 * Each is synced into the one above it before anything is made in it. One that is there is synced too, and so is the one
 * above it before a new one is made: whoever made it may have been cut short before that.
 */
import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { codeOf, Durable, type Files, nodeFiles, unlessGone } from './durable.ts'

/** Makes a folder, and those above it, where they are absent. `path` is absolute; `mode` is for the last one only. */
export async function makeFolder(path: string, mode = 0o777, files: Files = nodeFiles): Promise<void> {
  const parent = dirname(path)
  const durable = new Durable(files)
  if (await isFolder(path)) return await durable.sync(parent, 'folder').catch(unlessForeign)
  await makeFolder(parent, undefined, files)
  try {
    await mkdir(path, { mode })
  } catch (error) {
    if (codeOf(error) !== 'EEXIST' || !(await isFolder(path))) throw error
  }
  await durable.sync(parent, 'folder')
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(unlessGone))?.isDirectory() === true
}

/** Who may use a folder need not be able to read the one above it, which somebody else made then. */
function unlessForeign(error: unknown): void {
  if (codeOf(error) !== 'EACCES') throw error
}
