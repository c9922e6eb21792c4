/**
 * The key ring of a depot: every key that it ever signed with, and what they say of each other.
 *
 * A new key and the one before it sign one and the same statement, so that either leads to the other: who knows the old
 * key finds the new one, and who knows the new one can still check what the old one has signed. From the end of the
 * overlap on, or from its retirement, a key counts for nothing that was created later.
 *
 * Statements are canonical JSON (RFC 8785), signed as `CONTEXTS.statement`.
 */
import { canonicalBytes } from '../canonical.ts'
import { failure } from '../errors.ts'
import { epochOf, instantOf } from '../instant.ts'
import { LIMITS } from '../limits.ts'
import { isKeyId, isPublicKey, type KeyId, keyIdOf, type PublicKey, type SigningKey } from './key.ts'

export interface RingKey {
  readonly id: KeyId
  readonly key: PublicKey
  readonly created: string
}

/** `to` takes the place of `from`, which signs beside it until the end of the overlap. Signed by both. */
export interface Rotation {
  readonly v: 1
  readonly kind: 'rotation'
  readonly from: KeyId
  readonly to: KeyId
  readonly created: string
  /** The last moment at which what `from` alone has signed may have been created. */
  readonly until: string
}

/** `key` signs nothing that is created after `created`. Signed by a key that came after it. */
export interface Retirement {
  readonly v: 1
  readonly kind: 'retirement'
  readonly key: KeyId
  readonly by: KeyId
  readonly created: string
}

export type Statement = Rotation | Retirement

export interface SignedStatement {
  readonly statement: Statement
  readonly signatures: readonly string[]
}

export interface KeyRing {
  /** Oldest first; the last one is the current one. */
  readonly keys: readonly RingKey[]
  readonly statements: readonly SignedStatement[]
}

export type KeyState = 'current' | 'retiring' | 'retired'

export interface KeyStanding extends RingKey {
  readonly state: KeyState
  /** When it stops to count; undefined for the current one. */
  readonly until?: string
}

/** A ring with one key, of which nobody says anything. */
export function ringOf(key: SigningKey, nowMs: number): KeyRing {
  return { keys: [ringKeyOf(key, nowMs)], statements: [] }
}

/** The key that signs from now on. */
export function currentKey({ keys }: KeyRing): RingKey {
  const current = keys.at(-1)
  if (current === undefined) throw failure('internal', { instance: 'a key ring without a key' })
  return current
}

/** With one more key, which takes the place of `from`. Fails with `limit-exceeded`. */
export function rotated(
  ring: KeyRing,
  { from, to, nowMs, untilMs }: { from: SigningKey; to: SigningKey; nowMs: number; untilMs: number },
): KeyRing {
  const statement: Rotation = {
    v: 1,
    kind: 'rotation',
    from: from.id,
    to: to.id,
    created: instantOf(nowMs),
    until: instantOf(untilMs),
  }
  return withKey(ring, ringKeyOf(to, nowMs), [signedBy(statement, from, to)])
}

/** With a key of which no other one says anything: the one before it is lost. Fails with `limit-exceeded`. */
export function replaced(ring: KeyRing, to: SigningKey, nowMs: number): KeyRing {
  return withKey(ring, ringKeyOf(to, nowMs), [])
}

/** With the word of `by` that `key` signs nothing that is created after `atMs`. */
export function retired(ring: KeyRing, key: KeyId, by: SigningKey, atMs: number): KeyRing {
  const statement: Retirement = { v: 1, kind: 'retirement', key, by: by.id, created: instantOf(atMs) }
  return { ...ring, statements: [...ring.statements, signedBy(statement, by)] }
}

/** How each key stands at this moment, oldest first. */
export function standingsOf(ring: KeyRing, nowMs: number): readonly KeyStanding[] {
  const current = currentKey(ring)
  return ring.keys.map((key) => {
    if (key.id === current.id) return { ...key, state: 'current' }
    const untilMs = endOf(ring, key.id)
    const isRetired = ring.statements.some(
      ({ statement: one }) => one.kind === 'retirement' && one.key === key.id,
    )
    const state = isRetired || untilMs < nowMs ? 'retired' : 'retiring'
    return { ...key, state, until: instantOf(untilMs) }
  })
}

/** The last moment for which a key counts, as the ring says; for one that was lost, when the next one came. */
export function endOf({ keys, statements }: KeyRing, id: KeyId): number {
  const place = keys.findIndex((key) => key.id === id)
  const next = keys[place + 1]
  if (next === undefined) return Number.POSITIVE_INFINITY
  const ends = statements.flatMap(({ statement }) => {
    if (statement.kind === 'rotation') return statement.from === id ? [epochOf(statement.until) ?? 0] : []
    return statement.key === id ? [epochOf(statement.created) ?? 0] : []
  })
  return ends.length === 0 ? (epochOf(next.created) ?? 0) : Math.min(...ends)
}

/** The canonical bytes of a statement: what its keys have signed. */
export function encodeStatement(statement: Statement): Buffer {
  return canonicalBytes({ ...statement })
}

/** Whether this is a key ring, however much of what it says is true: every key has its own id, and times are times. */
export function isKeyRing({ keys, statements }: KeyRing): boolean {
  const ids = new Set(keys.map(({ id }) => id))
  const isBounded = keys.length > 0 && keys.length <= LIMITS.ringKeys && ids.size === keys.length
  const areKeys = keys.every(
    ({ id, key, created }) => isPublicKey(key) && keyIdOf(key) === id && epochOf(created) !== undefined,
  )
  return isBounded && areKeys && statements.length <= 2 * LIMITS.ringKeys && statements.every(isStatement)
}

function isStatement({ statement, signatures }: SignedStatement): boolean {
  const { v, kind, created } = statement
  if (v !== 1 || epochOf(created) === undefined || signatures.length > 2) return false
  if (kind === 'retirement') return isKeyId(statement.key) && isKeyId(statement.by)
  return isKeyId(statement.from) && isKeyId(statement.to) && epochOf(statement.until) !== undefined
}

function withKey(ring: KeyRing, key: RingKey, more: readonly SignedStatement[]): KeyRing {
  if (ring.keys.length >= LIMITS.ringKeys)
    throw failure('limit-exceeded', { what: 'keys that a depot had', limit: LIMITS.ringKeys })
  return { keys: [...ring.keys, key], statements: [...ring.statements, ...more] }
}

function ringKeyOf({ id, publicKey }: SigningKey, nowMs: number): RingKey {
  return { id, key: publicKey, created: instantOf(nowMs) }
}

function signedBy(statement: Statement, ...keys: readonly SigningKey[]): SignedStatement {
  const bytes = encodeStatement(statement)
  return { statement, signatures: keys.map((key) => key.sign('statement', bytes)) }
}
