/** A case of every failure. A code without one does not compile, so that tests which visit all codes visit new ones. */
import { type DepotError, failure } from '../../src/model/errors.ts'
import type { ErrorCode, FailureDetails } from '../../src/model/failures.ts'

const GID = 'g42.k3x7m2q5wz4a.9f3ab2c41d07e655'
const OTHER = 'g43.k3x7m2q5wz4a.0b3ab2c41d07e655'
const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`
const wanted = { wanted: OTHER, generation: GID, floor: false }

export const SAMPLES: { readonly [Code in ErrorCode]: FailureDetails[Code] } = {
  'bad-generation': { text: 'g42' },
  'pin-conflict': { url: GID, header: OTHER },
  'pin-below-floor': { pin: GID, floor: OTHER },
  'generation-behind': { wanted: OTHER, generation: GID },
  'generation-unknown': wanted,
  'generation-lost': { ...wanted, forkAt: 40 },
  'lineage-foreign': wanted,
  'generation-retired': { wanted: GID },
  withdrawn: { wanted: GID },
  'head-unconfirmed': { generation: GID },
  'hold-limit': { limit: 512, what: 'places for uploads' },
  'origin-unreachable': { reason: 'connection refused' },
  'origin-diverged': { generation: GID, seen: OTHER },
  'origin-unverified': { generation: GID },
  'origin-superseded': { generation: GID, seen: OTHER },
  'backup-damaged': { reason: 'it has no generation' },
  'relay-loop': { via: 'r1, r2' },
  'key-untrusted': { pinned: `k${'01'.repeat(16)}`, offered: `k${'02'.repeat(16)}` },
  'generation-unsigned': { wanted: GID, pinned: `k${'01'.repeat(16)}`, signers: [`k${'02'.repeat(16)}`] },
  'signature-wrong': { wanted: GID, key: `k${'01'.repeat(16)}` },
  'access-unconfirmed': { age: 61 },
  'node-id-taken': { id: 'r1' },
  booting: {},
  draining: {},
  'not-found': { what: 'channel stable' },
  'blob-unavailable': { digest: DIGEST },
  'blob-corrupt': { digest: DIGEST, reason: '3 bytes instead of 4' },
  'stage-unknown': { stage: 's1' },
  'stage-expired': { stage: 's1', state: 'committed' },
  'stage-changed': { stage: 's1' },
  'base-changed': { expected: GID, generation: OTHER },
  'name-conflict': { channel: 'stable', name: 'zlib', version: '1.0.0', bound: DIGEST, offered: DIGEST },
  conflict: {
    conflicts: [{ channel: 'stable', name: 'zlib', version: '1.0.0', reason: 'changed' }],
    total: 1,
  },
  'channel-frozen': { channel: 'stable' },
  'blob-missing': { missing: [DIGEST], total: 1 },
  'idempotency-mismatch': { key: 'k1' },
  'digest-mismatch': { expected: DIGEST, found: DIGEST },
  'offset-mismatch': { expected: 10, offered: 20 },
  'upload-too-slow': { found: 12, least: 61_440, seconds: 60 },
  'upload-busy': { digest: DIGEST },
  'bad-request': { reason: 'the body is empty' },
  'path-invalid': { path: '../a', reason: 'has a segment "." or ".."' },
  'name-invalid': { name: '../a', reason: 'has a segment "." or ".."' },
  'version-invalid': { version: '1', reason: 'is not a semver version' },
  'manifest-invalid': { reason: 'files must be a list' },
  'limit-exceeded': { what: 'bytes of a manifest', limit: 100 },
  'headers-too-large': { limit: 16_384 },
  'method-not-allowed': { method: 'PUT', allowed: 'GET, HEAD' },
  'unsupported-content-encoding': { encoding: 'gzip' },
  'unsupported-transfer-encoding': { encoding: 'gzip, chunked' },
  'unsupported-media-type': { mediaType: 'text/html', expected: 'application/json' },
  'range-not-satisfiable': { size: 10 },
  'request-timeout': {},
  unauthorised: { reason: 'no token came' },
  forbidden: { scope: 'publish:stable' },
  'rate-limited': { retryAfterMs: 1200 },
  'quota-exceeded': { quota: 100, used: 90, offered: 20 },
  'disk-full': { free: 10, needed: 20 },
  'data-newer': { folder: '/data', found: 2, known: 1 },
  'data-locked': { folder: '/data' },
  'data-unusable': { folder: '/data', reason: 'it is a file' },
  'address-unusable': { address: '127.0.0.1:1', reason: 'in use' },
  'answer-invalid': { url: 'http://depot', reason: 'with HTML' },
  'depot-unreachable': { url: 'http://depot', reason: 'connection refused' },
  internal: { instance: 'req-1' },
}

/** A failure with this code, and the details of its sample. */
export function sampleOf(code: ErrorCode): DepotError {
  return failure(code, SAMPLES[code])
}
