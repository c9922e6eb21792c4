/**
 * What the doctor asks of the depot: that it can be reached, that its clock and ours agree, that there is a token, and
 * that its head is what its id says.
 */
import type { Client } from '../../client/client.ts'
import { isFailure } from '../../model/errors.ts'
import { type Generation, gidOf } from '../../model/generation.ts'
import { fetchKept } from '../../wire/fetch.ts'
import { HEADERS } from '../../wire/headers.ts'
import { PATHS } from '../../wire/paths.ts'
import { connect, findToken } from '../connection.ts'
import type { DepotOptions } from '../options.ts'
import { type Shell, UsageError } from '../shell.ts'
import type { Finding } from './doctor.ts'

const PATIENCE_MS = 10_000
/** `Date` has whole seconds, and the answer took its time. */
const SKEW_WARN_MS = 5_000
const SKEW_FAIL_MS = 300_000

export async function checkDepot(shell: Shell, options: DepotOptions, url: URL): Promise<Finding[]> {
  const address: Finding = { check: 'address', state: 'ok', detail: url.href }
  const token = await findToken(shell, options)
  const signal = AbortSignal.any([shell.signal, AbortSignal.timeout(PATIENCE_MS)])
  try {
    const ready = await ask(url, PATHS.readyz, signal)
    const findings = [address, checkReady(ready), checkClock(ready, shell.clock.now())]
    return [...findings, ...(await checkAsClient(shell, options, token, signal))]
  } catch (error) {
    shell.signal.throwIfAborted()
    if (error instanceof UsageError) throw error
    const detail = `nothing answers (${reasonOf(error)}); is depot serve running there?`
    return [address, { check: 'depot', state: 'fail', detail }, untriedToken(token)]
  }
}

async function checkAsClient(
  shell: Shell,
  options: DepotOptions,
  token: string | undefined,
  signal: AbortSignal,
): Promise<Finding[]> {
  try {
    const client = await connect(shell, options)
    const found = token === undefined ? untriedToken(token) : await checkToken(client, signal)
    return [found, await checkHead(client, signal)]
  } catch (error) {
    // What stands in DEPOT_TOKEN cannot even be sent.
    if (!isFailure(error, 'bad-request')) throw error
    return [{ check: 'token', state: 'fail', detail: error.message }]
  }
}

async function ask(url: URL, path: string, signal: AbortSignal): Promise<Response> {
  const answer = await fetchKept(new URL(url.href.replace(/\/+$/, '') + path), { signal, redirect: 'manual' })
  await answer.body?.cancel()
  return answer
}

function checkReady(answer: Response): Finding {
  const check = 'depot'
  if (!answer.headers.has(HEADERS.generation))
    return { check, state: 'fail', detail: `something answers ${answer.status} there, and it is no depot` }
  if (answer.ok)
    return { check, state: 'ok', detail: `ready, ${answer.headers.get(HEADERS.node) ?? 'one node'}` }
  return { check, state: 'warn', detail: `answers ${answer.status}: it is starting, stopping or behind` }
}

function checkClock(answer: Response, nowMs: number): Finding {
  const check = 'clock'
  const text = answer.headers.get('date')
  // oxlint-disable-next-line no-restricted-globals -- the format, not the present
  const theirs = text === null ? Number.NaN : Date.parse(text)
  if (Number.isNaN(theirs)) return { check, state: 'warn', detail: 'the depot does not tell its time' }
  const skew = Math.abs(nowMs - theirs)
  const seconds = Math.round(skew / 1_000)
  if (skew < SKEW_WARN_MS)
    return { check, state: 'ok', detail: `within ${Math.max(1, seconds)} s of the depot's` }
  const detail = `${seconds} s from the depot's; let both keep time with NTP, or times in the log mislead`
  return { check, state: skew < SKEW_FAIL_MS ? 'warn' : 'fail', detail }
}

function untriedToken(token: string | undefined): Finding {
  const check = 'token'
  if (token === undefined)
    return { check, state: 'warn', detail: 'none: DEPOT_TOKEN is not set, so this user can only read' }
  return { check, state: 'ok', detail: 'there is one, which could not be tried' }
}

/** Asks what every token may ask, and nobody without one. */
async function checkToken(client: Client, signal: AbortSignal): Promise<Finding> {
  const check = 'token'
  try {
    await client.stages(signal)
  } catch (error) {
    if (isFailure(error, 'unauthorised')) return { check, state: 'fail', detail: error.message }
    if (!isFailure(error, 'forbidden')) return { check, state: 'warn', detail: reasonOf(error) }
  }
  return { check, state: 'ok', detail: 'the depot takes it' }
}

async function checkHead(client: Client, signal: AbortSignal): Promise<Finding> {
  const check = 'head'
  try {
    const head = await client.head(signal)
    return isWhatItSays(head)
      ? { check, state: 'ok', detail: `${head.gid}, and its record is what that id names` }
      : { check, state: 'fail', detail: `${head.gid} came with the record of another generation` }
  } catch (error) {
    return { check, state: 'fail', detail: reasonOf(error) }
  }
}

/** The SDK checks this as well; a doctor does not take anybody's word. */
function isWhatItSays({ gid, record }: Generation): boolean {
  return gidOf(record) === gid
}

/** `fetch` says "fetch failed" and keeps the reason in `cause`. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? reasonOf(error.cause) : error.message
}
