/**
 * What the tests of the client share: a client of a depot in a still world, folders that vanish, failures by code.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { DepotClient, type DepotClientOptions } from '../../src/client/depot-client.ts'
import { DepotError } from '../../src/model/errors.ts'
import type { ErrorCode } from '../../src/model/failures.ts'
import { countingRandom, type StillClock, stillClock } from '../wire/still-world.ts'

export interface World {
  readonly client: DepotClient
  readonly clock: StillClock
}

export function clientOf({ url }: { readonly url: string }, more: Partial<DepotClientOptions> = {}): World {
  const clock = stillClock()
  return { clock, client: new DepotClient({ url, clock, random: countingRandom(), ...more }) }
}

export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string
}

export async function temporaryFolder(): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(tmpdir(), 'depot-client-'))
  return { path, [Symbol.asyncDispose]: async () => await rm(path, { recursive: true, force: true }) }
}

export async function expectFailure(work: Promise<unknown>, code: ErrorCode): Promise<DepotError> {
  const error: unknown = await work.then(
    () => undefined,
    (e: unknown) => e,
  )
  expect(error).toBeInstanceOf(DepotError)
  const failed = error as DepotError
  expect(failed.code, failed.message).toBe(code)
  return failed
}
