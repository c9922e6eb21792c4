/**
 * The manifest of one release, verified: its bytes must hash to the digest that the tree of the generation names, and
 * it must describe the release that was asked for.
 */
import { type Digest, digestOf } from '../../model/digest.ts'
import { failure } from '../../model/errors.ts'
import { LIMITS } from '../../model/limits.ts'
import { type Manifest, parseManifest } from '../../model/manifest.ts'
import { semverOrder } from '../../model/version.ts'
import type { ReleaseBody } from '../../wire/bodies.ts'
import type { Caller } from '../../wire/caller.ts'
import type { Answer } from '../../wire/caller-answer.ts'
import { manifestPath, releasesPath } from '../../wire/paths.ts'
import { ReleasesBody } from '../../wire/schemas.ts'
import { type PageReader, readPages } from './pages.ts'
import type { Place, Release } from './place.ts'

type Asking = Pick<Caller, 'url' | 'read'>

/** Fails with `not-found`, `digest-mismatch`, or as the parsing of a manifest does. */
export async function readManifest(
  caller: Asking,
  place: Place,
  release: Release,
  signal?: AbortSignal,
): Promise<Manifest> {
  const expected = await findDigest(caller, place, release, signal)
  const { channel, name, version } = release
  const read = async (answer: Answer): Promise<Manifest> => {
    place.check(answer)
    const bytes = await answer.bytes(LIMITS.manifestBytes)
    const found = digestOf(bytes)
    if (found !== expected) throw failure('digest-mismatch', { expected, found })
    const { manifest } = parseManifest(bytes, semverOrder)
    if (manifest.name === name && manifest.version === version) return manifest
    throw answer.invalid(`the manifest of ${manifest.name} ${manifest.version} for ${name} ${version}`)
  }
  return await caller.read({ path: place.pathOf(manifestPath(channel, name, version)) }, read, signal)
}

/** A page of lines that are all of this name, and stand in the tree of the place. */
export function releasesReader(
  place: Place,
  { channel, name }: Pick<Release, 'channel' | 'name'>,
  signal?: AbortSignal,
): PageReader<ReleaseBody> {
  return async (answer) => {
    place.check(answer)
    const { releases, next } = await answer.json(ReleasesBody)
    for (const release of releases) {
      if (release.name !== name) throw answer.invalid(`${release.name} ${release.version} for ${name}`)
      if (place.trees !== undefined && !(await place.trees.has(channel, release, signal)))
        throw answer.invalid(`${release.name} ${release.version} as this generation does not have it`)
    }
    return { items: releases, ...(next === undefined ? {} : { next }) }
  }
}

async function findDigest(
  caller: Asking,
  place: Place,
  release: Release,
  signal?: AbortSignal,
): Promise<Digest> {
  const { channel, name, version } = release
  const found =
    place.trees === undefined
      ? await findInLists(caller, place, release, signal)
      : await place.trees.release(channel, release, signal)
  if (found !== undefined) return found.manifest
  throw failure('not-found', { what: `release ${name} ${version} in channel ${channel}` })
}

/** A version is a range that only it satisfies; but ranges skip yanked releases, so those need the whole list. */
async function findInLists(
  caller: Asking,
  place: Place,
  { channel, name, version }: Release,
  signal?: AbortSignal,
): Promise<ReleaseBody | undefined> {
  const list = place.pathOf(releasesPath(channel, name))
  const read = releasesReader(place, { channel, name }, signal)
  for (const path of [`${list}?range=${encodeURIComponent(version)}`, list]) {
    const first = await caller.read({ path }, read, signal)
    for await (const line of readPages(caller, first, read, signal))
      if (line.name === name && line.version === version) return line
  }
  return undefined
}
