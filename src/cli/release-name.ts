/**
 * A release as people write it: `left-pad@1.3.0`, `@scope/name@^2`, or the name alone.
 */
import { UsageError } from './shell.ts'

export interface Wish {
  readonly name: string
  /** A version or a range, as it was written. */
  readonly version?: string
}

/** Fails with `UsageError` when nothing stands behind the last `@`. */
export function parseWish(text: string): Wish {
  // A scope begins with the same sign.
  const at = text.lastIndexOf('@')
  if (at <= 0) return { name: text }
  if (at === text.length - 1) throw new UsageError(`"${text}" ends where a version should stand`)
  return { name: text.slice(0, at), version: text.slice(at + 1) }
}

/** Fails with `UsageError` when there is no version. */
export function parseRelease(text: string): Required<Wish> {
  const { name, version } = parseWish(text)
  if (version === undefined) throw new UsageError(`"${text}" names no version; write it like ${name}@1.2.3`)
  return { name, version }
}
