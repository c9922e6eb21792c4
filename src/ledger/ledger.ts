/**
 * The ledger is all that changes: every pointer of the depot is a record in one LMDB environment (DESIGN §2, §4).
 *
 * Promises that every method keeps:
 *
 * L1. What a promise resolved for is durable, and was not visible to anybody before it was durable.
 * L2. A flip is one transaction: generation, head, idempotency key and the end of the stage, or nothing of it.
 * L3. Reads are synchronous and see one state; no read transaction stays open while anybody waits.
 *
 * It holds nothing that grows with bytes, and knows nothing of trees, blobs or HTTP.
 */
import type { Digest } from '../model/digest.ts'
import type { Generation, GenerationRecord, Gid, Lineage, LineageId } from '../model/generation.ts'
import type { PinnedRing } from '../model/keys/pinned.ts'
import type { Scope } from '../model/scope.ts'
import type { LineageNotes } from './lineage/notes.ts'

export interface Ledger {
  readonly generations: Generations
  readonly stages: Stages
  readonly changes: Changes
  readonly blobs: StageBlobs
  readonly outcomes: Outcomes
  readonly tokens: Tokens & TokenChanges
  readonly ring: Ring
  readonly notes: LineageNotes
}

/**
 * The log of generations, append-only, and the head.
 *
 * More than five methods, for a replica's log is the same log: it is read by the same readers.
 */
export interface Generations {
  /** The active generation; undefined only before `begin`, or before the first `adopt`. */
  head(): Generation | undefined
  get(gid: Gid): Generation | undefined
  /**
   * Whether what a generation of the log names was ever complete here. Of those that a replica passed over only the
   * record is known: whoever reads under such a pin must be served by a node that has it, and is never told 404.
   */
  isHeld(gid: Gid): boolean
  /** Newest first, but for `above`, which gives the oldest first; at most `limit`, and never beyond the head. */
  list(from: From, limit: number): readonly Generation[]
  lineages(): ReadonlyMap<LineageId, Lineage>
  /**
   * The function that moves the head of a depot that commits. Fails with `base-changed` when the head is not `flip.expected`; and with
   * `stage-unknown`, `stage-expired` or `stage-changed`.
   */
  flip(flip: Flip): Promise<Generation>
  /**
   * Takes over what an upstream has committed, and moves the head to the last of it: all of it becomes true in one
   * transaction, and nobody sees any of it before. Everything that the last one names is here; those before it become
   * known and are not held.
   *
   * A chain of a lineage that descends from the own one and forks before the head loses what is behind the fork.
   *
   * Never goes back: fails with `origin-diverged` when the records lead to an older generation, to another one under a
   * number that is known here, or do not follow the head; with `digest-mismatch` or `bad-request` when they are not what
   * they say, and with `lineage-foreign` when their lineage is nowhere.
   */
  adopt(adoption: Adoption): Promise<Generation>
  /**
   * Gives generations of the log other signatures than they had, all of them in one transaction: those of before the
   * depot had a key have none.
   */
  sign(signed: readonly SignedGid[]): Promise<void>
  /** What a generation of the log names has become complete here after it was passed over: from now on it is held. */
  hold(gid: Gid): Promise<void>
}

export type From =
  | { readonly kind: 'newest' }
  | { readonly kind: 'number'; readonly atMost: number }
  | { readonly kind: 'time'; readonly atMostMs: number }
  | { readonly kind: 'above'; readonly number: number }

export interface Adoption {
  /** Those that are known here already are passed over. */
  readonly lineages: readonly Lineage[]
  /** At least one, oldest first, each the child of the one before it. Those that are here already are passed over. */
  readonly records: readonly AdoptedRecord[]
}

export interface AdoptedRecord {
  readonly gid: Gid
  /** The canonical bytes, stored verbatim. */
  readonly bytes: Uint8Array
  /** Beside the bytes, and never in what is hashed. */
  readonly signatures?: readonly string[]
}

export type SignedGid = Pick<Generation, 'gid' | 'signatures'>

/** Everything that becomes true at once when the head moves. */
export interface Flip {
  /** The head that the new generation was planned on; null for the first generation of a depot. */
  readonly expected: Gid | null
  readonly gid: Gid
  readonly record: GenerationRecord
  /** The canonical bytes of `record`, stored verbatim. */
  readonly bytes: Uint8Array
  /** Over `bytes`; visible with the generation, and not before. `depot/keys` puts them here. */
  readonly signatures?: readonly string[]
  /** The lineage, when this generation is the first of it. */
  readonly lineage?: Lineage
  /** The stage that ends as committed, as it was planned; fails with `stage-changed` when it has moved since. */
  readonly stage?: { readonly id: StageId; readonly edition: number }
  readonly idempotency?: IdempotencyRecord
}

declare const brand: unique symbol
export type StageId = string & { readonly [brand]: 'StageId' }
export type StageState = 'open' | 'committed' | 'aborted' | 'expired'

export interface Stage {
  readonly id: StageId
  readonly base: Gid
  readonly state: StageState
  /** Id of the token that opened it. */
  readonly owner: string
  /** Ids of further tokens that may add to it. */
  readonly members: readonly string[]
  readonly message: string
  readonly createdMs: number
  readonly expiresMs: number
  /** Moves with every change, so that what was computed from the changes knows when it is stale. */
  readonly edition: number
  /** The generation that it became. */
  readonly committed?: Gid
}

export interface Stages {
  open(stage: Stage): Promise<void>
  get(id: StageId): Stage | undefined
  /** Stages that are open, oldest first. */
  listOpen(): readonly Stage[]
  /** Moves the time at which an open stage expires. Cheap: it need not be durable. */
  touch(id: StageId, expiresMs: number): void
  /**
   * Ends an open stage without a new generation, and drops its changes, wanted and leased blobs. A stage that had
   * nothing to change ends as committed, with the head as its generation and its base. One that was touched meanwhile
   * does not expire. Fails with `stage-unknown`, `stage-expired`, or `stage-changed` when it is no longer at `edition`.
   */
  close(id: StageId, state: 'aborted' | 'expired' | 'committed', closing?: Closing): Promise<void>
}

/** What becomes true in the transaction that ends a stage without a new generation. */
export interface Closing {
  /** The generation that stands for a stage which had nothing to change. */
  readonly committed?: Gid
  /** The stage as it was planned. */
  readonly edition?: number
  readonly idempotency?: IdempotencyRecord
}

/** What a stage does to one release of one channel, or to a channel itself. `key` is empty for the channel. */
export interface ChangeRow {
  readonly channel: string
  /** The key of the tree, as `metaset/key.ts` makes it: a string whose every character is one byte. */
  readonly key: string
  /** JSON, as `depot/change.ts` writes it; undefined removes the row. */
  readonly value: string | undefined
}

export interface Changes {
  /** Adds, replaces or removes rows, and moves the stage's edition, in one transaction. Fails with
   * `stage-unknown`, `stage-expired`, `limit-exceeded` when the stage would hold too many, or `disk-full`. */
  write(stage: StageId, rows: readonly ChangeRow[]): Promise<void>
  get(stage: StageId, channel: string, key: string): string | undefined
  /** In the order of channel, then key by bytes; from the row after `after`, at most `limit`. */
  list(
    stage: StageId,
    after: Pick<ChangeRow, 'channel' | 'key'> | undefined,
    limit: number,
  ): readonly ChangeRow[]
  count(stage: StageId): number
}

/** The blobs a stage needs or has brought. Rows end with their stage. */
export interface StageBlobs {
  /**
   * Leases keep blobs from the sweep: every digest that the stage declared or uploaded. Fails with `limit-exceeded` when
   * the stage would hold too many, or `disk-full`.
   */
  lease(stage: StageId, digests: readonly Digest[]): Promise<void>
  isLeased(digest: Digest): boolean
  /**
   * Blobs that `manifest` names and that were absent when it was staged; with the sizes it says; an empty list clears
   * them. Fails with `disk-full`.
   */
  want(stage: StageId, manifest: Digest, blobs: readonly Omit<Wanted, 'manifest'>[]): Promise<void>
  /** In the order of manifest, then digest; from the one after `after`, at most `limit`. */
  wanted(stage: StageId, after: Wanted | undefined, limit: number): readonly Wanted[]
}

export interface Wanted {
  readonly manifest: Digest
  readonly digest: Digest
  /** Bytes, as the manifest says. */
  readonly size: number
}

/** The outcome of a commit, kept so that the same request gets the same answer (PROTOCOL §8). */
export interface IdempotencyRecord {
  readonly token: string
  readonly stage: StageId
  readonly key: string
  readonly bodyDigest: Digest
  readonly gid: Gid
  /** False when there was nothing to do, and `gid` was the head already. */
  readonly changed: boolean
  readonly atMs: number
}

export interface Outcomes {
  recall(token: string, stage: StageId, key: string): IdempotencyRecord | undefined
  /** Keeps the outcome of what neither flips nor ends a stage, and so is kept by nothing else. */
  remember(record: IdempotencyRecord): Promise<void>
  /**
   * Drops what is older than `beforeMs`, ended stages too, at most `limit` records, and tells how many it dropped.
   */
  forget(beforeMs: number, limit: number): Promise<number>
}

export interface Token {
  /** Public name of the token, also in logs. */
  readonly id: string
  /** SHA-256 of the secret; the secret itself is never stored. */
  readonly hash: Digest
  readonly label: string
  readonly scopes: readonly Scope[]
  readonly createdMs: number
  readonly expiresMs?: number
  /** Bytes that the token may upload in all. */
  readonly quotaBytes?: number
  readonly usedBytes: number
  readonly revokedMs?: number
}

export interface Tokens {
  /** The longest revoked makes room when there are too many. Fails with `limit-exceeded` when none is. */
  add(token: Token): Promise<void>
  /** Revoked ones too. */
  list(): readonly Token[]
  /** Not one that was revoked. */
  byHash(hash: Digest): Token | undefined
  revoke(id: string, atMs: number): Promise<void>
  /** Counts uploaded bytes. Whether the token may bring them was asked before. */
  use(id: string, bytes: number): Promise<void>
}

/**
 * The state of all tokens, but for what they have used: it moves with every token that is added or revoked. Two
 * ledgers of one edition have the same tokens: it is a number and a digest over all changes so far.
 */
export type AccessEdition = string & { readonly [brand]: 'AccessEdition' }

export interface TokenChanges {
  edition(): AccessEdition
  /** What changed after `edition`; all tokens when it is undefined, or not one that this ledger remembers. */
  since(edition: string | undefined): TokensSince
  /**
   * Takes over what changed at an origin: what was taken over before is put again, and a whole list takes the place of
   * all that is here. The edition is durable last and seen with all of it; a crash before that leaves tokens of which
   * the rest is still to be asked for. Bytes that were used are counted where they are used.
   */
  adopt(change: TokensSince): Promise<void>
}

export interface TokensSince {
  readonly edition: AccessEdition
  /** Whether these are all tokens there are, and not only those that were added or revoked. */
  readonly isWhole: boolean
  readonly tokens: readonly Token[]
}

/** The key ring: that of this depot, or what a replica has taken over. */
export interface Ring {
  kept(): PinnedRing | undefined
  keep(ring: PinnedRing): Promise<void>
}
