/**
 * A small file system of its own, where one may be mounted.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { TestContext } from 'vitest'
import { type TemporaryFolder, temporaryFolder } from './temporary-folder.ts'

const run = promisify(execFile)

/** Mounts a tmpfs with these options, as `size=80m`, on a folder. Fails where mounting is not permitted. */
export async function mountDisk(folder: string, ...options: readonly string[]): Promise<AsyncDisposable> {
  await run('mount', ['-t', 'tmpfs', '-o', options.join(','), 'tmpfs', folder])
  return { [Symbol.asyncDispose]: async () => void (await run('umount', [folder])) }
}

/** The same for one test: skips it where mounting is not permitted, but fails it in CI. */
export async function smallDisk(
  context: TestContext,
  ...options: readonly string[]
): Promise<TemporaryFolder> {
  const folder = await temporaryFolder()
  let disk: AsyncDisposable
  try {
    disk = await mountDisk(folder.path, ...options)
  } catch (error) {
    await folder[Symbol.asyncDispose]()
    if (process.env['CI'] === 'true') throw error
    context.skip(`a tmpfs cannot be mounted here: ${String(error)}`)
  }
  return {
    path: folder.path,
    [Symbol.asyncDispose]: async () => {
      await disk[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    },
  }
}
