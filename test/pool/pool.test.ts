/**
 * Every pool there is keeps the promises of `Pool`.
 */
import { describe, expect, it } from 'vitest'
import type { Digest } from '../../src/model/digest.ts'
import { MemoryPool } from '../../src/pool/memory-pool.ts'
import { someBytes } from './bytes.ts'
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

describe('a MemoryPool', () => {
  it('is full when it has as much as it may have, and has room again (P5)', async () => {
    const pool = new MemoryPool(new Map(), 1_000)
    const { digest } = await pool.put(someBytes(900))
    const full = { code: 'disk-full', details: { free: 100 } }
    await expect(pool.put(someBytes(101))).rejects.toMatchObject(full)
    await expect(pool.demand(101)).rejects.toMatchObject(full)
    await expect(pool.put(someBytes(900))).resolves.toMatchObject({ digest })
    await pool.remove([digest])
    await expect(pool.put(someBytes(1_000))).resolves.toMatchObject({ size: 1_000 })
  })
})
