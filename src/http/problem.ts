/**
 * How a failure becomes an HTTP answer: a status for every code (a code without one does not compile), and the body
 * of RFC 9457 with the details of the case as further members.
 */
import { DepotError, failure } from '../model/errors.ts'
import type { ErrorCode } from '../model/failures.ts'
import { LIMITS } from '../model/limits.ts'
import { problemType } from '../wire/paths.ts'

/** A floor that cannot be met is the client's decision (412); a pin that is unknown is just not there (PROTOCOL §6). */
const FLOOR_STATUS = 412

const STATUS: Readonly<Record<ErrorCode, number>> = {
  'bad-generation': 400,
  'pin-conflict': 400,
  'pin-below-floor': 412,
  'generation-behind': 503,
  'generation-unknown': 404,
  'generation-lost': 410,
  'lineage-foreign': 404,
  'generation-retired': 410,
  withdrawn: 410,
  'head-unconfirmed': 503,
  'hold-limit': 503,
  'origin-unreachable': 503,
  'origin-diverged': 409,
  'origin-unverified': 409,
  'origin-superseded': 409,
  'backup-damaged': 500,
  'relay-loop': 508,
  'key-untrusted': 502,
  'generation-unsigned': 502,
  'signature-wrong': 502,
  'access-unconfirmed': 503,
  'node-id-taken': 409,
  booting: 503,
  draining: 503,
  'not-found': 404,
  'blob-unavailable': 503,
  'blob-corrupt': 500,
  'stage-unknown': 404,
  'stage-expired': 410,
  'stage-changed': 409,
  'base-changed': 412,
  'name-conflict': 409,
  conflict: 409,
  'channel-frozen': 409,
  'blob-missing': 422,
  'idempotency-mismatch': 409,
  'digest-mismatch': 400,
  'offset-mismatch': 409,
  'upload-busy': 409,
  'upload-too-slow': 408,
  'bad-request': 400,
  'path-invalid': 422,
  'name-invalid': 422,
  'version-invalid': 422,
  'manifest-invalid': 422,
  'limit-exceeded': 413,
  'headers-too-large': 431,
  'method-not-allowed': 405,
  'unsupported-media-type': 415,
  'unsupported-content-encoding': 415,
  'unsupported-transfer-encoding': 501,
  'range-not-satisfiable': 416,
  'request-timeout': 408,
  unauthorised: 401,
  forbidden: 403,
  'rate-limited': 429,
  'quota-exceeded': 413,
  'disk-full': 507,
  'data-newer': 500,
  'data-locked': 500,
  'data-unusable': 500,
  'address-unusable': 500,
  'answer-invalid': 502,
  'depot-unreachable': 502,
  internal: 500,
}

const RETRY_SECONDS: Readonly<Partial<Record<ErrorCode, number>>> = {
  'generation-behind': 1,
  'head-unconfirmed': 1,
  'blob-unavailable': 1,
  'hold-limit': 2,
  'access-unconfirmed': 2,
  booting: 1,
  draining: 1,
  'origin-unreachable': 5,
  'upload-busy': 1,
}

/** A failure as it goes over the wire. */
export interface Problem {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
  /** Seconds, where trying again makes sense. */
  readonly retryAfter?: number
}

/** `generation` is the gid that the refusal is true for. */
export function problemOf(error: DepotError, instance: string, generation: string): Problem {
  const status = statusOf(error)
  const retryAfter = retryAfterOf(error)
  return {
    status,
    body: {
      generation,
      ...error.details,
      type: problemType(error.code),
      title: error.title,
      status,
      detail: error.message,
      instance,
    },
    ...(retryAfter === undefined ? {} : { retryAfter }),
  }
}

export function statusOf(error: DepotError): number {
  return error.details['floor'] === true ? FLOOR_STATUS : STATUS[error.code]
}

/** The status of a code where there is no case at hand. */
export function statusOfCode(code: ErrorCode): number {
  return STATUS[code]
}

interface FrameworkError {
  readonly code?: unknown
  readonly statusCode?: unknown
  readonly message: string
  readonly validation?: unknown
}

/**
 * What the framework refused, in the words of the depot; anything else that was thrown is a bug. `bodyLimit` is that of
 * the route: the framework does not say which one was exceeded.
 */
export function failureOf(
  error: unknown,
  instance: string,
  bodyLimit: number = LIMITS.jsonBodyBytes,
): DepotError {
  if (error instanceof DepotError) return error
  if (!(error instanceof Error)) return failure('internal', { instance })
  const { code, statusCode, message, validation } = error as FrameworkError
  if (validation !== undefined) return failure('bad-request', { reason: message }, { cause: error })
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return failure('limit-exceeded', { what: 'bytes of the body', limit: bodyLimit })
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE')
    return failure('unsupported-media-type', {
      mediaType: 'of another type',
      expected: 'what the API description says',
    })
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500)
    return failure('bad-request', { reason: message }, { cause: error })
  return failure('internal', { instance }, { cause: error })
}

function retryAfterOf({ code, details }: DepotError): number | undefined {
  const retryAfterMs = details['retryAfterMs']
  if (typeof retryAfterMs === 'number') return Math.max(1, Math.ceil(retryAfterMs / 1000))
  return RETRY_SECONDS[code]
}
