/**
 * The key ring as it travels: the keys, how each stands, and the statements by which they vouch for each other. Members
 * that are not known here are let pass in the body, and make a statement one that is not understood.
 */
import Type, { type TSchema, type TUnsafe } from 'typebox'
import type { KeyId } from '../model/keys/key.ts'
import { currentKey, type KeyRing, type KeyStanding, type SignedStatement } from '../model/keys/ring.ts'
import { LIMITS } from '../model/limits.ts'
import { InstantText } from './schemas.ts'

export interface KeysBody {
  readonly current: KeyId
  /** A digest of the ring: another one where anything in it is another. */
  readonly edition: string
  /** Oldest first. */
  readonly keys: readonly KeyStanding[]
  readonly statements: readonly SignedStatement[]
}

export interface RotateRequest {
  /** The key whose place is to be taken: to ask twice rotates once. */
  readonly current: string
}

const KeyIdText: TSchema = Type.String({ pattern: '^k[0-9a-f]{32}$', description: 'k and 32 hex digits' })
const Signatures = Type.Array(Type.String({ maxLength: 256, description: '<key id>:<base64url>' }), {
  maxItems: 2,
})
const Version = Type.Literal(1)

export const KeysBody: TUnsafe<KeysBody> = Type.Unsafe(
  Type.Object({
    current: KeyIdText,
    edition: Type.String({ maxLength: 64 }),
    keys: Type.Array(
      Type.Object({
        id: KeyIdText,
        key: Type.String({
          pattern: '^[A-Za-z0-9_-]{43}$',
          description: 'the 32 bytes of an Ed25519 public key, base64url',
        }),
        created: InstantText,
        state: Type.Union(['current', 'retiring', 'retired'].map((state) => Type.Literal(state))),
        until: Type.Optional(InstantText),
      }),
      { minItems: 1, maxItems: LIMITS.ringKeys },
    ),
    statements: Type.Array(
      Type.Object({
        statement: Type.Union([
          Type.Object(
            {
              v: Version,
              kind: Type.Literal('rotation'),
              from: KeyIdText,
              to: KeyIdText,
              created: InstantText,
              until: InstantText,
            },
            { additionalProperties: false },
          ),
          Type.Object(
            {
              v: Version,
              kind: Type.Literal('retirement'),
              key: KeyIdText,
              by: KeyIdText,
              created: InstantText,
            },
            { additionalProperties: false },
          ),
        ]),
        signatures: Signatures,
      }),
      { maxItems: 2 * LIMITS.ringKeys },
    ),
  }),
)

export const RotateRequest: TUnsafe<RotateRequest> = Type.Unsafe(
  Type.Object({ current: KeyIdText }, { additionalProperties: false }),
)

/** How a node tells its ring. */
export function keysBodyOf({
  ring,
  edition,
  standings,
}: {
  readonly ring: KeyRing
  readonly edition: string
  readonly standings: readonly KeyStanding[]
}): KeysBody {
  return { current: currentKey(ring).id, edition, keys: standings, statements: ring.statements }
}

/** The ring in a body, without what follows from it. */
export function ringIn({ keys, statements }: KeysBody): KeyRing {
  return { keys: keys.map(({ id, key, created }) => ({ id, key, created })), statements }
}
