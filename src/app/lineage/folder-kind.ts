/**
 * What a folder is, besides the data folder of a depot: a backup, which nobody may serve, or a restore that was cut
 * short. A small file says so, durable before anything else is written there; that of a restore goes as its last step,
 * so a folder without one is whole.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf, Durable, nodeFiles, unlessGone } from '../../disk/durable.ts'
import { failure } from '../../model/errors.ts'

export type FolderKind = 'backup' | 'restoring'

export const MARKS: Readonly<Record<FolderKind, string>> = {
  backup: 'backup.json',
  restoring: 'restoring.json',
}

/** What a mark tells besides that it is there. */
export interface Facts {
  /** The newest generation that was brought to its end with all that belongs to it. */
  readonly gid?: string
  /** When that was. */
  readonly taken?: string
}

/** What the lock of a folder and LMDB leave beside their files: no content of anybody. */
const STRAY = /^lock-[0-9a-f]{16}\.(?:new|sock)$/

/** Undefined for a folder that is neither. */
export async function kindOf(folder: string): Promise<FolderKind | undefined> {
  for (const kind of ['backup', 'restoring'] as const)
    if ((await readFile(join(folder, MARKS[kind])).catch(unlessGone)) !== undefined) return kind
  return undefined
}

/** Whether nothing is there, or not even the folder. Fails with `data-unusable` when it cannot be read. */
export async function isEmpty(folder: string): Promise<boolean> {
  try {
    return (await readdir(folder)).every((name) => STRAY.test(name))
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return true
    throw failure('data-unusable', { folder, reason: (cause as Error).message }, { cause })
  }
}

/** What the mark of a folder says; undefined where there is none. Fails with `data-unusable` when it says nothing. */
export async function factsOf(kind: FolderKind, folder: string): Promise<Facts | undefined> {
  const path = join(folder, MARKS[kind])
  const text = await readFile(path, 'utf8').catch(unlessGone)
  if (text === undefined) return undefined
  try {
    const facts: unknown = JSON.parse(text)
    if (typeof facts === 'object' && facts !== null) return facts
  } catch (cause) {
    throw failure('data-unusable', { folder, reason: `${MARKS[kind]} is damaged` }, { cause })
  }
  throw failure('data-unusable', { folder, reason: `${MARKS[kind]} is damaged` })
}

/** Writes the mark, durable. */
export async function markAs(kind: FolderKind, folder: string, facts: Facts): Promise<void> {
  const text = `${JSON.stringify({ v: 1, ...facts })}\n`
  await new Durable(nodeFiles).write(join(folder, MARKS[kind]), Buffer.from(text))
}

/** Takes the mark away, durable. */
export async function unmark(kind: FolderKind, folder: string): Promise<void> {
  await nodeFiles.unlink(join(folder, MARKS[kind])).catch(unlessGone)
  await new Durable(nodeFiles).sync(folder, 'folder')
}

/** For whoever wants to run a depot there. Fails with `data-unusable`. */
export async function refuseUnlessData(folder: string): Promise<void> {
  const kind = await kindOf(folder)
  if (kind !== undefined) throw failure('data-unusable', { folder, reason: REASONS[kind] })
}

const REASONS: Readonly<Record<FolderKind, string>> = {
  backup: 'it is a backup; make a data folder of it with depot restore',
  restoring: 'a restore into it was cut short; run the same depot restore again',
}
