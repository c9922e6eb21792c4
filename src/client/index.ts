/**
 * The front door of the SDK, and the one place where it takes the real clock and the real chance.
 *
 *   const depot = connect({ url: 'https://depot.example.org' })
 *   const session = await depot.session()
 *   for await (const release of session.catalog('stable')) ...
 */
import { randomBytes } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import type { Random } from '../model/world.ts'
import type { WaitingClock } from '../wire/caller.ts'
import type { Client } from './client.ts'
import { DepotClient, type DepotClientOptions } from './depot-client.ts'

export { type Digest, digestOf, isDigest, parseDigest } from '../model/digest.ts'
export { DepotError, isFailure } from '../model/errors.ts'
export type { ErrorCode } from '../model/failures.ts'
export { type Generation, type GenerationRecord, type Gid, isGid, parseGid } from '../model/generation.ts'
export { isKeyId, type KeyId, parseKeyId } from '../model/keys/key.ts'
export type { Manifest, ManifestFile } from '../model/manifest.ts'
export type * from '../wire/bodies.ts'
export type { CallerBounds, WaitingClock } from '../wire/caller.ts'
export type { Fetch } from '../wire/fetch.ts'
export type * from './client.ts'
export { DepotClient, type DepotClientOptions } from './depot-client.ts'
export {
  FileFloor,
  type FileFloorOptions,
  type FloorStore,
  LenientFloor,
  MemoryFloor,
} from './floor.ts'
export type { WhenUnusable } from './kept.ts'
export { FilePins, LenientPins, MemoryPins, type PinStore } from './keys/pins.ts'
export { sourceOfBytes, sourceOfFile } from './stage/sources.ts'

export type ConnectOptions = Omit<DepotClientOptions, 'clock' | 'random'> &
  Partial<Pick<DepotClientOptions, 'clock' | 'random'>>

export const realClock: WaitingClock = {
  // oxlint-disable-next-line no-restricted-globals -- this is where a client gets its clock
  now: () => Date.now(),
  monotonic: () => performance.now(),
  async sleep(milliseconds, signal) {
    try {
      await setTimeout(milliseconds, undefined, signal === undefined ? {} : { signal })
    } catch (error) {
      signal?.throwIfAborted()
      throw error
    }
  },
}

export const realRandom: Random = { bytes: (count) => randomBytes(count) }

/** A depot at this address. Fails with `bad-request` for an address or a token that cannot be one. */
export function connect(options: ConnectOptions): Client {
  return new DepotClient({ clock: realClock, random: realRandom, ...options })
}
