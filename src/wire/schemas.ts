/**
 * The bodies of requests and answers, as schemas: they validate, and the OpenAPI document is made of them. Each has the
 * type of the same name in `bodies.ts` (`isolatedDeclarations` lets no exported type be inferred from a schema).
 */
import Type, { type TSchema, type TUnsafe } from 'typebox'
import { LIMITS } from '../model/limits.ts'
import type * as body from './bodies.ts'

export const DigestText: TSchema = Type.String({
  pattern: '^sha256:[0-9a-f]{64}$',
  description: 'sha256:<64 hex>',
})
export const GidText: TSchema = Type.String({
  pattern: '^g(0|[1-9][0-9]{0,14})\\.[a-z][a-z2-7]{11}\\.[0-9a-f]{16}$',
  description: 'generation id, g<number>.<lineage>.<digest>',
})
export const InstantText: TSchema = Type.String({ description: 'RFC 3339, UTC, milliseconds' })
const MessageText = Type.String({ maxLength: LIMITS.messageBytes })
const MemberIds = Type.Array(Type.String({ maxLength: 64 }), { maxItems: LIMITS.stageMembers })

const Identity = {
  gid: GidText,
  record: Type.Object({
    v: Type.Literal(1),
    number: Type.Integer(),
    lineage: Type.String(),
    parent: Type.Union([GidText, Type.Null()]),
    parentDigest: Type.Union([DigestText, Type.Null()]),
    metaset: DigestText,
    created: InstantText,
    publisher: Type.String(),
    message: Type.String(),
    rollbackOf: Type.Optional(GidText),
  }),
}
/** What changes in the life of a generation. */
const Life = {
  state: Type.Union(['sealed', 'active', 'aborted', 'retired'].map((state) => Type.Literal(state))),
  signatures: Type.Array(
    Type.String({
      maxLength: 256,
      description:
        '<key id>:<base64url of an Ed25519 signature over "depot generation v1", a zero byte and the canonical record>',
    }),
  ),
}

export const GenerationBody: TUnsafe<body.GenerationBody> = bodyOf(Type.Object({ ...Identity, ...Life }))

export const GenerationsBody: TUnsafe<body.GenerationsBody> = bodyOf(
  Type.Object({
    generations: Type.Array(Type.Object({ ...Identity, ...Type.Partial(Type.Object(Life)).properties })),
    next: Type.Optional(Type.String({ description: 'path of the next page' })),
  }),
)

export const ChannelBody: TUnsafe<body.ChannelBody> = bodyOf(
  Type.Object({
    name: Type.String(),
    format: Type.String(),
    frozen: Type.Boolean(),
    releases: Type.Integer({ description: 'how many releases it offers' }),
    bytes: Type.Integer({ description: 'bytes of the catalog as NDJSON' }),
    root: DigestText,
  }),
)

export const ChannelsBody: TUnsafe<body.ChannelsBody> = bodyOf(
  Type.Object({
    channels: Type.Array(ChannelBody),
    next: Type.Optional(Type.String()),
  }),
)

/** One line of a catalog. */
export const ReleaseBody: TUnsafe<body.ReleaseBody> = bodyOf(
  Type.Object({
    name: Type.String(),
    version: Type.String(),
    manifest: DigestText,
    size: Type.Integer({ description: 'bytes of all files together' }),
    published: Type.Optional(InstantText),
    summary: Type.Optional(Type.String()),
    status: Type.Optional(Type.Union([Type.Literal('yanked'), Type.Literal('deprecated')])),
    reason: Type.Optional(Type.String()),
  }),
)

export const ReleasesBody: TUnsafe<body.ReleasesBody> = bodyOf(
  Type.Object({
    releases: Type.Array(ReleaseBody),
    next: Type.Optional(Type.String()),
  }),
)

export const StageRequest: TUnsafe<body.StageRequest> = bodyOf(
  Type.Object(
    {
      base: Type.Optional(Type.String({ description: 'gid; the head when absent' })),
      message: Type.Optional(MessageText),
      members: Type.Optional(MemberIds),
    },
    { additionalProperties: false },
  ),
)

export const StageBody: TUnsafe<body.StageBody> = bodyOf(
  Type.Object({
    id: Type.String(),
    base: GidText,
    state: Type.Union(['open', 'committed', 'aborted', 'expired'].map((state) => Type.Literal(state))),
    created: InstantText,
    expires: InstantText,
    message: Type.String(),
    owner: Type.String(),
    members: Type.Array(Type.String()),
    changes: Type.Integer(),
    missing: Type.Optional(
      Type.Array(DigestText, {
        description: `blobs that its manifests name and that are absent, at most ${LIMITS.missingListed}; not in a list of stages`,
      }),
    ),
    committed: Type.Optional(GidText),
  }),
)

export const StagesBody: TUnsafe<body.StagesBody> = bodyOf(Type.Object({ stages: Type.Array(StageBody) }))

/** A blob to come; also one line of a long list. */
export const DeclaredBlob: TUnsafe<body.DeclaredBlob> = bodyOf(
  Type.Object(
    { digest: DigestText, size: Type.Integer({ minimum: 0, maximum: LIMITS.blobBytes }) },
    { additionalProperties: false },
  ),
)

export const MissingRequest: TUnsafe<body.MissingRequest> = bodyOf(
  Type.Object(
    { blobs: Type.Array(DeclaredBlob, { maxItems: LIMITS.missingDigests }) },
    { additionalProperties: false },
  ),
)

export const MissingBody: TUnsafe<body.MissingBody> = bodyOf(Type.Object({ missing: Type.Array(DigestText) }))

export const StoredBody: TUnsafe<body.StoredBody> = bodyOf(
  Type.Object({ digest: DigestText, size: Type.Integer() }),
)
export const StoredManyBody: TUnsafe<body.StoredManyBody> = bodyOf(
  Type.Object({ stored: Type.Array(DigestText) }),
)

export const ManifestPutBody: TUnsafe<body.ManifestPutBody> = bodyOf(
  Type.Object({
    manifest: DigestText,
    missing: Type.Array(DigestText, {
      description: 'blobs it names that are absent; they must come before the commit',
    }),
  }),
)

export const ManifestsPutBody: TUnsafe<body.ManifestsPutBody> = bodyOf(
  Type.Object({ manifests: Type.Array(DigestText), missing: Type.Integer() }),
)

/** Marks a release, or with `status: null` takes the mark away. */
export const StatusRequest: TUnsafe<body.StatusRequest> = bodyOf(
  Type.Object(
    {
      status: Type.Union([Type.Literal('yanked'), Type.Literal('deprecated'), Type.Null()]),
      reason: Type.Optional(Type.String({ maxLength: LIMITS.reasonBytes })),
    },
    { additionalProperties: false },
  ),
)

export const ChannelRequest: TUnsafe<body.ChannelRequest> = bodyOf(
  Type.Object(
    { format: Type.Optional(Type.Literal('semver')), frozen: Type.Optional(Type.Boolean()) },
    { additionalProperties: false },
  ),
)

export const CommitRequest: TUnsafe<body.CommitRequest> = bodyOf(
  Type.Object({ message: Type.Optional(MessageText) }, { additionalProperties: false }),
)

export const RollbackRequest: TUnsafe<body.RollbackRequest> = bodyOf(
  Type.Object(
    { to: Type.String({ description: 'gid, number or RFC 3339 time' }), message: Type.Optional(MessageText) },
    { additionalProperties: false },
  ),
)

export const AdoptRequest: TUnsafe<body.AdoptRequest> = bodyOf(
  Type.Object(
    {
      from: Type.String({
        maxLength: LIMITS.nodeUrlBytes,
        pattern: '^https?://[^/?#@\\s]+(/[^?#\\s]*)?$',
        description: 'address of a replica',
      }),
      token: Type.Optional(
        Type.String({
          maxLength: 512,
          description: 'with the scope replicate; by default one that is made for that',
        }),
      ),
    },
    { additionalProperties: false },
  ),
)

export const TokenRequest: TUnsafe<body.TokenRequest> = bodyOf(
  Type.Object(
    {
      label: Type.String({ minLength: 1, maxLength: 100 }),
      scopes: Type.Array(Type.String({ maxLength: 100 }), { minItems: 1, maxItems: LIMITS.scopesPerToken }),
      expires: Type.Optional(InstantText),
      quotaBytes: Type.Optional(Type.Integer({ minimum: 0 })),
    },
    { additionalProperties: false },
  ),
)

export const TokenBody: TUnsafe<body.TokenBody> = bodyOf(
  Type.Object({
    id: Type.String(),
    label: Type.String(),
    scopes: Type.Array(Type.String()),
    created: InstantText,
    expires: Type.Optional(InstantText),
    revoked: Type.Optional(InstantText),
    quotaBytes: Type.Optional(Type.Integer()),
    usedBytes: Type.Integer(),
  }),
)

/** The answer to making a token: the only time that its secret is shown. */
export const NewTokenBody: TUnsafe<body.NewTokenBody> = bodyOf(
  Type.Intersect([TokenBody, Type.Object({ token: Type.String() })]),
)

export const TokensBody: TUnsafe<body.TokensBody> = bodyOf(Type.Object({ tokens: Type.Array(TokenBody) }))

/** RFC 9457, with the details of the failure as further members. */
export const ProblemBody: TUnsafe<body.ProblemBody> = bodyOf(
  Type.Object(
    {
      type: Type.String({ description: '/problems/<code>' }),
      title: Type.String(),
      status: Type.Integer(),
      detail: Type.String(),
      instance: Type.Optional(Type.String({ description: 'id of the request, as in the log' })),
      generation: Type.Optional(Type.String()),
    },
    { additionalProperties: true },
  ),
)

function bodyOf<Body>(schema: TSchema): TUnsafe<Body> {
  return Type.Unsafe<Body>(schema)
}
