/**
 * A release made of a folder: its manifest, checked before anything is sent, and the bytes of its files.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { listFolder } from '../../format/folder.ts'
import { formatOf } from '../../format/format.ts'
import type { ImportedRelease } from '../../format/importer.ts'
import { type NpmPackage, readNpmPackage } from '../../format/npm-package.ts'
import { anyOf } from '../../format/pattern.ts'
import { readReleaseFiles } from '../../format/release-file.ts'
import { encodeManifest, type Manifest } from '../../model/manifest.ts'
import type { ReleaseName } from '../../model/name.ts'
import type { Version } from '../../model/version.ts'
import { UsageError } from '../shell.ts'

export interface ReleaseOptions {
  readonly name?: string
  readonly version?: string
  readonly summary?: string
  readonly os?: string
  readonly cpu?: string
  readonly exclude?: readonly string[]
}

/** What version control and file managers leave behind; never part of a release. */
export const ALWAYS_LEFT_OUT: readonly string[] = ['.git', '.hg', '.svn', '.DS_Store']

const LINKS_SHOWN = 5

/** Fails with `UsageError`, or as manifests fail. */
export async function releaseOf(
  folder: string,
  options: ReleaseOptions,
  signal?: AbortSignal,
): Promise<ImportedRelease> {
  const about = await describe(folder, options)
  const leaveOut = anyOf([...ALWAYS_LEFT_OUT, ...(options.exclude ?? [])])
  const { files: paths, links, others } = await listFolder(folder, leaveOut, signal)
  refuse([...links, ...others])
  const { files, sources } = await readReleaseFiles(folder, paths, signal)
  const { os, cpu, summary } = options
  const system = { ...(os === undefined ? {} : { os }), ...(cpu === undefined ? {} : { cpu }) }
  const manifest: Manifest = {
    ...about,
    ...(summary === undefined ? {} : { summary }),
    files: files.map((file) => ({ ...file, ...system })),
  }
  return { manifest: encodeManifest(manifest, formatOf('semver').order).manifest, sources }
}

/** Name and version as they were given, and what package.json says where they were not. */
async function describe(folder: string, { name, version }: ReleaseOptions): Promise<Omit<Manifest, 'files'>> {
  // `encodeManifest` checks what is only claimed here.
  if (name !== undefined && version !== undefined)
    return { name: name as ReleaseName, version: version as Version }
  const { kind: _, ...about } = await readPackage(folder)
  return {
    ...about,
    ...(name === undefined ? {} : { name: name as ReleaseName }),
    ...(version === undefined ? {} : { version: version as Version }),
  }
}

async function readPackage(folder: string): Promise<NpmPackage> {
  const path = join(folder, 'package.json')
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    throw new UsageError(`give --name and --version, for there is no ${path} to take them from`)
  })
  const found = readNpmPackage(text)
  if (found.kind === 'package') return found
  throw new UsageError(`give --name and --version, for of ${path} this is to say: ${found.detail}`)
}

/** A release that silently lacks files is worse than none. */
function refuse(paths: readonly string[]): void {
  if (paths.length === 0) return
  const shown = paths.slice(0, LINKS_SHOWN).join(', ')
  const more = paths.length > LINKS_SHOWN ? ` and ${paths.length - LINKS_SHOWN} more` : ''
  throw new UsageError(
    `a release holds plain files, and these are symbolic links or special files: ${shown}${more}; leave them out with --exclude, or put files in their place`,
  )
}
