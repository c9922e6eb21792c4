/**
 * A release of the depot in memory, and what is told of one and of many.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { keyOf } from '../../src/metaset/key.ts'
import { emptyChannel, emptyMetaset, encodeMetaset } from '../../src/metaset/metaset.ts'
import { encodeRelease, type Release } from '../../src/metaset/release.ts'
import type { Tree } from '../../src/metaset/tree.ts'
import { canonicalBytes, type Json } from '../../src/model/canonical.ts'
import { type Digest, digestOf } from '../../src/model/digest.ts'
import { encodeManifest, sizeOfFiles } from '../../src/model/manifest.ts'
import { semverOrder } from '../../src/model/version.ts'
import type { ReleaseBody } from '../../src/wire/bodies.ts'
import { SALT } from '../metaset/memory-nodes.ts'
import { reference } from '../metaset/reference.ts'

export interface FakeRequest {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly method: string
  readonly url: URL
}

export interface FakeRelease {
  readonly line: ReleaseBody
  readonly bytes: Buffer
}

/** The line and the bytes of a manifest; `value` need not be a good one. */
export function releaseOf(value: object): FakeRelease {
  const { manifest, bytes, digest } = encodeManifest(value, semverOrder)
  const { name, version } = manifest
  return { bytes, line: { name, version, manifest: digest, size: sizeOfFiles(manifest) } }
}

/** The same for bytes that the server would never have taken. */
export function hostileRelease(name: string, version: string, value: Json): FakeRelease {
  const bytes = canonicalBytes(value)
  return { bytes, line: { name, version, manifest: digestOf(bytes), size: 0 } }
}

/** The lines in the order of the tree. */
export function catalogOf(releases: readonly FakeRelease[]): string {
  const keyed = releases.map(({ line }) => ({ line, key: keyOf(line.name, line.version) }))
  keyed.sort((a, b) => (a.key < b.key ? -1 : 1))
  return keyed.map(({ line }) => encodeRelease(line as Release).toString()).join('')
}

/** A metaset with these releases in the one channel `stable`, its tree, and all nodes of it by digest. */
export function offerOf(releases: readonly FakeRelease[]): {
  readonly metaset: Buffer
  readonly tree: Tree
  readonly nodes: ReadonlyMap<Digest, Buffer>
} {
  const lines = releases.map(
    ({ line }) => [keyOf(line.name, line.version), encodeRelease(line as Release)] as const,
  )
  const { tree, nodes } = reference(new Map(lines), SALT)
  const stable = { ...emptyChannel('semver'), releases: tree }
  return { metaset: encodeMetaset({ ...emptyMetaset(SALT), channels: { stable } }), tree, nodes }
}

export function channelOf(releases: readonly FakeRelease[]): object {
  const { root, count, bytes } = offerOf(releases).tree
  return { name: 'stable', format: 'semver', frozen: false, releases: count, bytes, root }
}
