/**
 * The name of a blob: `sha256:` and 64 hexadecimal digits, over the bytes as they are.
 *
 * A `Digest` is parsed once, at the edge; whoever holds one need not check it again. Ledger and pool keep the 32
 * raw bytes.
 */
import { createHash, hash } from 'node:crypto'
import { failure } from './errors.ts'

declare const brand: unique symbol
export type Digest = string & { readonly [brand]: 'Digest' }

const PREFIX = 'sha256:'
const PATTERN = /^sha256:[0-9a-f]{64}$/
const HEX = /^[0-9a-f]{64}$/

export const DIGEST_BYTES = 32

export function isDigest(text: unknown): text is Digest {
  return typeof text === 'string' && PATTERN.test(text)
}

/** Fails with `bad-request` when the text is not `sha256:<64 hex>`. */
export function parseDigest(text: string): Digest {
  if (!isDigest(text))
    throw failure('bad-request', { reason: `"${text.slice(0, 100)}" is not a digest: sha256:<64 hex>` })
  return text
}

/** Fails with `bad-request` when the text is not 64 lower-case hexadecimal digits. */
export function digestOfHex(hex: string): Digest {
  if (!HEX.test(hex))
    throw failure('bad-request', { reason: `"${hex.slice(0, 100)}" is not a SHA-256 in lower-case hex` })
  return (PREFIX + hex) as Digest
}

export function hexOf(digest: Digest): string {
  return digest.slice(PREFIX.length)
}

/** The 32 raw bytes, as keys of the stores. */
export function rawOf(digest: Digest): Buffer {
  return Buffer.from(digest.slice(PREFIX.length), 'hex')
}

/** The digest whose 32 raw bytes these are. */
export function digestOfRaw(raw: Uint8Array): Digest {
  return (PREFIX + Buffer.from(raw.buffer, raw.byteOffset, DIGEST_BYTES).toString('hex')) as Digest
}

export function digestOf(bytes: Uint8Array | string): Digest {
  return (PREFIX + hash('sha256', bytes, 'hex')) as Digest
}

/** The digest of bytes that come piece by piece. */
export interface Hasher {
  update(bytes: Uint8Array): void
  digest(): Digest
}

export function hasher(): Hasher {
  const sha256 = createHash('sha256')
  return {
    update: (bytes) => void sha256.update(bytes),
    digest: () => (PREFIX + sha256.digest('hex')) as Digest,
  }
}

/** The value of `Repr-Digest` (RFC 9530 §3) for these bytes. */
export function reprDigestOf(digest: Digest): string {
  return `sha-256=:${rawOf(digest).toString('base64')}:`
}
