/**
 * What a node asks beside what it copies: who may do what, which keys sign, and a heartbeat (PROTOCOL §4, §8). Each takes
 * a caller of its own, for a heartbeat that comes late is better not sent at all.
 */
import { failure } from '../model/errors.ts'
import { LIMITS } from '../model/limits.ts'
import { type Caller, jsonBody } from '../wire/caller.ts'
import type { Answer } from '../wire/caller-answer.ts'
import { KeysBody } from '../wire/keys.ts'
import { readLines } from '../wire/ndjson.ts'
import { heartbeatPath, leavePath, PATHS } from '../wire/paths.ts'
import {
  type AccessHead,
  type AccessToken,
  type HeartbeatRequest,
  type LeaveRequest,
  NodesBody,
  readAccessLine,
} from '../wire/replication.ts'
import { reaching } from './reaching.ts'

export interface AccessChange {
  readonly edition: string
  /** Whether these are all tokens there are, and not only those that were added or revoked. */
  readonly isWhole: boolean
  readonly tokens: readonly AccessToken[]
}

/**
 * What changed after an edition, as soon as something has; undefined when nothing did within `waitMs`. All
 * tokens, at once, without an edition or with one that the origin does not know. Fails with `origin-unreachable`, or with what was answered.
 */
export async function accessAfter(
  caller: Pick<Caller, 'call'>,
  edition: string | undefined,
  waitMs: number,
  signal: AbortSignal,
): Promise<AccessChange | undefined> {
  return await newsAfter(caller, { path: PATHS.access, edition, waitMs, signal }, changeIn)
}

/**
 * The key ring, as soon as it has another edition; undefined when it had none within `waitMs`. At once without an
 * edition. Fails with `not-found` where nothing is signed, with `origin-unreachable`, or with what was answered.
 */
export async function keysAfter(
  caller: Pick<Caller, 'call'>,
  edition: string | undefined,
  waitMs: number,
  signal: AbortSignal,
): Promise<KeysBody | undefined> {
  const ask = { path: PATHS.copiedKeys, edition, waitMs, signal }
  return await newsAfter(caller, ask, async (answer) => await answer.json(KeysBody, LIMITS.keyRingBytes))
}

interface EditionAsk {
  readonly path: string
  readonly edition: string | undefined
  readonly waitMs: number
  readonly signal: AbortSignal
}

/** What has another edition than that, as `read` takes it from the answer; undefined when there was none in time. */
async function newsAfter<News>(
  caller: Pick<Caller, 'call'>,
  { path, edition, waitMs, signal }: EditionAsk,
  read: (answer: Answer) => Promise<News>,
): Promise<News | undefined> {
  const query = edition === undefined ? '' : `?after=${encodeURIComponent(edition)}`
  const headers = { prefer: `wait=${Math.floor(waitMs / 1000)}` }
  return await reaching(async () => {
    const answer = await caller.call({ path: path + query, headers, expect: [304] }, signal)
    if (answer.status !== 304) return await read(answer)
    await answer.discard()
    return undefined
  })
}

/** Tells how this node is. The head, and the other nodes. Fails with `origin-unreachable`, or with what was answered. */
export async function sendHeartbeat(
  caller: Pick<Caller, 'call'>,
  id: string,
  report: HeartbeatRequest,
  signal: AbortSignal,
): Promise<NodesBody> {
  const call = { method: 'POST', path: heartbeatPath(id), body: jsonBody(report) } as const
  return await reaching(async () => await (await caller.call(call, signal)).json(NodesBody))
}

/** Tells that this process of a node follows no more. Fails with `origin-unreachable`, or with what was answered. */
export async function sendLeave(
  caller: Pick<Caller, 'done'>,
  id: string,
  leaving: LeaveRequest,
  signal: AbortSignal,
): Promise<void> {
  // Who has left twice has left.
  const call = { method: 'POST', path: leavePath(id), body: jsonBody(leaving), repeat: 'always' } as const
  await reaching(async () => await caller.done(call, signal))
}

async function changeIn(answer: Answer): Promise<AccessChange> {
  const bounds = { url: answer.url, lineBytes: LIMITS.replicationLineBytes }
  let head: AccessHead | undefined
  const tokens: AccessToken[] = []
  for await (const line of readLines(answer.chunks(), readAccessLine, bounds)) {
    if ('edition' in line) {
      if (head !== undefined) throw answer.invalid('two editions at once')
      head = line
    } else tokens.push(line)
    if (tokens.length > LIMITS.tokens)
      throw failure('limit-exceeded', { what: 'tokens of the origin', limit: LIMITS.tokens })
  }
  if (head === undefined) throw answer.invalid('tokens without their edition')
  return { edition: head.edition, isWhole: head.whole, tokens }
}
