/**
 * A depot with one rule switched off: a copy of `src` with one exact change, run as it stands. Nothing of this is in the
 * program itself, and when the code moves, the change fails loudly.
 */
import { cp, readFile, symlink, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '../..')

export interface Mutation {
  /** Below `src`. */
  readonly file: string
  /** Stands there exactly once. */
  readonly from: string
  readonly to: string
}

/** Makes the copy in an empty folder; the program to be run. */
export async function mutated(folder: string, { file, from, to }: Mutation): Promise<string> {
  await cp(join(ROOT, 'src'), join(folder, 'src'), { recursive: true })
  await cp(join(ROOT, 'package.json'), join(folder, 'package.json'))
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  const path = join(folder, 'src', file)
  const text = await readFile(path, 'utf8')
  const count = text.split(from).length - 1
  if (count !== 1) throw new Error(`src/${file} has ${count} times what is to be changed once: ${from}`)
  await writeFile(
    path,
    text.replace(from, () => to),
  )
  return join(folder, 'src/cli/depot.mjs')
}
