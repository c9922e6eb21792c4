/**
 * What lies in a folder: its files, sorted, and what cannot be part of a release. Nothing is followed, so nothing
 * outside of the folder is ever seen.
 */
import type { Dirent } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { compareUtf8 } from '../model/name.ts'

/** Paths relative to the folder, with `/` on every system. */
export interface Listing {
  readonly files: readonly string[]
  readonly links: readonly string[]
  /** Sockets, pipes and devices. */
  readonly others: readonly string[]
}

/** Lists `folder` to its depth; what `leaveOut` says yes to is not listed and, if a folder, not entered. */
export async function listFolder(
  folder: string,
  leaveOut: (path: string) => boolean,
  signal?: AbortSignal,
): Promise<Listing> {
  const files: string[] = []
  const links: string[] = []
  const others: string[] = []
  const folders = ['']
  for (let at = folders.pop(); at !== undefined; at = folders.pop()) {
    signal?.throwIfAborted()
    for (const entry of await readdir(join(folder, at), { withFileTypes: true })) {
      const path = at === '' ? entry.name : `${at}/${entry.name}`
      if (leaveOut(path)) continue
      listFor(entry).push(path)
    }
  }
  return { files: files.sort(compareUtf8), links: links.sort(compareUtf8), others: others.sort(compareUtf8) }

  function listFor(entry: Dirent): string[] {
    if (entry.isDirectory()) return folders
    if (entry.isFile()) return files
    return entry.isSymbolicLink() ? links : others
  }
}
