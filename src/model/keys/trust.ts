/**
 * Whom to believe: from one key that is known (the pinned one) along the statements of a ring, forward and back, to
 * every key that one signs for the other. Nothing else in a ring counts, whoever sent it.
 */
import type { KeyObject } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { failure } from '../errors.ts'
import { epochOf } from '../instant.ts'
import { isSignedBy, type KeyId, type PublicKey, signatureParts, verifierOf } from './key.ts'
import {
  currentKey,
  encodeStatement,
  type KeyRing,
  type Retirement,
  type Rotation,
  type SignedStatement,
} from './ring.ts'

export interface TrustedKey {
  readonly id: KeyId
  readonly publicKey: PublicKey
  readonly verifier: KeyObject
  /** What it has signed and was created after this moment counts for nothing. */
  readonly untilMs: number
}

/** The keys that a pinned one leads to, by their ids, oldest first. */
export interface Trust {
  readonly keys: ReadonlyMap<KeyId, TrustedKey>
  /** The last one of them. */
  readonly current: TrustedKey
}

interface Links {
  readonly verifiers: ReadonlyMap<KeyId, TrustedKey>
  readonly rotations: readonly Signed<Rotation>[]
}

interface Signed<Kind> extends SignedStatement {
  readonly statement: Kind & SignedStatement['statement']
}

/** Statements that are checked between two turns of the event loop: some milliseconds. */
const STATEMENTS_A_TURN = 16

/**
 * What the ring tells to who knows the key `pinned`. Fails with `key-untrusted` when it has not that key, or a statement
 * about a key that is trusted was not signed by it.
 */
export async function trustIn(ring: KeyRing, pinned: KeyId): Promise<Trust> {
  const verifiers = new Map(ring.keys.map(({ id, key }) => [id, trusted(id, key)]))
  if (!verifiers.has(pinned)) throw untrusted(ring, pinned)
  const rotations = ring.statements.filter(
    (signed): signed is Signed<Rotation> => signed.statement.kind === 'rotation',
  )
  const links = { verifiers, rotations }
  const before = await followed(ring, links, pinned, 'before')
  const after = await followed(ring, links, pinned, 'after')
  const chain = [...before.toReversed(), pinned, ...after]
  const ends = await endsIn(ring, links, chain)
  const keys = new Map(
    chain.flatMap((id) => {
      const key = verifiers.get(id)
      return key === undefined ? [] : [[id, { ...key, untilMs: ends.get(id) ?? key.untilMs }] as const]
    }),
  )
  const current = keys.get(chain.at(-1) ?? pinned)
  if (current === undefined) throw untrusted(ring, pinned)
  return { keys, current }
}

/** The keys on one side of the pinned one, the nearest first, as far as each two have signed for each other. */
async function followed(
  ring: KeyRing,
  { verifiers, rotations }: Links,
  pinned: KeyId,
  side: 'before' | 'after',
): Promise<readonly KeyId[]> {
  const found: KeyId[] = []
  for (let at = pinned; ; ) {
    const links = rotations.filter(({ statement: { from, to } }) => (side === 'after' ? from : to) === at)
    const [link] = links
    if (link === undefined) return found
    const { from, to } = link.statement
    const next = side === 'after' ? to : from
    // Two that say that they follow one key, or keys in a circle: such a ring was made by no depot.
    const isStrange = links.length > 1 || next === pinned || found.includes(next)
    if (isStrange || !isSignedByAll(link, verifiers, [from, to])) throw untrusted(ring, pinned)
    found.push(next)
    at = next
    if (found.length % STATEMENTS_A_TURN === 0) await setImmediate()
  }
}

/** The last moment for which each key counts that others came after. */
async function endsIn(
  ring: KeyRing,
  { verifiers, rotations }: Links,
  chain: readonly KeyId[],
): Promise<ReadonlyMap<KeyId, number>> {
  const places = new Map(chain.map((id, place) => [id, place]))
  const ends = new Map(
    rotations
      .filter(({ statement: { from, to } }) => places.has(from) && places.has(to))
      .map(({ statement: { from, until } }) => [from, epochOf(until) ?? 0]),
  )
  const retirements = ring.statements.filter(
    (signed): signed is Signed<Retirement> => signed.statement.kind === 'retirement',
  )
  for (const [at, signed] of retirements.entries()) {
    const { key, by, created } = signed.statement
    const [place, later] = [places.get(key), places.get(by)]
    if (place === undefined || later === undefined) continue
    if (later <= place || !isSignedByAll(signed, verifiers, [by])) throw untrusted(ring, key)
    ends.set(key, Math.min(ends.get(key) ?? Number.POSITIVE_INFINITY, epochOf(created) ?? 0))
    if (at % STATEMENTS_A_TURN === STATEMENTS_A_TURN - 1) await setImmediate()
  }
  return ends
}

function isSignedByAll(
  { statement, signatures }: SignedStatement,
  verifiers: Links['verifiers'],
  ids: readonly KeyId[],
): boolean {
  const bytes = encodeStatement(statement)
  const parts = signatures.map(signatureParts)
  return ids.every((id) => {
    const signature = parts.find((part) => part?.key === id)
    const key = verifiers.get(id)
    return (
      signature !== undefined &&
      key !== undefined &&
      isSignedBy(key.verifier, 'statement', bytes, signature.bytes)
    )
  })
}

function trusted(id: KeyId, publicKey: PublicKey): TrustedKey {
  return { id, publicKey, verifier: verifierOf(publicKey), untilMs: Number.POSITIVE_INFINITY }
}

function untrusted(ring: KeyRing, pinned: KeyId): Error {
  return failure('key-untrusted', { pinned, offered: currentKey(ring).id })
}
