/**
 * Imports what npm installed: every package below a `node_modules` folder becomes a release.
 *
 * A `node_modules` inside of a package is not part of it: the packages in there are packages of their own. No link is
 * followed. What a link inside the folder leads to is met as itself, as in the stores of pnpm (`.pnpm`) and of npm's
 * linked layout (`.store`), which are looked through as well; what leads out of the folder is skipped and counted.
 */
import type { Dirent } from 'node:fs'
import { readdir, readFile, realpath } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { isFailure } from '../model/errors.ts'
import { encodeManifest, type Manifest } from '../model/manifest.ts'
import { compareUtf8 } from '../model/name.ts'
import { semverOrder } from '../model/version.ts'
import { listFolder } from './folder.ts'
import type { Imported, ImportedRelease, Skipped } from './importer.ts'
import { type NoPackage, type NpmPackage, readNpmPackage } from './npm-package.ts'
import { readReleaseFiles } from './release-file.ts'

const CONTAINER = 'node_modules'
const STORES = new Set(['.pnpm', '.store'])

/** First how many folders there are to look at, then each distinct name and version once. */
export async function* importNpm(folder: string, signal?: AbortSignal): AsyncGenerator<Imported> {
  const root = await realpath(folder)
  const { packages, links } = await findPackages(root, signal)
  yield { kind: 'found', folders: packages.length }
  for (const link of links) {
    if (await leadsOut(root, link))
      yield skipped(link, 'link', 'is a symbolic link that leads out of the folder')
  }
  const seen = new Set<string>()
  for (const path of packages) {
    signal?.throwIfAborted()
    const imported = await importPackage({ root, path, seen }, signal)
    if (imported !== undefined) yield imported
  }
}

/** Every folder where a package would be, sorted within each container, and every link beside them. */
async function findPackages(root: string, signal?: AbortSignal): Promise<Omit<Container, 'stored'>> {
  const packages: string[] = []
  const links: string[] = []
  const containers = ['']
  for (let at = containers.shift(); at !== undefined; at = containers.shift()) {
    signal?.throwIfAborted()
    const inside = await lookInto(root, at)
    links.push(...inside.links)
    packages.push(...inside.packages)
    containers.push(...inside.stored)
    for (const path of inside.packages) containers.push(...(await containerIn(root, path)))
  }
  return { packages, links }
}

interface Container {
  readonly packages: readonly string[]
  readonly links: readonly string[]
  /** Containers within the stores of pnpm and npm. */
  readonly stored: readonly string[]
}

async function lookInto(root: string, container: string): Promise<Container> {
  const packages: string[] = []
  const links: string[] = []
  const stored: string[] = []
  for (const { path, entry } of await withScopes(root, await entriesOf(root, container))) {
    if (entry.isSymbolicLink()) links.push(path)
    else if (STORES.has(entry.name)) stored.push(...(await containersIn(root, path)))
    else packages.push(path)
  }
  return { packages, links, stored }
}

/** `@scope` is a folder of packages, not one itself. */
async function withScopes(root: string, entries: readonly Found[]): Promise<Found[]> {
  const found: Found[] = []
  for (const at of entries) {
    if (at.entry.isDirectory() && at.entry.name.startsWith('@'))
      found.push(...(await entriesOf(root, at.path)))
    else found.push(at)
  }
  return found
}

/** `.pnpm/<anything>/node_modules` */
async function containersIn(root: string, store: string): Promise<string[]> {
  const found: string[] = []
  for (const { path, entry } of await entriesOf(root, store)) {
    if (entry.isDirectory() && entry.name !== CONTAINER) found.push(...(await containerIn(root, path)))
  }
  return found
}

/** The `node_modules` of a package, if it has one. Only npm makes that; deeper ones are files like any other. */
async function containerIn(root: string, at: string): Promise<string[]> {
  const entries = await entriesOf(root, at)
  return entries
    .filter(({ entry }) => entry.name === CONTAINER && entry.isDirectory())
    .map(({ path }) => path)
}

interface Found {
  readonly path: string
  readonly entry: Dirent
}

/** The folders and links in a folder, sorted. What begins with a dot is npm's own and no package. */
async function entriesOf(root: string, at: string): Promise<Found[]> {
  const entries = await readdir(join(root, at), { withFileTypes: true })
  return entries
    .filter((entry) => entry.isDirectory() || entry.isSymbolicLink())
    .filter((entry) => !entry.name.startsWith('.') || STORES.has(entry.name))
    .sort((a, b) => compareUtf8(a.name, b.name))
    .map((entry) => ({ path: at === '' ? entry.name : `${at}/${entry.name}`, entry }))
}

async function leadsOut(root: string, link: string): Promise<boolean> {
  const target = await realpath(join(root, link)).catch(() => undefined)
  if (target === undefined) return true
  const path = relative(root, target)
  return path === '..' || path.startsWith(`..${sep}`)
}

interface Candidate {
  readonly root: string
  readonly path: string
  /** Every `name@version` met so far. */
  readonly seen: Set<string>
}

/** Undefined for a folder that is no package at all. */
async function importPackage(candidate: Candidate, signal?: AbortSignal): Promise<Imported | undefined> {
  const { root, path, seen } = candidate
  const listing = await listFolder(join(root, path), (inside) => inside === CONTAINER, signal)
  if (!listing.files.includes('package.json')) return undefined
  const found = readNpmPackage(await readFile(join(root, path, 'package.json'), 'utf8'))
  if (found.kind !== 'package') return skipped(path, found.kind, found.detail)
  const key = `${found.name}@${found.version}`
  if (seen.has(key)) return skipped(path, 'repeated', `is ${key} once more`)
  seen.add(key)
  try {
    const release = await releaseOf(found, join(root, path), listing.files, signal)
    return { kind: 'release', path, linksLeftOut: listing.links.length + listing.others.length, ...release }
  } catch (error) {
    if (!isFailure(error)) throw error
    return skipped(path, 'refused', error.message)
  }
}

async function releaseOf(
  found: NpmPackage,
  folder: string,
  paths: readonly string[],
  signal?: AbortSignal,
): Promise<ImportedRelease> {
  const { kind: _, ...about } = found
  const { files, sources } = await readReleaseFiles(folder, paths, signal)
  return { manifest: checked({ ...about, files }), sources }
}

function checked(manifest: Manifest): Manifest {
  return encodeManifest(manifest, semverOrder).manifest
}

function skipped(path: string, why: Skipped | NoPackage['kind'], detail: string): Imported {
  return { kind: 'skipped', path, why, detail }
}
