/**
 * The lines of the two trees of a channel: `releases`, which is the catalog, and `bound`, every name and version that
 * was ever committed with the manifest it is bound to (DESIGN §3).
 *
 * A line is canonical JSON and a newline. Lines are read without a check: they come from trees whose nodes were
 * checked against their digests, and were encoded here.
 */
import { canonicalText, type Json } from '../model/canonical.ts'
import type { Digest } from '../model/digest.ts'
import type { ReleaseName } from '../model/name.ts'
import type { Version } from '../model/version.ts'

/** One line of the catalog. */
export interface Release {
  readonly name: ReleaseName
  readonly version: Version
  readonly manifest: Digest
  /** Bytes of all files. */
  readonly size: number
  readonly published?: string
  readonly summary?: string
  readonly status?: 'yanked' | 'deprecated'
  /** Why it has its status. */
  readonly reason?: string
}

/** One line of the bound tree. */
export type Bound = Pick<Release, 'name' | 'version' | 'manifest'>

export function encodeRelease(release: Release): Buffer {
  const { manifest, name, published, reason, size, status, summary, version } = release
  return lineOf({ manifest, name, published, reason, size, status, summary, version })
}

export function decodeRelease(line: Uint8Array): Release {
  return valueOf(line) as Release
}

export function encodeBound({ manifest, name, version }: Bound): Buffer {
  return lineOf({ manifest, name, version })
}

export function decodeBound(line: Uint8Array): Bound {
  return valueOf(line) as Bound
}

/** The line of flat members that stand in canonical order. */
function lineOf(members: { readonly [member: string]: Json | undefined }): Buffer {
  // Then JSON.stringify writes the canonical text, three times as fast, but for half a surrogate pair, which it
  // writes as an escape and which has no canonical text.
  const text = JSON.stringify(members)
  return Buffer.from(`${text.includes('\\ud') ? canonicalText(members) : text}\n`)
}

function valueOf(line: Uint8Array): unknown {
  return JSON.parse(Buffer.from(line.buffer, line.byteOffset, line.byteLength).toString())
}
