/**
 * What belongs to a depot and is neither in its pool nor in its ledger: files of its data folder, which a backup has,
 * too. Whoever adds such a file to a depot adds it here.
 *
 * They are copied before the head moves, so that a generation never comes without what it needs.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Durable, nodeFiles, unlessGone } from '../../disk/durable.ts'

/** Names in the data folder. They may be secret: nobody but their owner may read what is copied. */
const SIDE_FILES: readonly string[] = ['admin.token', 'depot.toml']
/** With one file for each private key of the depot. */
const KEYS = 'keys'

/** Copies those that are there, durable; tells which. One that is the same already is left alone. */
export async function copySideFiles(from: string, to: string): Promise<readonly string[]> {
  const durable = new Durable(nodeFiles)
  const copied: string[] = []
  const keys = await readdir(join(from, KEYS)).catch(unlessGone)
  if (keys !== undefined) await durable.folder(join(to, KEYS))
  for (const name of [...SIDE_FILES, ...(keys ?? []).map((key) => join(KEYS, key))]) {
    const bytes = await readFile(join(from, name)).catch(unlessGone)
    if (bytes === undefined) continue
    const there = await readFile(join(to, name)).catch(unlessGone)
    if (there?.equals(bytes) !== true) await durable.write(join(to, name), bytes)
    copied.push(name)
  }
  return copied
}
