/**
 * The manifest of one release, verified: its bytes must hash to the digest that the list of releases of the same
 * generation names, and it must describe the release that was asked for.
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
import { type Page, readPages } from './pages.ts'
import type { Place, Release } from './place.ts'

/** Fails with `not-found`, `digest-mismatch`, or as the parsing of a manifest does. */
export async function readManifest(
  caller: Pick<Caller, 'call'>,
  place: Place,
  release: Release,
  signal?: AbortSignal,
): Promise<Manifest> {
  const expected = await findDigest(caller, place, release, signal)
  const { channel, name, version } = release
  const answer = await caller.call({ path: place.pathOf(manifestPath(channel, name, version)) }, signal)
  place.check(answer)
  const bytes = await answer.bytes(LIMITS.manifestBytes)
  const found = digestOf(bytes)
  if (found !== expected) throw failure('digest-mismatch', { expected, found })
  const { manifest } = parseManifest(bytes, semverOrder)
  if (manifest.name === name && manifest.version === version) return manifest
  throw answer.invalid(`the manifest of ${manifest.name} ${manifest.version} for ${name} ${version}`)
}

export async function readReleases(answer: Answer): Promise<Page<ReleaseBody>> {
  const { releases, next } = await answer.json(ReleasesBody)
  return { items: releases, ...(next === undefined ? {} : { next }) }
}

/** A version is a range that only it satisfies; but ranges skip yanked releases, so those need the whole list. */
async function findDigest(
  caller: Pick<Caller, 'call'>,
  place: Place,
  { channel, name, version }: Release,
  signal?: AbortSignal,
): Promise<Digest> {
  const list = place.pathOf(releasesPath(channel, name))
  for (const path of [`${list}?range=${encodeURIComponent(version)}`, list]) {
    const first = await caller.call({ path }, signal)
    place.check(first)
    const reader = { read: readReleases, check: (answer: Answer) => place.check(answer) }
    for await (const line of readPages(caller, first, reader, signal)) {
      if (line.name === name && line.version === version) return line.manifest
    }
  }
  throw failure('not-found', { what: `release ${name} ${version} in channel ${channel}` })
}
