/**
 * A release of the depot in memory, and what is told of one and of many.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { canonicalBytes, type Json } from '../../src/model/canonical.ts'
import { digestOf } from '../../src/model/digest.ts'
import { encodeManifest, sizeOfFiles } from '../../src/model/manifest.ts'
import { semverOrder } from '../../src/model/version.ts'
import type { ReleaseBody } from '../../src/wire/bodies.ts'

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

export function catalogOf(releases: readonly FakeRelease[]): string {
  return releases.map(({ line }) => `${JSON.stringify(line)}\n`).join('')
}

export function channelOf(releases: readonly FakeRelease[]): object {
  const catalog = catalogOf(releases)
  return {
    name: 'stable',
    format: 'semver',
    frozen: false,
    releases: releases.length,
    bytes: Buffer.byteLength(catalog),
    root: digestOf(catalog),
  }
}
