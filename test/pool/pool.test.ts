/**
 * Every pool there is keeps the promises of `Pool`.
 */
import type { Digest } from '../../src/model/digest.ts'
import { MemoryPool } from '../../src/pool/memory-pool.ts'
import { flipped, StoreAtHand } from './disk-store.ts'
import { everyPool, type PoolAtHand } from './every-pool.ts'

everyPool('a DiskPool', async () => await StoreAtHand.open())

everyPool('a MemoryPool', async (): Promise<PoolAtHand> => {
  const kept = new Map<Digest, Uint8Array>()
  return {
    pool: new MemoryPool(kept),
    restart: async () => undefined,
    damage: async (digest, how) => {
      const bytes = kept.get(digest) ?? Buffer.alloc(0)
      if (how === 'lose') kept.delete(digest)
      else kept.set(digest, how === 'flip' ? flipped(bytes) : bytes.subarray(0, 1_000))
    },
    leftovers: async () => [],
    [Symbol.asyncDispose]: async () => undefined,
  }
})
