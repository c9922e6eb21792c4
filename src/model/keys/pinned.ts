/**
 * A key ring that somebody keeps, and the key that he believes it for. He never forgets what it said, and goes on only
 * to what the pinned key leads to; a ring that does not lead there is refused, and the one that is kept stays.
 */
import { canonicalText } from '../canonical.ts'
import { failure } from '../errors.ts'
import type { KeyId } from './key.ts'
import { currentKey, encodeStatement, isKeyRing, type KeyRing, type SignedStatement } from './ring.ts'
import { type Trust, trustIn } from './trust.ts'

/** As it is stored. */
export interface PinnedRing {
  readonly ring: KeyRing
  /** The current key of the ring when it was kept. */
  readonly pinned: KeyId
}

export interface Pinned extends PinnedRing {
  readonly trust: Trust
}

/** A ring that is believed for one of its keys, from now on for its current one. Fails with `key-untrusted`. */
export async function pinnedFor(ring: KeyRing, key: KeyId): Promise<Pinned> {
  if (!isKeyRing(ring)) throw failure('key-untrusted', { pinned: key, offered: 'no key' })
  const offered = currentKey(ring).id
  const trust = await trustIn(ring, key)
  if (trust.current.id !== offered) throw failure('key-untrusted', { pinned: key, offered })
  return { ring, pinned: offered, trust }
}

/**
 * What to keep when somebody tells another ring; undefined when he tells nothing new. Who has only heard less is no
 * liar: what is kept goes on. Fails with `key-untrusted`.
 */
export async function ledOn(kept: PinnedRing, sent: KeyRing): Promise<Pinned | undefined> {
  const isOlder = !has(sent, kept.pinned) && sent.keys.every(({ id }) => has(kept.ring, id))
  if (isOlder) return undefined
  if (!has(sent, kept.pinned) || !isKeyRing(sent))
    throw failure('key-untrusted', { pinned: kept.pinned, offered: currentKey(sent).id })
  const both = merged(kept.ring, sent)
  return textOfRing(both) === textOfRing(kept.ring) ? undefined : await pinnedFor(both, kept.pinned)
}

/** Equal rings have equal texts. */
export function textOfRing({ keys, statements }: KeyRing): string {
  return canonicalText({
    keys: keys.map((key) => ({ ...key })),
    statements: statements.map(({ statement, signatures }) => ({ statement: { ...statement }, signatures })),
  })
}

/** Nothing that was said is forgotten because somebody does not repeat it. */
function merged(own: KeyRing, sent: KeyRing): KeyRing {
  const said = new Set(own.statements.map(textOf))
  return {
    keys: [...own.keys, ...sent.keys.filter(({ id }) => !has(own, id))],
    statements: [...own.statements, ...sent.statements.filter((one) => !said.has(textOf(one)))],
  }
}

function textOf({ statement }: SignedStatement): string {
  return encodeStatement(statement).toString()
}

function has({ keys }: KeyRing, id: KeyId): boolean {
  return keys.some((key) => key.id === id)
}
