/**
 * Every bound of the depot, in one place. Sizes are bytes, times are milliseconds, the rest are counts.
 *
 * What goes over a bound gets a problem that names it (`limit-exceeded` and its kin), never a crash and never an
 * unbounded wait. Bounds that an operator may change are defaults of the configuration as well.
 */

export const LIMITS = {
  // Names. A key of the tree (name, NUL, version) must fit an LMDB key together with what stands before it.
  channelNameBytes: 64,
  releaseNameBytes: 214,
  versionBytes: 256,
  pathBytes: 1_024,
  pathDepth: 64,
  summaryBytes: 1_000,
  messageBytes: 4_000,
  mediaTypeBytes: 255,
  reasonBytes: 1_000,

  // Manifests.
  manifestBytes: 67_108_864,
  manifestFiles: 250_000,
  manifestDependencies: 10_000,
  annotations: 1_000,
  annotationBytes: 65_536,
  /** Lists and objects in each other, in the JSON of a manifest. */
  jsonDepth: 100,
  /** A manifest up to this size is checked at once; a larger one in a worker, so that nobody waits for it. */
  manifestInlineBytes: 131_072,
  channels: 1_000,

  // Blobs.
  /** Up to this size a blob lives in LMDB, above it in a file of its own. */
  smallBlobBytes: 65_536,
  blobBytes: 1_099_511_627_776,
  batchBytes: 33_554_432,
  batchBlobs: 20_000,
  missingDigests: 50_000,
  /** Kept free on the disk, so that commit, sweep and delete work when uploads are refused already. */
  diskReserveBytes: 67_108_864,
  diskReserveInodes: 1_000,

  // Stages.
  openStages: 1_000,
  /** So that no publisher takes the places of all others. */
  openStagesPerToken: 200,
  stageMembers: 100,
  stageChanges: 4_000_000,
  /** Blobs that one stage may declare, upload or name in its manifests. */
  stageLeases: 4_000_000,
  stageIdleMs: 86_400_000,
  conflictsListed: 1_000,
  missingListed: 1_000,

  // Requests.
  requestBodyBytes: 8_388_608,
  /** Of a body that says what to do, and carries no list. */
  jsonBodyBytes: 65_536,
  /** Of a list as one JSON value: the worst of that size takes 12 ms to parse. A longer list goes as lines. */
  jsonListBytes: 131_072,
  /** Of all bodies together that are in memory at one time. */
  bufferedBodyBytes: 268_435_456,
  /** Of a body whose request was refused already: so much of it is still taken, for so long, and forgotten. */
  unreadBytes: 16_777_216,
  unreadMs: 10_000,
  headerBytes: 16_384,
  urlBytes: 8_192,
  requestTimeoutMs: 120_000,
  connectionIdleMs: 72_000,
  listPage: 1_000,
  idempotencyKeyBytes: 255,
  idempotencyKeepMs: 604_800_000,
  waitMs: 25_000,
  /** A request waits so long for a generation at most, and usually; and so many do at a time (PROTOCOL §6, §14). */
  holdMs: 10_000,
  holdDefaultMs: 2_000,
  holds: 512,
  /** So long a hold lasts where another node is ready: the balancer finds that one sooner. */
  holdElsewhereMs: 250,
  /** What is asked of another node may take so much longer than a request waits (I16 allows 250 ms). */
  holdGraceMs: 200,
  /** Reads that other nodes answer for this one, and as many requests that change something. */
  relays: 64,
  relayedWrites: 64,
  /** An answer of another node up to this size is shared in memory by those who ask for it at the same time. */
  sharedAnswerBytes: 262_144,
  /** A peer that has something answers within so long, or the origin is asked. */
  peerMs: 250,
  watchers: 10_000,
  parallelUploads: 64,
  /** So that no publisher takes the places of all others. */
  parallelUploadsPerToken: 32,
  /** An upload brings so many bytes in so much time that the depot waits for them, or is ended. */
  uploadPaceBytes: 61_440,
  uploadPaceMs: 60_000,

  // Replication.
  /** Digests that one request of a replica names. */
  replicationBatch: 1_000,
  /** Inner nodes that it asks for at once: each may name 512 more. */
  replicationInner: 64,
  /** Bytes of small files that it asks for at once. */
  replicationBytes: 16_777_216,
  /** Requests that copy trees, and as many that copy blobs. */
  replicationLanes: 4,
  metasetBytes: 4_194_304,
  /** An upstream of which nothing comes for so long is given up, and asked again. */
  upstreamSilenceMs: 30_000,
  retryLeastMs: 250,
  retryMostMs: 10_000,
  /** Generations before the head that a replica copies when it has time, where it has passed them over. */
  backfillGenerations: 100,
  /** Of a node of a tree, plain or packed: 512 lines, the longest there may be of 13 KiB. */
  nodeBytes: 8_388_608,
  /** Of a record, a lineage or a token as one line: what people wrote, every character of it escaped. */
  replicationLineBytes: 131_072,
  /** Nodes that follow this one, and how long one that is silent is remembered. */
  nodes: 256,
  nodeForgetMs: 3_600_000,
  /** A replica asks its origin so often, takes a word of it for good for so long, and hopes for its first one so long. */
  heartbeatMs: 1_000,
  leaseMs: 5_000,
  bootGraceMs: 10_000,
  /** Activation (PROTOCOL §8, §14): what a voter may take to get ready, and a fence that not all have acknowledged. */
  prepareMs: 120_000,
  fenceMs: 8_000,
  fenceResendMs: 200,
  /** Clocks of two nodes differ by so many percent at most; a lease is waited for so much longer. */
  clockDriftPercent: 5,
  leaseMarginMs: 50,
  /** Wall clock and monotonic clock of one node drift apart by so much before a lease is void. */
  clockJumpMs: 1_000,
  /** A balancer sends nothing more to a node that has not been ready for so long. */
  lbDetectMs: 3_000,
  /** Sealed generations that wait for the activation before them. */
  activationsWaiting: 64,
  /** A node that is going answers for so long at most, and lets requests wait for so long. */
  drainMs: 30_000,
  drainHoldMs: 1_000,
  nodeIdBytes: 64,
  /** Of the address of a node, as it is passed on: each heartbeat is answered with those of all nodes. */
  nodeUrlBytes: 2_048,
  /** A replica waits so long for the next change of the tokens, and lets nobody in by a copy that is older than this. */
  accessWaitMs: 15_000,
  accessAgeMs: 60_000,
  tokenIdBytes: 64,
  /** Lineages that a node tells of in a heartbeat: each fork, restore or takeover begins one. */
  lineagesTold: 64,

  // Signing.
  /** Keys that a depot ever had; and those that sign at the same time, while they overlap. */
  ringKeys: 256,
  signingKeys: 4,
  /** Signatures of one generation that are looked at. */
  signatures: 8,
  /** Of a key ring as JSON. */
  keyRingBytes: 524_288,
  /** Generations that were found signed, so that none is checked twice. */
  signedCacheEntries: 1_000,

  // Memory.
  answerCacheBytes: 67_108_864,
  answerCacheEntryBytes: 65_536,
  nodeCacheBytes: 33_554_432,
  /** Of nodes that a copy has brought, until it knows what has changed. */
  recentNodeBytes: 50_331_648,
  manifestCacheBytes: 16_777_216,
  metasetCacheEntries: 64,
  /** Plans of stages that are being filled, what their nodes may take together, and how many rows they follow. */
  drafts: 64,
  draftBytes: 67_108_864,
  draftChanges: 65_536,
  /** So many downloads of large blobs get pieces of 1 MiB, the others small ones. */
  wideReaders: 64,
  narrowPieceBytes: 32_768,
  /** One slice of work on the event loop ends after this long. */
  sliceMs: 4,

  // Access.
  tokens: 10_000,
  tokenBytes: 32,
  scopesPerToken: 100,
  rateBuckets: 10_000,

  // Retention (PROTOCOL §9).
  pinnedMaxAgeSeconds: 604_800,
} as const
