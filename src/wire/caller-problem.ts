/**
 * From a problem document back to the `DepotError` that it was made of (PROTOCOL §6): the code is the last segment of
 * `type`, the details are the members that this code has.
 *
 * The table says of which kind every detail is, so that an error never carries what a stranger made up; a code or a
 * detail without a line here does not compile.
 */
import { DepotError, failure } from '../model/errors.ts'
import type { Conflict, ErrorCode, FailureDetails, Inodes } from '../model/failures.ts'
import type { Answer } from './caller-answer.ts'

type Kind<Value> = Value extends string
  ? 'text'
  : Value extends number
    ? 'number'
    : Value extends boolean
      ? 'flag'
      : Value extends readonly string[]
        ? 'texts'
        : Value extends readonly Conflict[]
          ? 'conflicts'
          : Value extends Inodes
            ? 'inodes'
            : never

type Optional<Value> = `${Kind<Value>}?`

type Shape<Details> = {
  readonly [Member in keyof Details]-?: Record<never, never> extends Pick<Details, Member>
    ? Optional<Required<Details>[Member]>
    : Kind<Details[Member]>
}

const WANTED = { wanted: 'text', generation: 'text', floor: 'flag' } as const
const REASON = { reason: 'text' } as const

const SHAPES: { readonly [Code in ErrorCode]: Shape<FailureDetails[Code]> } = {
  'bad-generation': { text: 'text' },
  'pin-conflict': { url: 'text', header: 'text' },
  'pin-below-floor': { pin: 'text', floor: 'text' },
  'generation-behind': { wanted: 'text', generation: 'text' },
  'generation-unknown': WANTED,
  'generation-lost': { ...WANTED, forkAt: 'number?' },
  'lineage-foreign': WANTED,
  'generation-retired': { wanted: 'text' },
  withdrawn: { wanted: 'text' },
  'head-unconfirmed': { generation: 'text' },
  'hold-limit': { limit: 'number', what: 'text?' },
  'origin-unreachable': REASON,
  'origin-diverged': { generation: 'text', seen: 'text' },
  'origin-unverified': { generation: 'text' },
  'origin-superseded': { generation: 'text', seen: 'text' },
  'backup-damaged': REASON,
  'relay-loop': { via: 'text' },
  'key-untrusted': { pinned: 'text', offered: 'text' },
  'generation-unsigned': { wanted: 'text', pinned: 'text', signers: 'texts' },
  'signature-wrong': { wanted: 'text', key: 'text' },
  'access-unconfirmed': { age: 'number?' },
  'node-id-taken': { id: 'text' },
  booting: {},
  draining: {},
  'not-found': { what: 'text' },
  'blob-unavailable': { digest: 'text' },
  'blob-corrupt': { digest: 'text', reason: 'text' },
  'stage-unknown': { stage: 'text' },
  'stage-expired': { stage: 'text', state: 'text' },
  'stage-changed': { stage: 'text' },
  'base-changed': { expected: 'text', generation: 'text' },
  'name-conflict': { channel: 'text', name: 'text', version: 'text', bound: 'text', offered: 'text' },
  conflict: { conflicts: 'conflicts', total: 'number' },
  'channel-frozen': { channel: 'text' },
  'blob-missing': { missing: 'texts', total: 'number' },
  'idempotency-mismatch': { key: 'text' },
  'digest-mismatch': { expected: 'text', found: 'text' },
  'offset-mismatch': { expected: 'number', offered: 'number' },
  'upload-busy': { digest: 'text' },
  'upload-too-slow': { found: 'number', least: 'number', seconds: 'number' },
  'bad-request': REASON,
  'path-invalid': { path: 'text', reason: 'text' },
  'name-invalid': { name: 'text', reason: 'text' },
  'version-invalid': { version: 'text', reason: 'text' },
  'manifest-invalid': REASON,
  'limit-exceeded': { what: 'text', limit: 'number', found: 'number?' },
  'headers-too-large': { limit: 'number' },
  'method-not-allowed': { method: 'text', allowed: 'text' },
  'unsupported-media-type': { mediaType: 'text', expected: 'text' },
  'unsupported-content-encoding': { encoding: 'text' },
  'unsupported-transfer-encoding': { encoding: 'text' },
  'range-not-satisfiable': { size: 'number' },
  'request-timeout': {},
  unauthorised: REASON,
  forbidden: { scope: 'text' },
  'rate-limited': { retryAfterMs: 'number' },
  'quota-exceeded': { quota: 'number', used: 'number', offered: 'number' },
  'disk-full': { free: 'number', needed: 'number', inodes: 'inodes?' },
  'data-newer': { folder: 'text', found: 'number', known: 'number' },
  'data-locked': { folder: 'text' },
  'data-unusable': { folder: 'text', reason: 'text' },
  'address-unusable': { address: 'text', reason: 'text' },
  'answer-invalid': { url: 'text', reason: 'text' },
  'depot-unreachable': { url: 'text', reason: 'text' },
  internal: { instance: 'text' },
}

const PROBLEM_BYTES = 1_048_576

/** The failure that an answer tells of; where it tells of none that is known here, that it makes no sense. */
export async function readProblem(answer: Answer, secret?: string): Promise<Error> {
  const text = (await answer.bytes(PROBLEM_BYTES)).toString()
  // A depot never repeats a token; something in front that echoes requests might.
  return problemIn(secret === undefined ? text : text.replaceAll(secret, '<token>')) ?? stranger(answer)
}

/** The failure in a problem document, or undefined. */
export function problemIn(text: string): DepotError | undefined {
  const members = membersIn(text)
  const type = members?.['type']
  const code = typeof type === 'string' ? type.slice(type.lastIndexOf('/') + 1) : ''
  if (members === undefined || !isCode(code)) return undefined
  const details: Record<string, unknown> = {}
  for (const [member, kind] of Object.entries(detailsOf(code))) {
    const value = members[member]
    if (value === undefined && kind.endsWith('?')) continue
    if (!isOfKind(value, kind)) return undefined
    details[member] = value
  }
  return new DepotError(code, details)
}

/** A proxy that cannot reach the depot says so in its own words; everything else is an answer of no depot. */
function stranger({ url, status, headers }: Answer): Error {
  const type = headers.get('content-type')?.slice(0, 60) ?? 'no type'
  if (status === 502 || status === 503 || status === 504)
    return failure('depot-unreachable', { url, reason: `${status} from something in front of it` })
  return failure('answer-invalid', {
    url,
    reason: `${status} without a problem that is known here (${type})`,
  })
}

/** The names of a code's details, each with its kind; `?` at its end where it may be absent. */
export function detailsOf(code: ErrorCode): Readonly<Record<string, string>> {
  return SHAPES[code]
}

function membersIn(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isCode(text: string): text is ErrorCode {
  return Object.hasOwn(SHAPES, text)
}

function isOfKind(value: unknown, kind: string): boolean {
  switch (kind.replace('?', '')) {
    case 'text':
      return typeof value === 'string'
    case 'number':
      return typeof value === 'number'
    case 'flag':
      return typeof value === 'boolean'
    case 'texts':
      return Array.isArray(value) && value.every((item) => typeof item === 'string')
    case 'inodes':
      return isObject(value) && typeof value['free'] === 'number' && typeof value['reserve'] === 'number'
    default:
      return Array.isArray(value) && value.every(isConflict)
  }
}

function isConflict(value: unknown): boolean {
  if (!isObject(value)) return false
  const { channel, name, version, reason } = value
  const optional = [name, version].every((text) => text === undefined || typeof text === 'string')
  return optional && typeof channel === 'string' && typeof reason === 'string'
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
