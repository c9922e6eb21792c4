/**
 * Keys of the tree: the UTF-8 bytes of a name, a NUL, and the UTF-8 bytes of a version (DESIGN §3, "The tree").
 *
 * A `Key` is a string whose every character is one of these bytes. So `<` compares bytes and never UTF-16 units,
 * which order characters beyond U+FFFF differently.
 */
import { failure } from '../model/errors.ts'
import { clip } from '../model/name.ts'

declare const brand: unique symbol
export type Key = string & { readonly [brand]: 'Key' }

/** Keys from `from` up to, not including, `until`; without one of them there is no end on that side. */
export interface KeyRange {
  readonly from?: Key
  readonly until?: Key
}

// oxlint-disable-next-line no-control-regex -- the NUL is ASCII too
const ASCII = /^[\u0000-\u007f]*$/
// oxlint-disable-next-line no-control-regex -- the NUL is what parts the two
const KEY = /^[\u0001-\u00ff]*\u0000[\u0001-\u00ff]*$/

export function keyOf(name: string, version: string): Key {
  return keyOfBytes(bytesOf(name), bytesOf(version))
}

/** The key of a name and a version that have one character for each byte already. */
export function keyOfBytes(name: string, version: string): Key {
  return `${name}\0${version}` as Key
}

/** A key that was stored as text. Fails with `bad-request`. */
export function parseKey(text: string): Key {
  if (!KEY.test(text))
    throw failure('bad-request', { reason: `"${clip(text)}" is not a key: name, NUL, version, in bytes` })
  return text as Key
}

export function partsOfKey(key: Key): { readonly name: string; readonly version: string } {
  const nul = key.indexOf('\0')
  return { name: textOf(key.slice(0, nul)), version: textOf(key.slice(nul + 1)) }
}

/** The keys of all versions of a name. */
export function keysOfName(name: string): Required<KeyRange> {
  const bytes = bytesOf(name)
  return { from: `${bytes}\0` as Key, until: `${bytes}\u0001` as Key }
}

function bytesOf(text: string): string {
  return ASCII.test(text) ? text : Buffer.from(text).toString('latin1')
}

function textOf(bytes: string): string {
  return ASCII.test(bytes) ? bytes : Buffer.from(bytes, 'latin1').toString()
}
