/**
 * Whether a request is sent again, when, and where to: decisions only (PROTOCOL §6 and §13).
 *
 * What may be repeated depends on what is known of the first time. A request that never left, or that the depot
 * itself put off, did nothing yet; one whose connection broke, or that something in front of the depot gave up on,
 * may have done its work, so only what is the same when done twice is sent again.
 */
import { isFailure } from '../model/errors.ts'
import type { Random } from '../model/world.ts'
import type { Answer } from './caller-answer.ts'

/** `always`: doing it twice is the same as doing it once. `unsent`: only when it certainly was not done. */
export type Repeat = 'always' | 'unsent'

/** What went wrong: never sent / put off by the depot / broken on the way / given up on in front / a final answer. */
export type Trouble = 'unreached' | 'refused' | 'broken' | 'gateway' | 'final'

const MAY_REPEAT: Readonly<Record<Trouble, Readonly<Record<Repeat, boolean>>>> = {
  unreached: { always: true, unsent: true },
  refused: { always: true, unsent: true },
  broken: { always: true, unsent: false },
  gateway: { always: true, unsent: false },
  final: { always: false, unsent: false },
}

const NEVER_SENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
])
const FIRST_DELAY_MS = 250
const MAXIMUM_DELAY_MS = 5_000
const READING = new Set(['GET', 'HEAD'])
const ANYTHING = new Set(['GET', 'HEAD', 'PUT', 'POST', 'PATCH', 'DELETE'])
/** Which methods follow which redirect. */
const REDIRECTS: Readonly<Record<number, ReadonlySet<string>>> = {
  301: READING,
  302: READING,
  303: READING,
  307: ANYTHING,
  308: ANYTHING,
}

export interface Attempt {
  readonly trouble: Trouble
  readonly repeat: Repeat
  /** How many were made before this one. */
  readonly before: number
  /** Milliseconds since the first one began. */
  readonly elapsed: number
  /** Milliseconds that all of them may take together. */
  readonly patience: number
  /** What the answer asked for. */
  readonly retryAfter?: number | undefined
}

/** Milliseconds until the next attempt; undefined when there shall be none. */
export function waitBeforeNext(attempt: Attempt, random: Random): number | undefined {
  if (!MAY_REPEAT[attempt.trouble][attempt.repeat]) return undefined
  const { retryAfter, before } = attempt
  const wait =
    retryAfter === undefined ? backoff(before, random) : jitter(Math.max(FIRST_DELAY_MS, retryAfter), random)
  return attempt.elapsed + wait > attempt.patience ? undefined : wait
}

/** A growing wait: a quarter of a second, half a second, up to five seconds, and up to half as much again. */
export function backoff(before: number, random: Random): number {
  return jitter(Math.min(MAXIMUM_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(before, 10)), random)
}

/** What a connection that failed tells. */
export function troubleOfConnection(error: unknown): Trouble {
  const { cause, code } = error as { cause?: unknown; code?: unknown }
  if (typeof code === 'string' && NEVER_SENT.has(code)) return 'unreached'
  return cause === undefined || cause === null ? 'broken' : troubleOfConnection(cause)
}

/** What an answer that is no success tells. */
export function troubleOfAnswer(status: number, error: Error): Trouble {
  if (status === 429) return 'refused'
  if (status === 408 || status === 502 || status === 504) return 'gateway'
  if (status !== 503) return 'final'
  // Something in front said it, or a replica that lost its origin half-way: neither knows whether it was done.
  return isFailure(error, 'depot-unreachable') || isFailure(error, 'origin-unreachable')
    ? 'gateway'
    : 'refused'
}

/** `Retry-After` in milliseconds: seconds, or a date (RFC 9110 §10.2.3). */
export function retryAfterIn(headers: Headers, now: number): number | undefined {
  const text = headers.get('retry-after')?.trim()
  if (text === undefined || text === '') return undefined
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000
  // oxlint-disable-next-line no-restricted-globals -- the format, not the present
  const epochMs = Date.parse(text)
  return Number.isNaN(epochMs) ? undefined : Math.max(0, epochMs - now)
}

/** Where a redirect leads, if this status is one for this method; null when it leads where nobody should go. */
export function redirectOf(
  answer: Pick<Answer, 'status' | 'headers'>,
  from: URL,
  method: string,
): URL | null | undefined {
  const location = answer.headers.get('location')
  if (REDIRECTS[answer.status]?.has(method) !== true || location === null) return undefined
  const to = URL.parse(location, from.href)
  const allowed = to?.protocol === 'https:' || to?.protocol === from.protocol
  return allowed && to.username === '' && to.password === '' ? to : null
}

function jitter(milliseconds: number, random: Random): number {
  const [high = 0, low = 0] = random.bytes(2)
  return milliseconds * (1 + (high * 256 + low) / 131_072)
}
