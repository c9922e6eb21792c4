/**
 * The JSON bodies of requests and answers, as types. `schemas.ts` has the same as schemas, and a test holds the two to
 * each other through what a depot really answers.
 */
import type { Digest } from '../model/digest.ts'
import type { Generation, Gid } from '../model/generation.ts'

export type GenerationBody = Generation

export interface GenerationsBody {
  /** Under a pin, where an answer is the same for ever, without what changes in the life of a generation. */
  readonly generations: readonly (Pick<Generation, 'gid' | 'record'> & Partial<Generation>)[]
  /** Path of the next page. */
  readonly next?: string
}

export interface ChannelBody {
  readonly name: string
  readonly format: string
  readonly frozen: boolean
  /** How many releases it offers. */
  readonly releases: number
  /** Bytes of the catalog as NDJSON. */
  readonly bytes: number
  readonly root: Digest
}

export interface ChannelsBody {
  readonly channels: readonly ChannelBody[]
  readonly next?: string
}

export type ReleaseStatus = 'yanked' | 'deprecated'

/** One line of a catalog. */
export interface ReleaseBody {
  readonly name: string
  readonly version: string
  readonly manifest: Digest
  /** Bytes of all files together. */
  readonly size: number
  readonly published?: string
  readonly summary?: string
  readonly status?: ReleaseStatus
  readonly reason?: string
}

export interface ReleasesBody {
  readonly releases: readonly ReleaseBody[]
  readonly next?: string
}

/** One line of a diff or of a catalog asked with `since`; `channel` where a diff covers all channels. */
export interface DiffLine extends ReleaseBody {
  readonly op: 'added' | 'removed' | 'changed'
  readonly channel?: string
  /** The manifest before, where it changed. */
  readonly was?: Digest
}

export interface StageRequest {
  readonly base?: string
  readonly message?: string
  readonly members?: readonly string[]
}

export interface StageBody {
  readonly id: string
  readonly base: Gid
  readonly state: 'open' | 'committed' | 'aborted' | 'expired'
  readonly created: string
  readonly expires: string
  readonly message: string
  readonly owner: string
  readonly members: readonly string[]
  readonly changes: number
  /** Blobs that its manifests name and that are absent, at most 1,000; a list of stages does not tell. */
  readonly missing?: readonly Digest[]
  readonly committed?: Gid
}

export interface StagesBody {
  readonly stages: readonly StageBody[]
}

export interface DeclaredBlob {
  readonly digest: Digest
  readonly size: number
}

export interface MissingRequest {
  readonly blobs: readonly DeclaredBlob[]
}

export interface MissingBody {
  readonly missing: readonly Digest[]
}

export type StoredBody = DeclaredBlob

export interface StoredManyBody {
  readonly stored: readonly Digest[]
}

export interface ManifestPutBody {
  readonly manifest: Digest
  /** Blobs it names that are absent; they must come before the commit. At most 1,000 are listed. */
  readonly missing: readonly Digest[]
}

export interface ManifestsPutBody {
  readonly manifests: readonly Digest[]
  /** How many blobs are absent. */
  readonly missing: number
}

/** Marks a release, or with `status: null` takes the mark away. */
export interface StatusRequest {
  readonly status: ReleaseStatus | null
  readonly reason?: string
}

export interface ChannelRequest {
  readonly format?: 'semver'
  readonly frozen?: boolean
}

export interface CommitRequest {
  readonly message?: string
}

export interface RollbackRequest {
  /** Gid, number or RFC 3339 time. */
  readonly to: string
  readonly message?: string
}

export interface TokenRequest {
  readonly label: string
  readonly scopes: readonly string[]
  readonly expires?: string
  readonly quotaBytes?: number
}

export interface TokenBody {
  readonly id: string
  readonly label: string
  readonly scopes: readonly string[]
  readonly created: string
  readonly expires?: string
  readonly revoked?: string
  readonly quotaBytes?: number
  readonly usedBytes: number
}

/** The answer to making a token: the only time that its secret is shown. */
export interface NewTokenBody extends TokenBody {
  readonly token: string
}

export interface TokensBody {
  readonly tokens: readonly TokenBody[]
}

/** A line of the answer to a scrub: progress, a damaged blob, and at last the sum. */
export type ScrubLine =
  | { readonly kind: 'progress'; readonly checked: number; readonly bytes: number }
  | { readonly kind: 'damaged'; readonly digest: Digest; readonly reason: string }
  | { readonly kind: 'done'; readonly checked: number; readonly bytes: number; readonly damaged: number }

export interface AdoptRequest {
  /** Address of a replica that has what was lost. */
  readonly from: string
  /** Of the replica, with the scope `replicate`; by default one that is made for that, where it follows this depot. */
  readonly token?: string
}

/** A line of the answer to an adoption. The last one is `done`, or `failed` and a problem. */
export type AdoptLine =
  | { readonly kind: 'progress'; readonly done: number; readonly needed: number }
  | { readonly kind: 'done'; readonly gid: string; readonly changed: boolean }
  | { readonly kind: 'failed'; readonly type: string }

/** RFC 9457, with the details of the failure as further members. */
export interface ProblemBody {
  /** `/problems/<code>` */
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  /** Id of the request, as in the log. */
  readonly instance?: string
  readonly generation?: string
}
