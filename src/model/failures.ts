/**
 * The closed table of failures: for every code its details, its title, and the sentence that is made of them.
 *
 * A code is stable and public (it is the last segment of a problem's `type`, PROTOCOL §6); a title names the
 * failure for people; a detail says what happened in this case and what to do next.
 */
/* oxlint-disable max-lines -- one table, read by looking a code up */

type Nothing = Readonly<Record<never, never>>

interface Reason {
  readonly reason: string
}

/** A question about a generation that this depot cannot answer; `floor` when it came as a least generation. */
interface Wanted {
  readonly wanted: string
  readonly generation: string
  readonly floor: boolean
}

/** With the number of the last generation before the fork, where it is known. */
interface Lost extends Wanted {
  readonly forkAt?: number
}

/** One key on which a stage and the head disagree (DESIGN §3, "Many publishers"). */
export interface Conflict {
  readonly channel: string
  readonly name?: string
  readonly version?: string
  readonly reason: 'changed' | 'bound' | 'frozen' | 'settings' | 'deleted'
}

/** How many files a file system may still get, and how many of those are not for uploads. */
export interface Inodes {
  readonly free: number
  readonly reserve: number
}

/** What has to be known to report each failure. */
export interface FailureDetails {
  readonly 'bad-generation': { text: string }
  readonly 'pin-conflict': { url: string; header: string }
  readonly 'pin-below-floor': { pin: string; floor: string }
  readonly 'generation-behind': { wanted: string; generation: string }
  readonly 'generation-unknown': Wanted
  readonly 'generation-lost': Lost
  readonly 'lineage-foreign': Wanted
  readonly 'generation-retired': { wanted: string }
  readonly withdrawn: { wanted: string }
  readonly 'head-unconfirmed': { generation: string }
  /** `what` there are so many of and no more; requests that wait, where nothing is said. */
  readonly 'hold-limit': { limit: number; what?: string }
  readonly 'origin-unreachable': Reason
  readonly 'origin-diverged': { generation: string; seen: string }
  readonly 'origin-unverified': { generation: string }
  readonly 'origin-superseded': { generation: string; seen: string }
  readonly 'backup-damaged': Reason
  readonly 'relay-loop': { via: string }
  /** Ids of keys: the one that is trusted, and the one that the depot signs with. */
  readonly 'key-untrusted': { pinned: string; offered: string }
  readonly 'generation-unsigned': { wanted: string; pinned: string; signers: readonly string[] }
  readonly 'signature-wrong': { wanted: string; key: string }
  /** Seconds since the origin's last word on them; undefined when there was none since this node has started. */
  readonly 'access-unconfirmed': { age?: number }
  readonly 'node-id-taken': { id: string }
  readonly booting: Nothing
  readonly draining: Nothing
  readonly 'not-found': { what: string }
  readonly 'blob-unavailable': { digest: string }
  readonly 'blob-corrupt': { digest: string; reason: string }
  readonly 'stage-unknown': { stage: string }
  readonly 'stage-expired': { stage: string; state: string }
  readonly 'stage-changed': { stage: string }
  readonly 'base-changed': { expected: string; generation: string }
  readonly 'name-conflict': { channel: string; name: string; version: string; bound: string; offered: string }
  readonly conflict: { conflicts: readonly Conflict[]; total: number }
  readonly 'channel-frozen': { channel: string }
  readonly 'blob-missing': { missing: readonly string[]; total: number }
  readonly 'idempotency-mismatch': { key: string }
  readonly 'digest-mismatch': { expected: string; found: string }
  readonly 'offset-mismatch': { expected: number; offered: number }
  readonly 'upload-busy': { digest: string }
  readonly 'upload-too-slow': { found: number; least: number; seconds: number }
  readonly 'bad-request': Reason
  readonly 'path-invalid': { path: string; reason: string }
  readonly 'name-invalid': { name: string; reason: string }
  readonly 'version-invalid': { version: string; reason: string }
  readonly 'manifest-invalid': Reason
  readonly 'limit-exceeded': { what: string; limit: number; found?: number }
  readonly 'headers-too-large': { limit: number }
  readonly 'method-not-allowed': { method: string; allowed: string }
  readonly 'unsupported-media-type': { mediaType: string; expected: string }
  readonly 'unsupported-content-encoding': { encoding: string }
  readonly 'unsupported-transfer-encoding': { encoding: string }
  readonly 'range-not-satisfiable': { size: number }
  readonly 'request-timeout': Nothing
  readonly unauthorised: Reason
  readonly forbidden: { scope: string }
  readonly 'rate-limited': { retryAfterMs: number }
  readonly 'quota-exceeded': { quota: number; used: number; offered: number }
  readonly 'disk-full': { free: number; needed: number; inodes?: Inodes }
  readonly 'data-newer': { folder: string; found: number; known: number }
  readonly 'data-locked': { folder: string }
  readonly 'data-unusable': { folder: string; reason: string }
  readonly 'address-unusable': { address: string; reason: string }
  readonly 'answer-invalid': { url: string; reason: string }
  readonly 'depot-unreachable': { url: string; reason: string }
  readonly internal: { instance: string }
}

export type ErrorCode = keyof FailureDetails

interface Failure<Details> {
  readonly title: string
  readonly detail: (details: Details) => string
}

export const FAILURES: { readonly [Code in ErrorCode]: Failure<FailureDetails[Code]> } = {
  // Generations (PROTOCOL §1 and §6).
  'bad-generation': {
    title: 'This is not a generation id',
    detail: (d) =>
      `"${d.text}" is not a generation id; send one exactly as the depot gave it, like g42.<lineage>.<digest>`,
  },
  'pin-conflict': {
    title: 'Two pins contradict each other',
    detail: (d) =>
      `the URL pins ${d.url}, a header asks for ${d.header}; send one of them, or make them equal`,
  },
  'pin-below-floor': {
    title: 'The pinned generation is older than the floor',
    detail: (d) =>
      `${d.pin} is pinned and at least ${d.floor} is asked for; pin a newer one, or lower the floor`,
  },
  'generation-behind': {
    title: 'This node does not have the generation yet',
    detail: (d) =>
      `${d.wanted} was asked for and ${d.generation} is what this node has; try again as Retry-After says`,
  },
  'generation-unknown': {
    title: 'No such generation',
    detail: (d) =>
      `this depot never announced ${d.wanted}; its head is ${d.generation}; check that the generation id belongs to this depot`,
  },
  'generation-lost': {
    title: 'That generation was lost in a restore',
    detail: (d) =>
      `${d.wanted} is past the point where the lineage forked${d.forkAt === undefined ? '' : `, g${d.forkAt}`}; go on from the head ${d.generation}`,
  },
  'lineage-foreign': {
    title: 'That generation belongs to another depot',
    detail: (d) =>
      `the lineage of ${d.wanted} is not one of this depot, whose head is ${d.generation}; check the depot's address`,
  },
  'generation-retired': {
    title: 'That generation was retired',
    detail: (d) => `${d.wanted} is no longer kept; start again at the head`,
  },
  withdrawn: {
    title: 'That generation was withdrawn',
    detail: (d) => `${d.wanted} was withdrawn by its publisher; start again at the head`,
  },
  'head-unconfirmed': {
    title: 'The head is not confirmed',
    detail: (d) =>
      `this node cannot confirm that ${d.generation} is still the head; try again as Retry-After says`,
  },
  'hold-limit': {
    title: 'Too many requests are under way',
    detail: (d) =>
      d.what === undefined
        ? `${d.limit} requests wait here already; try again as Retry-After says`
        : `of ${d.limit} ${d.what} too few are free; let what is under way end, and send it again as Retry-After says`,
  },
  'origin-unreachable': {
    title: 'The origin cannot be reached',
    detail: (d) => `the origin did not answer (${d.reason}); try again as Retry-After says`,
  },
  'origin-diverged': {
    title: 'The origin went back in time',
    detail: (d) =>
      `${d.generation} is the head here, and another node of the same depot tells of ${d.seen}; at the origin an operator brings back what is lost with depot adopt <url of a replica>, or goes on without it with depot fork`,
  },
  'origin-unverified': {
    title: 'The origin cannot tell whether it has lost generations',
    detail: (d) =>
      `none of the nodes that could tell whether ${d.generation} is the newest has been heard; start a replica, or run depot adopt <url of a replica> or depot fork, or start the origin with --allow-unverified if nothing was lost`,
  },
  'origin-superseded': {
    title: 'Another node is the origin now',
    detail: (d) =>
      `${d.seen} is of a lineage that another node began after ${d.generation} or before it; start this one as a replica of that one (--role replica --upstream <url>)`,
  },
  'backup-damaged': {
    title: 'The backup cannot be used',
    detail: (d) => `${d.reason}; take another one`,
  },
  'relay-loop': {
    title: 'Nodes relay to each other in a circle',
    detail: (d) => `this request already passed ${d.via}; check the upstream addresses`,
  },
  'key-untrusted': {
    title: 'The depot signs with a key that is not trusted',
    detail: (d) =>
      `${d.pinned} is trusted and does not lead to ${d.offered}, which the depot shows; nothing was taken over. Ask who runs the depot which key is its own: if it is the new one, go on with --accept-key ${d.offered} (a replica: --upstream-key ${d.offered}); else somebody has put himself in between`,
  },
  'generation-unsigned': {
    title: 'The generation is not signed by a key that is trusted',
    detail: (d) =>
      `${d.wanted} has ${d.signers.length === 0 ? 'no signature' : `signatures of ${d.signers.join(', ')}`}, and none that counts of ${d.pinned}, which is trusted, or of a key that it leads to; nothing was taken over. Ask another node; if all of them say the same, ask who runs the depot (depot key list): if its key is another one now, go on with --accept-key <id> (a replica: --upstream-key <id>)`,
  },
  'signature-wrong': {
    title: 'A signature does not fit the generation',
    detail: (d) =>
      `what ${d.key} is said to have signed is not ${d.wanted} as it came: somebody in between has changed one of them; nothing was taken over. Ask another node, and tell who runs this one`,
  },
  'access-unconfirmed': {
    title: 'Access rights are not confirmed',
    detail: (d) =>
      `the origin ${d.age === undefined ? 'has not confirmed' : `confirmed ${d.age} s ago`} this node's copy of the tokens${d.age === undefined ? ' yet' : ', and not since'}; try again as Retry-After says, or ask another node`,
  },
  'node-id-taken': {
    title: 'Another node has this id',
    detail: (d) =>
      `another process follows the origin as ${d.id}, and was there first; end one of them, or start this one with another --node-id`,
  },
  booting: {
    title: 'This node is starting',
    detail: () => 'try again as Retry-After says',
  },
  draining: {
    title: 'This node is stopping',
    detail: () => 'connect again: another node will answer',
  },

  // What is in a generation.
  'not-found': {
    title: 'Not found',
    detail: (d) => `there is no ${d.what}; look at the catalog of this generation for what there is`,
  },
  'blob-unavailable': {
    title: 'The bytes cannot be had at the moment',
    detail: (d) => `${d.digest} is not here and its source does not answer; try again as Retry-After says`,
  },
  'blob-corrupt': {
    title: 'The stored bytes are damaged',
    detail: (d) =>
      `${d.digest} is damaged on disk (${d.reason}) and is not served; run depot scrub to see what else is damaged, then put the same bytes again`,
  },

  // Staging and committing.
  'stage-unknown': {
    title: 'No such stage',
    detail: (d) => `there is no stage ${d.stage}; open one with POST /v1/stages`,
  },
  'stage-expired': {
    title: 'The stage is closed',
    detail: (d) => `stage ${d.stage} is ${d.state}; open another one with POST /v1/stages`,
  },
  'stage-changed': {
    title: 'The stage changed while it was committed',
    detail: (d) =>
      `somebody added to stage ${d.stage} during the commit; nothing was committed, commit again`,
  },
  'base-changed': {
    title: 'The head has moved',
    detail: (d) =>
      `If-Match asked for ${d.expected}, the head is ${d.generation}; look at the difference and commit again`,
  },
  'name-conflict': {
    title: 'That version is taken',
    detail: (d) =>
      `${d.name} ${d.version} in channel ${d.channel} is bound to ${d.bound} for ever and cannot become ${d.offered}; publish the new bytes under a new version`,
  },
  conflict: {
    title: 'The stage conflicts with what was committed since',
    detail: (d) =>
      `${d.total} changes collide with newer ones; abort this stage, look at the list, and stage again on the head`,
  },
  'channel-frozen': {
    title: 'The channel is frozen',
    detail: (d) => `channel ${d.channel} takes no changes until it is unfrozen`,
  },
  'blob-missing': {
    title: 'Blobs are missing',
    detail: (d) =>
      `${d.total} blobs that manifests of this stage name are not in the depot; upload them and commit again`,
  },
  'idempotency-mismatch': {
    title: 'The key was used for another request',
    detail: (d) =>
      `Idempotency-Key "${d.key}" came with a different body before; use a new key for a new request`,
  },
  'digest-mismatch': {
    title: 'The bytes are not what was declared',
    detail: (d) => `${d.expected} was declared, ${d.found} came; nothing was kept, send the bytes again`,
  },
  'offset-mismatch': {
    title: 'The upload continues somewhere else',
    detail: (d) =>
      `${d.expected} bytes are here, the request continues at ${d.offered}; ask with HEAD and go on from Upload-Offset`,
  },
  'upload-busy': {
    title: 'Another request is sending these bytes',
    detail: (d) =>
      `an upload of ${d.digest} to this stage is under way; wait for it, or go on when it has ended`,
  },
  'upload-too-slow': {
    title: 'The upload is too slow',
    detail: (d) =>
      `${d.found} bytes came in ${d.seconds} s and at least ${d.least} are asked for; what came is kept, ask with HEAD and go on from Upload-Offset`,
  },

  // What a client sent.
  'bad-request': {
    title: 'The request is malformed',
    detail: (d) => d.reason,
  },
  'path-invalid': {
    title: 'The path is not allowed',
    detail: (d) => `"${d.path}" ${d.reason}; paths in a release are relative, normalised, and use / alone`,
  },
  'name-invalid': {
    title: 'The name is not allowed',
    detail: (d) => `"${d.name}" ${d.reason}`,
  },
  'version-invalid': {
    title: 'The version is not allowed',
    detail: (d) => `"${d.version}" ${d.reason}`,
  },
  'manifest-invalid': {
    title: 'The manifest is not valid',
    detail: (d) => d.reason,
  },
  'limit-exceeded': {
    title: 'A limit was exceeded',
    detail: (d) =>
      `${d.what}: ${d.found === undefined ? '' : `${d.found}, and `}at most ${d.limit} are allowed`,
  },
  'headers-too-large': {
    title: 'The headers are too large',
    detail: (d) => `the request line and headers together may have ${d.limit} bytes`,
  },
  'method-not-allowed': {
    title: 'The method is not allowed here',
    detail: (d) => `${d.method} is not allowed here; allowed: ${d.allowed}`,
  },
  'unsupported-media-type': {
    title: 'The body has a type that is not understood here',
    detail: (d) => `the body is ${d.mediaType}; send ${d.expected}`,
  },
  'unsupported-content-encoding': {
    title: 'The body is encoded in a way that is not understood here',
    detail: (d) =>
      `the body is encoded as "${d.encoding}"; send its bytes as they are, without Content-Encoding`,
  },
  'unsupported-transfer-encoding': {
    title: 'The transfer coding is not understood here',
    detail: (d) =>
      `the body comes as "${d.encoding}"; send it with Content-Length, or with Transfer-Encoding: chunked alone`,
  },
  'range-not-satisfiable': {
    title: 'The range lies outside of the bytes',
    detail: (d) => `there are ${d.size} bytes; ask for a range within them`,
  },
  'request-timeout': {
    title: 'The request took too long to arrive',
    detail: () => 'send the request again, and the rest of its bytes sooner',
  },
  unauthorised: {
    title: 'A token is needed',
    detail: (d) => `${d.reason}; send Authorization: Bearer <token> with a token of this depot`,
  },
  forbidden: {
    title: 'The token may not do this',
    detail: (d) => `the token lacks the scope ${d.scope}; ask the depot's operator for one that has it`,
  },
  'rate-limited': {
    title: 'Too many requests',
    detail: (d) => `wait ${Math.ceil(d.retryAfterMs / 1000)} s, then try again`,
  },
  'quota-exceeded': {
    title: 'The quota of this token is used up',
    detail: (d) =>
      `${d.used} of ${d.quota} bytes are used and ${d.offered} more were offered; ask the depot's operator for room`,
  },

  // The machine below.
  'disk-full': {
    title: 'The disk is full',
    detail: (d) =>
      d.inodes === undefined
        ? `${d.free} bytes are free and ${d.needed} are needed; nothing was lost, free some room and send it again`
        : `the file system has ${d.inodes.free} inodes left and keeps ${d.inodes.reserve} in reserve; nothing was lost, remove some files and send it again`,
  },
  'data-newer': {
    title: 'The data folder is from a newer depot',
    detail: (d) =>
      `${d.folder} has format ${d.found} and this program knows up to ${d.known}; start a newer depot`,
  },
  'data-locked': {
    title: 'Another process uses the data folder',
    detail: (d) =>
      `a depot is already running on ${d.folder}; stop it first, or choose another folder with --data`,
  },
  'data-unusable': {
    title: 'The data folder cannot be used',
    detail: (d) => `${d.folder}: ${d.reason}`,
  },
  'address-unusable': {
    title: 'The depot cannot listen there',
    detail: (d) => `${d.address}: ${d.reason}; choose another address with --listen, or stop who has it`,
  },
  'answer-invalid': {
    title: 'The answer makes no sense',
    detail: (d) =>
      `${d.url} answered ${d.reason}; is this the address of a depot, and is a proxy in front changing answers?`,
  },
  'depot-unreachable': {
    title: 'The depot cannot be reached',
    detail: (d) => `${d.url}: ${d.reason}; check the address and that depot serve is running`,
  },
  internal: {
    title: 'The depot has a bug',
    detail: (d) => `this should not happen; please report it with the log lines of request ${d.instance}`,
  },
}
