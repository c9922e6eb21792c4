/**
 * A small file system of its own for one test, where the tests may mount one.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { TestContext } from 'vitest'
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts'

const run = promisify(execFile)

/** A tmpfs with these options. Skips the test where mounting is not permitted, but fails it in CI. */
export async function mountedFolder(
  context: TestContext,
  options: readonly string[],
): Promise<TemporaryFolder> {
  const folder = await temporaryFolder()
  try {
    await run('mount', ['-t', 'tmpfs', '-o', options.join(','), 'tmpfs', folder.path])
  } catch (error) {
    await folder[Symbol.asyncDispose]()
    if (process.env['CI'] === 'true') throw error
    context.skip(`a tmpfs cannot be mounted here: ${String(error)}`)
  }
  return {
    path: folder.path,
    [Symbol.asyncDispose]: async () => {
      await run('umount', [folder.path])
      await folder[Symbol.asyncDispose]()
    },
  }
}
