/**
 * Canonical JSON (RFC 8785): equal values have equal bytes, so a digest over them names the value.
 */
import canonicalize from 'canonicalize'
import { failure } from './errors.ts'

export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json | undefined }

/**
 * The canonical text of a value. Members that are `undefined` do not stand in it. Fails with `bad-request` for what
 * JSON cannot say: half a surrogate pair, a number that is not finite.
 */
export function canonicalText(value: Json): string {
  try {
    const text = canonicalize(value)
    if (text !== undefined) return text
  } catch (cause) {
    throw failure(
      'bad-request',
      { reason: `there is no canonical JSON for this value: ${String(cause)}` },
      { cause },
    )
  }
  throw failure('bad-request', { reason: 'there is no JSON for this value' })
}

export function canonicalBytes(value: Json): Buffer {
  return Buffer.from(canonicalText(value))
}
