/**
 * Where a depot is copied from: the folder of one that does not run, or one that runs, over its own API, which goes on
 * committing and serving meanwhile.
 */
import { failure, isFailure } from '../../model/errors.ts'
import { standingsOf } from '../../model/keys/ring.ts'
import { LIMITS } from '../../model/limits.ts'
import { adoptable } from '../../replica/follow-access.ts'
import { HttpUpstream } from '../../replica/http-upstream.ts'
import { StoredUpstream } from '../../replica/lineage/stored-upstream.ts'
import { accessAfter, keysAfter } from '../../replica/origin-calls.ts'
import { sleep } from '../../replica/sleep.ts'
import { Caller, jsonBody } from '../../wire/caller.ts'
import { type KeysBody, keysBodyOf } from '../../wire/keys.ts'
import { PATHS } from '../../wire/paths.ts'
import { NodesBody } from '../../wire/replication.ts'
import { NewTokenBody } from '../../wire/schemas.ts'
import { realClock, realRandom } from '../world.ts'
import type { DepotSource } from './copy-depot.ts'
import type { OpenFolder } from './open-folder.ts'

const NEVER = new AbortController().signal

export function storedSource({ store, ledger }: OpenFolder): DepotSource {
  const { pool, nodes } = store
  const { generations, tokens, notes } = ledger
  return {
    upstream: new StoredUpstream({ pool, nodes, generations, clock: realClock }),
    tokens: async () => await Promise.resolve(tokens.since(undefined)),
    followers: async () => await Promise.resolve(notes.followers()),
    keys: async () => await Promise.resolve(keysOf(ledger)),
  }
}

/** `token` may replicate; `admin` may ask who follows the depot, and without it nobody knows. */
export function runningSource(url: string, token: string, admin: string | undefined): DepotSource {
  const caller = callerOf(url, token)
  return {
    upstream: new HttpUpstream(caller),
    tokens: async (signal) => {
      const change = await accessAfter(caller, undefined, 0, signal)
      if (change === undefined) throw failure('answer-invalid', { url, reason: 'with no tokens at all' })
      return await adoptable(change, realClock)
    },
    followers: async (signal) => {
      if (admin === undefined) return []
      const { nodes } = await callerOf(url, admin).json(NodesBody, { path: PATHS.nodes }, signal)
      return nodes.map(({ id, publicUrl }) => ({ id, ...(publicUrl === undefined ? {} : { publicUrl }) }))
    },
    keys: async (signal) => await keysAt(caller, signal),
  }
}

function keysOf({ ring: store }: Pick<OpenFolder['ledger'], 'ring'>): KeysBody | undefined {
  const ring = store.kept()?.ring
  return ring && keysBodyOf({ ring, edition: '', standings: standingsOf(ring, realClock.now()) })
}

/** Undefined at a depot that has none. */
async function keysAt(caller: Caller, signal: AbortSignal): Promise<KeysBody | undefined> {
  try {
    return await keysAfter(caller, undefined, 0, signal)
  } catch (error) {
    if (isFailure(error, 'not-found')) return undefined
    throw error
  }
}

/** Whether a depot lets a node in by this token. Fails when it does not answer. */
export async function mayReplicate(url: string, token: string, signal: AbortSignal): Promise<boolean> {
  try {
    await new HttpUpstream(callerOf(url, token)).lineages(signal)
    return true
  } catch (error) {
    if (isFailure(error, 'unauthorised') || isFailure(error, 'forbidden')) return false
    throw error
  }
}

/** A token with the scope `replicate`, which that of an administrator has not: only nodes copy a depot. */
export async function newNodeToken(
  url: string,
  admin: string,
  label: string,
  signal: AbortSignal,
): Promise<string> {
  const body = jsonBody({ label, scopes: ['replicate'] })
  const call = { method: 'POST', path: PATHS.tokens, body } as const
  return (await callerOf(url, admin).json(NewTokenBody, call, signal)).token
}

/** For a command, or an origin that asks a replica: nobody else waits, and an answer that takes long is given up. */
export function callerOf(url: string, token: string | undefined): Caller {
  return new Caller({
    url,
    clock: { ...realClock, sleep: async (ms, signal) => await sleep(ms, signal ?? NEVER) },
    random: realRandom,
    ...(token === undefined ? {} : { token }),
    bounds: { patience: LIMITS.upstreamSilenceMs, firstPatience: LIMITS.leaseMs },
  })
}
