/**
 * The JSON that nodes send each other (PROTOCOL §4, §8), as types and as schemas. Members that are not known here are
 * let pass, for nodes of different versions talk to each other while a cluster is upgraded.
 */
import Type, { type TSchema, type TUnsafe } from 'typebox'
import Value from 'typebox/value'
import type { Digest } from '../model/digest.ts'
import { type Generation, type Gid, gidOf, type Lineage } from '../model/generation.ts'
import { LIMITS } from '../model/limits.ts'
import { NODE_CONDITIONS, type NodeCondition, type NodeRole } from './node-label.ts'
import { DigestText, GenerationBody, GidText, InstantText } from './schemas.ts'

export interface ObjectsRequest {
  readonly digests: readonly Digest[]
}

export interface LineagesBody {
  readonly lineages: readonly Lineage[]
}

/** Where the origin is, as a node that is followed tells it. */
export interface OriginBody {
  /** Whether it is the node that answers. */
  readonly isOrigin: boolean
  /** The address that the origin goes by, or is reached at; null when that is not known, or nothing else was set. */
  readonly url: string | null
}

/** The first line of the answer about access; the others are tokens. */
export interface AccessHead {
  readonly edition: string
  /** Whether all tokens follow, and not only those that were added or revoked. */
  readonly whole: boolean
}

/** A token without its secret: whoever has the secret has the hash. */
export interface AccessToken {
  readonly id: string
  readonly hash: Digest
  readonly label: string
  readonly scopes: readonly string[]
  readonly created: string
  readonly expires?: string
  readonly revoked?: string
  readonly quotaBytes?: number
  /** At some moment: it moves without a new edition. */
  readonly usedBytes?: number
}

export interface ProgressBody {
  readonly gid: Gid
  /** Blobs and nodes. */
  readonly done: number
  readonly total?: number
}

export interface HeartbeatRequest {
  readonly role: Exclude<NodeRole, 'origin'>
  readonly state: NodeCondition
  readonly head: Gid | null
  readonly known: Gid | null
  /** What this process is called by chance: two nodes of one id are told apart by it. */
  readonly instance?: string
  readonly publicUrl?: string
  readonly lagSeconds?: number
  readonly progress?: ProgressBody
  /** Code of the failure for which it takes over nothing of its upstream. */
  readonly refused?: string
  /** Those that descend from others: an origin learns of one that has taken its place. */
  readonly lineages?: readonly Lineage[]
}

export type LeaveRequest = Pick<HeartbeatRequest, 'instance'>

export interface NodeBody extends Omit<HeartbeatRequest, 'instance' | 'lineages'> {
  readonly id: string
  readonly seenMsAgo: number
  /** Another process was refused under the same id, a moment ago. */
  readonly isContested?: boolean
}

/** The answer to a heartbeat, and to who asks for the nodes. */
export interface NodesBody {
  /** The head of the node that answers. */
  readonly head: Gid
  readonly nodes: readonly NodeBody[]
}

const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const GidOrNull = Type.Union([GidText, Type.Null()])
const HEARTBEAT = {
  role: Type.Union([Type.Literal('replica'), Type.Literal('edge')]),
  state: Type.Union(NODE_CONDITIONS.map((state) => Type.Literal(state))),
  head: GidOrNull,
  known: GidOrNull,
  publicUrl: Type.Optional(Type.String({ maxLength: LIMITS.urlBytes })),
  lagSeconds: Type.Optional(Type.Number({ minimum: 0 })),
  progress: Type.Optional(Type.Object({ gid: GidText, done: Count, total: Type.Optional(Count) })),
  refused: Type.Optional(Type.String({ maxLength: 64 })),
}

export const ObjectsRequest: TUnsafe<ObjectsRequest> = Type.Unsafe(
  Type.Object(
    { digests: Type.Array(DigestText, { maxItems: LIMITS.replicationBatch }) },
    { additionalProperties: false },
  ),
)

const LineageText = Type.Object({
  id: Type.String({ pattern: '^[a-z][a-z2-7]{11}$' }),
  parent: Type.Union([Type.String(), Type.Null()]),
  forkAt: Type.Union([Count, Type.Null()]),
  reason: Type.Union(['init', 'restore', 'takeover', 'fork'].map((reason) => Type.Literal(reason))),
})

export const LineagesBody: TUnsafe<LineagesBody> = Type.Unsafe(
  Type.Object({ lineages: Type.Array(LineageText) }),
)

export const OriginBody: TUnsafe<OriginBody> = Type.Unsafe(
  Type.Object({
    isOrigin: Type.Boolean(),
    url: Type.Union([
      Type.String({ maxLength: LIMITS.urlBytes, pattern: '^https?://[^/?#@\\s]+(/[^?#\\s]*)?$' }),
      Type.Null(),
    ]),
  }),
)

export const AccessHead: TUnsafe<AccessHead> = Type.Unsafe(
  Type.Object({ edition: Type.String({ maxLength: 64 }), whole: Type.Boolean() }),
)

export const AccessToken: TUnsafe<AccessToken> = Type.Unsafe(
  Type.Object({
    id: Type.String(),
    hash: DigestText,
    label: Type.String(),
    scopes: Type.Array(Type.String(), { maxItems: LIMITS.scopesPerToken }),
    created: InstantText,
    expires: Type.Optional(InstantText),
    revoked: Type.Optional(InstantText),
    quotaBytes: Type.Optional(Count),
    usedBytes: Type.Optional(Count),
  }),
)

const INSTANCE = { instance: Type.Optional(Type.String({ maxLength: LIMITS.nodeIdBytes })) }

export const HeartbeatRequest: TUnsafe<HeartbeatRequest> = Type.Unsafe(
  Type.Object({
    ...HEARTBEAT,
    ...INSTANCE,
    lineages: Type.Optional(Type.Array(LineageText, { maxItems: LIMITS.lineagesTold })),
  }),
)

export const LeaveRequest: TUnsafe<LeaveRequest> = Type.Unsafe(Type.Object(INSTANCE))

export const NodesBody: TUnsafe<NodesBody> = Type.Unsafe(
  Type.Object({
    head: GidText,
    nodes: Type.Array(
      Type.Object({
        id: Type.String(),
        ...HEARTBEAT,
        seenMsAgo: Count,
        isContested: Type.Optional(Type.Boolean()),
      }),
    ),
  }),
)

/** A line of the log. One whose id is not that of its record makes no sense. */
export function readGenerationLine(value: unknown): Generation | undefined {
  const generation = valueOf(GenerationBody, value)
  return generation !== undefined && isTrue(generation) ? generation : undefined
}

/** A line of the answer about access; its members tell which. */
export function readAccessLine(value: unknown): AccessHead | AccessToken | undefined {
  return valueOf(AccessHead, value) ?? valueOf(AccessToken, value)
}

/** Whether the id is that of the record, whose canonical bytes are made anew for that. */
export function isTrue({ gid, record }: Generation): boolean {
  try {
    return gidOf(record) === gid
  } catch {
    // Text that no canonical JSON can have.
    return false
  }
}

function valueOf<Body>(schema: TUnsafe<Body>, value: unknown): Body | undefined {
  return Value.Check(schema as TSchema, value) ? (value as Body) : undefined
}
