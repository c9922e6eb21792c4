/**
 * What the SDK can do, as a contract: `DepotClient` in `depot-client.ts` keeps it, and `cli` is written against it.
 */
import type { Digest } from '../model/digest.ts'
import type { Generation, Gid } from '../model/generation.ts'
import type { Manifest } from '../model/manifest.ts'
import type {
  AdoptLine,
  AdoptRequest,
  ChannelBody,
  ChannelRequest,
  DeclaredBlob,
  DiffLine,
  ManifestPutBody,
  NewTokenBody,
  ReleaseBody,
  ScrubLine,
  StageBody,
  StageRequest,
  StatusRequest,
  TokenBody,
  TokenRequest,
} from '../wire/bodies.ts'
import type { KeysBody } from '../wire/keys.ts'
import type { NodesBody } from '../wire/replication.ts'

/** Bytes to upload, which can be opened again from any offset when an upload is interrupted. */
export interface Source {
  readonly digest: Digest
  readonly size: number
  open(start: number): AsyncIterable<Uint8Array>
}

export interface Progress {
  readonly done: number
  readonly total: number
}

/**
 * A depot, seen by a reader, a publisher and an operator. Every failure is a `DepotError`; what was aborted rejects
 * with the reason of its signal.
 */
export interface Client {
  /** The head, never older than the floor; moves the floor (PROTOCOL §13). */
  head(signal?: AbortSignal): Promise<Generation>
  /** Waits for a head other than `after`; undefined when none came within `seconds`. */
  watch(after: Gid, seconds: number, signal?: AbortSignal): Promise<Generation | undefined>
  /** By gid, number, RFC 3339 time or `head`. */
  generation(ref: string, signal?: AbortSignal): Promise<Generation>
  /** Newest first, page after page. */
  generations(signal?: AbortSignal): AsyncIterable<Generation>
  diff(a: string, b: string, channel?: string, signal?: AbortSignal): AsyncIterable<DiffLine>
  /** Everything below reads exactly one generation: that of `ref`, or the head of this moment. */
  session(ref?: string, signal?: AbortSignal): Promise<Session>
  openStage(request?: StageRequest, signal?: AbortSignal): Promise<Staging>
  stage(id: string): Staging
  stages(signal?: AbortSignal): Promise<readonly StageBody[]>
  /** `changed` is false when the head offers that already: then it is the answer, and there is no new generation. */
  rollback(
    to: string,
    message?: string,
    signal?: AbortSignal,
  ): Promise<{ readonly generation: Generation; readonly changed: boolean }>
  createToken(request: TokenRequest, signal?: AbortSignal): Promise<NewTokenBody>
  tokens(signal?: AbortSignal): Promise<readonly TokenBody[]>
  revokeToken(id: string, signal?: AbortSignal): Promise<void>
  /** The public keys of the depot, and what they say of each other. */
  keys(signal?: AbortSignal): Promise<KeysBody>
  /** Puts a new key in the place of `current`; when that was done before, nothing happens. */
  rotateKey(current: string, signal?: AbortSignal): Promise<KeysBody>
  /** Ends the overlap of a key that was rotated. */
  retireKey(id: string, signal?: AbortSignal): Promise<KeysBody>
  scrub(signal?: AbortSignal): AsyncIterable<ScrubLine>
  /** Begins another lineage at the head, of an origin that has lost generations and is to go on without them. */
  fork(signal?: AbortSignal): Promise<Generation>
  /**
   * Brings generations that the origin has lost back from a replica, at this address. Without a token of it one is made,
   * which a replica knows that follows the origin. Fails as that does.
   */
  adopt(request: AdoptRequest, signal?: AbortSignal): AsyncIterable<AdoptLine>
  /** The nodes that follow the origin, as their last heartbeats told, and its head. */
  nodes(signal?: AbortSignal): Promise<NodesBody>
}

/** Reading one generation. Every manifest and file is verified by its digest before or while it is handed on. */
export interface Session {
  readonly generation: Generation
  channels(signal?: AbortSignal): AsyncIterable<ChannelBody>
  channel(name: string, signal?: AbortSignal): Promise<ChannelBody>
  catalog(channel: string, signal?: AbortSignal): AsyncIterable<ReleaseBody>
  /** Only what changed since `since`; fails with `generation-lost` or `generation-retired` when all must be taken. */
  changes(channel: string, since: Gid, signal?: AbortSignal): AsyncIterable<DiffLine>
  /** Newest first. */
  releases(channel: string, name: string, range?: string, signal?: AbortSignal): AsyncIterable<ReleaseBody>
  manifest(channel: string, name: string, version: string, signal?: AbortSignal): Promise<Manifest>
  file(
    channel: string,
    name: string,
    version: string,
    path: string,
    signal?: AbortSignal,
  ): AsyncIterable<Uint8Array>
  /** Writes the files of a release below `folder`, durable, in parallel, resumable; what is there already and right is kept. */
  download(request: DownloadRequest, signal?: AbortSignal): Promise<Manifest>
}

export interface DownloadRequest {
  readonly channel: string
  readonly name: string
  readonly version: string
  readonly folder: string
  /** Only files for this system, and those that name none. */
  readonly os?: string
  readonly cpu?: string
  readonly onProgress?: (bytes: Progress) => void
}

/** Adding to a stage. */
export interface Staging {
  readonly id: string
  show(signal?: AbortSignal): Promise<StageBody>
  abort(signal?: AbortSignal): Promise<void>
  /** Which of these blobs the depot lacks; leases the others. Batched as needed. */
  missing(blobs: readonly DeclaredBlob[], signal?: AbortSignal): Promise<readonly Digest[]>
  /** Uploads what is missing of these: small ones in batches, large ones resumable, a few at once. */
  upload(
    sources: readonly Source[],
    onProgress?: (bytes: Progress) => void,
    signal?: AbortSignal,
  ): Promise<void>
  put(channel: string, manifest: Manifest, signal?: AbortSignal): Promise<ManifestPutBody>
  /** Many manifests in few requests. */
  putAll(
    channel: string,
    manifests: Iterable<Manifest> | AsyncIterable<Manifest>,
    signal?: AbortSignal,
  ): Promise<number>
  remove(channel: string, name: string, version: string, signal?: AbortSignal): Promise<void>
  mark(
    channel: string,
    name: string,
    version: string,
    status: StatusRequest,
    signal?: AbortSignal,
  ): Promise<void>
  setChannel(channel: string, settings: ChannelRequest, signal?: AbortSignal): Promise<void>
  removeChannel(channel: string, signal?: AbortSignal): Promise<void>
  /** A session on the staged metaset, as if it were committed. */
  preview(signal?: AbortSignal): Promise<Session>
  /** Retried with one idempotency key until its outcome is known. `changed` is false when there was nothing to do. */
  commit(
    request?: CommitOptions,
    signal?: AbortSignal,
  ): Promise<{ readonly generation: Generation; readonly changed: boolean }>
}

export interface CommitOptions {
  readonly message?: string
  /** Only if this is still the head (`If-Match`). */
  readonly onlyOn?: Gid
  /** By default random, per call. */
  readonly idempotencyKey?: string
}
