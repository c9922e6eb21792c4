/**
 * The names of headers and media types that depot and client speak, in lower case as Node has them (PROTOCOL §2).
 */

export const HEADERS = {
  /** On every answer: the generation it was computed from, `any` for content-addressed bytes, `none` before g0. */
  generation: 'depot-generation',
  /** The newest generation this node knows; only beside `no-store` or `no-cache`. */
  head: 'depot-head',
  /** Diagnostic: id, role and state of the node. */
  node: 'depot-node',
  /** Request: the floor, a gid or `head`. */
  minGeneration: 'depot-min-generation',
  /** Request: the same as a pinned URL, for clients that cannot change URLs. */
  exactGeneration: 'depot-exact-generation',
  preview: 'depot-preview',
  /** Request: `segment`, for nodes of trees as they are stored and not as they read (PROTOCOL §4). */
  form: 'depot-form',
  via: 'depot-via',
  idempotencyKey: 'idempotency-key',
  requestId: 'request-id',
  /** Resumable uploads (draft-ietf-httpbis-resumable-upload). */
  uploadComplete: 'upload-complete',
  uploadOffset: 'upload-offset',
  uploadLength: 'upload-length',
} as const

export const MEDIA = {
  json: 'application/json',
  problem: 'application/problem+json',
  ndjson: 'application/x-ndjson',
  bytes: 'application/octet-stream',
  /** A batch of small blobs, see `batch.ts`. */
  blobs: 'application/vnd.depot.blobs',
  /** A node of a tree as it is stored, and a batch of them. */
  segment: 'application/vnd.depot.segment',
  segments: 'application/vnd.depot.segments',
  /** The body of a PATCH that continues an upload. */
  partial: 'application/partial-upload',
} as const

/** The value of `Depot-Generation` where the bytes do not depend on a generation, and before there is one. */
export const ANY_GENERATION = 'any'
export const NO_GENERATION = 'none'
