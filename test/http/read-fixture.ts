/**
 * A depot with some history, for the tests of reading: three generations, two channels, a file that is small, one that
 * is large, one that is empty, and one with a type.
 */
import { createHash } from 'node:crypto'
import type { Config } from '../../src/app/config.ts'
import { type Generation } from '../../src/client/index.ts'
import { publish } from '../support/publish.ts'
import { runningDepot, type TestDepot } from '../support/running-depot.ts'
import { type Asking, asking } from './well-formed.ts'

export const SMALL: Buffer = Buffer.from('hello, world\n')
export const LARGE: Buffer = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 31) % 251))

export interface ReadFixture extends AsyncDisposable {
  readonly depot: TestDepot
  readonly ask: Asking
  /** Of 1.0.0 in `stable`; then of 1.1.0 beside it, and of a release in `other`. */
  readonly generations: readonly [Generation, Generation, Generation]
}

/** The files of `hello`, by path. */
export const FILES: Readonly<Record<string, Buffer>> = {
  'small.txt': SMALL,
  'deep/large file é.bin': LARGE,
  empty: Buffer.alloc(0),
}

export async function readFixture(settings: Partial<Config> = {}): Promise<ReadFixture> {
  const depot = await runningDepot(settings)
  const first = await publish(depot.client, { name: 'hello', version: '1.0.0', files: FILES })
  const second = await publish(depot.client, { name: 'hello', version: '1.1.0', files: { a: 'b' } })
  const third = await publish(depot.client, { channel: 'other', name: '@scope/name', version: '0.1.0-rc.1' })
  return {
    depot,
    ask: asking(depot),
    generations: [first, second, third],
    [Symbol.asyncDispose]: async () => await depot[Symbol.asyncDispose](),
  }
}

export function hexOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

export function reprDigestOf(bytes: Uint8Array): string {
  return `sha-256=:${createHash('sha256').update(bytes).digest('base64')}:`
}
