/**
 * A temporary folder with files in it, for tests that read folders.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts'

export async function folderOf(files: Readonly<Record<string, string | object>>): Promise<TemporaryFolder> {
  const folder = await temporaryFolder()
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder.path, path)), { recursive: true })
    await writeFile(join(folder.path, path), typeof content === 'string' ? content : JSON.stringify(content))
  }
  return folder
}
