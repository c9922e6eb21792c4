/**
 * What every `Pool` keeps: the promises P1 to P4, one by one. P5 needs a disk that is full: `full-disk.test.ts`.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Digest, digestOf } from '../../src/model/digest.ts'
import { LIMITS } from '../../src/model/limits.ts'
import type { Listing, Pool } from '../../src/pool/pool.ts'
import { collected, digestsOf, inPieces, interrupted, listed, someBytes } from './bytes.ts'

export interface PoolAtHand extends AsyncDisposable {
  readonly pool: Pool & Listing
  /** Ends the process, as far as the pool can tell, and starts it again. */
  restart(): Promise<void>
  /** Damages what is kept; the pool may be another one afterwards. */
  damage(digest: Digest, how: 'flip' | 'cut' | 'lose'): Promise<void>
  /** Names of what is under way, or was left. */
  leftovers(): Promise<readonly string[]>
}

const SMALL = LIMITS.smallBlobBytes
/** Around every bound there is: empty, small, just large, more than the two buffers of a read. */
const SIZES = [0, 1, 50, SMALL - 1, SMALL, SMALL + 1, 1_048_576, 3_500_000]

export function everyPool(name: string, open: () => Promise<PoolAtHand>): void {
  describe(name, () => {
    it.each(SIZES)('keeps %i bytes, durable when put returns (P1)', async (size) => {
      await using hand = await open()
      const bytes = someBytes(size)
      const stored = { digest: digestOf(bytes), size }
      await expect(hand.pool.put(bytes)).resolves.toEqual(stored)
      await hand.restart()
      const blob = await hand.pool.open(stored.digest)
      expect(blob).toMatchObject(stored)
      expect(blob?.bytes === undefined).toBe(size > SMALL)
      expect((await collected(blob!.read())).equals(bytes)).toBe(true)
      await expect(hand.pool.absent([stored])).resolves.toEqual([])
    })

    it('keeps a stream however it is cut (P1, P2)', async () => {
      await using hand = await open()
      const sizes = fc.oneof(fc.nat(200), fc.integer({ min: SMALL - 2, max: SMALL + 2 }), fc.nat(300_000))
      await fc.assert(
        fc.asyncProperty(sizes, fc.array(fc.nat(300_000), { maxLength: 6 }), async (size, cuts) => {
          const bytes = someBytes(size)
          const stored = await hand.pool.put(inPieces(bytes, ...cuts))
          expect(stored).toEqual({ digest: digestOf(bytes), size })
          expect((await collected((await hand.pool.open(stored.digest))!.read())).equals(bytes)).toBe(true)
        }),
        { numRuns: 40 },
      )
    })

    it.each([5_000, 3_500_000])('gives any range of %i bytes', async (size) => {
      await using hand = await open()
      const bytes = someBytes(size)
      const { digest } = await hand.pool.put(bytes)
      const blob = (await hand.pool.open(digest))!
      await fc.assert(
        fc.asyncProperty(fc.nat(size), fc.nat(size + 10), async (a, b) => {
          const [start, end] = a < b ? [a, b] : [b, a]
          expect((await collected(blob.read(start, end))).equals(bytes.subarray(start, end))).toBe(true)
        }),
        {
          numRuns: 30,
          examples: [
            [0, 0],
            [size, size],
            [0, size],
            [size - 1, size + 10],
          ],
        },
      )
    })

    it('lets a reader leave early, and several read at once', async () => {
      await using hand = await open()
      const bytes = someBytes(5_000_000)
      const blob = (await hand.pool.open((await hand.pool.put(bytes)).digest))!
      for await (const piece of blob.read()) {
        expect(piece.length).toBeGreaterThan(0)
        break
      }
      const all = await Promise.all([
        collected(blob.read()),
        collected(blob.read(7)),
        collected(blob.read(0, 9)),
      ])
      expect(all.map((found) => found.length)).toEqual([5_000_000, 4_999_993, 9])
      expect(
        all.every((found, at) => found.equals(bytes.subarray([0, 7, 0][at], [undefined, undefined, 9][at]))),
      ).toBe(true)
    })

    it('keeps many small blobs at once, and tells their digests in order (P1)', async () => {
      await using hand = await open()
      const blobs = Array.from({ length: 2_500 }, (_, at) => someBytes(at % 90, at % 2_000))
      await expect(hand.pool.putAll(blobs, digestsOf(...blobs))).resolves.toEqual(digestsOf(...blobs))
      await hand.restart()
      const stored = blobs.map((bytes) => ({ digest: digestOf(bytes), size: bytes.length }))
      await expect(hand.pool.absent(stored)).resolves.toEqual([])
      await expect(hand.pool.putAll([])).resolves.toEqual([])
    })

    it('keeps nothing of many when one is not what was declared, or too long', async () => {
      await using hand = await open()
      const [a, b] = [someBytes(10), someBytes(20)]
      await expect(hand.pool.putAll([a, b], digestsOf(a, a))).rejects.toMatchObject({
        code: 'digest-mismatch',
      })
      await expect(hand.pool.putAll([a, someBytes(SMALL + 1)])).rejects.toMatchObject({
        code: 'limit-exceeded',
      })
      await expect(hand.pool.open(digestOf(a))).resolves.toBeUndefined()
    })

    it.each([40, 200_000])('keeps nothing of %i bytes that are not what was declared (P4)', async (size) => {
      await using hand = await open()
      const bytes = someBytes(size)
      const other = digestOf('other')
      const wrong = [
        { digest: other },
        { digest: other, size },
        { digest: digestOf(bytes), size: size - 1 },
        { digest: digestOf(bytes), size: size + 1 },
      ]
      for (const expected of wrong) {
        await expect(hand.pool.put(bytes, expected)).rejects.toMatchObject({ code: 'digest-mismatch' })
        await expect(hand.pool.put(inPieces(bytes, 10), expected)).rejects.toMatchObject({
          code: 'digest-mismatch',
        })
      }
      await expect(hand.pool.open(digestOf(bytes))).resolves.toBeUndefined()
      await expect(hand.leftovers()).resolves.toEqual([])
      await expect(hand.pool.put(bytes, { digest: digestOf(bytes), size })).resolves.toMatchObject({ size })
    })

    it('keeps nothing of a stream that breaks off (P4)', async () => {
      await using hand = await open()
      for (const size of [10, 100_000]) {
        const bytes = someBytes(size)
        await expect(hand.pool.put(interrupted(bytes))).rejects.toThrow('the sender went away')
        await expect(hand.pool.open(digestOf(bytes))).resolves.toBeUndefined()
      }
      await expect(hand.leftovers()).resolves.toEqual([])
    })

    it.each([40, 200_000])('takes %i bytes again, and twice at once (P3)', async (size) => {
      await using hand = await open()
      const bytes = someBytes(size)
      const stored = { digest: digestOf(bytes), size }
      const { pool } = hand
      const puts = [
        pool.put(bytes),
        pool.put(inPieces(bytes, 5)),
        pool.put(bytes, stored),
        pool.put(inPieces(bytes)),
      ]
      await expect(Promise.all(puts)).resolves.toEqual([stored, stored, stored, stored])
      await expect(pool.put(inPieces(bytes), stored)).resolves.toEqual(stored)
      await expect(pool.put(bytes)).resolves.toEqual(stored)
      await expect(hand.leftovers()).resolves.toEqual([])
      await expect(listed(pool.list())).resolves.toEqual([stored])
      const wrong = { digest: stored.digest, size: size + 1 }
      await expect(pool.put(inPieces(bytes), wrong)).rejects.toMatchObject({ code: 'digest-mismatch' })
    })

    it('refuses a small blob with a flipped bit, and heals it (P2, P3)', async () => {
      await using hand = await open()
      const bytes = someBytes(2_000)
      const { digest } = await hand.pool.put(bytes)
      await hand.damage(digest, 'flip')
      await expect(hand.pool.open(digest)).rejects.toMatchObject({ code: 'blob-corrupt' })
      await hand.pool.put(bytes)
      expect((await hand.pool.open(digest))?.bytes).toEqual(bytes)
    })

    it.each(['cut', 'lose'] as const)(
      'refuses a large blob after "%s", and heals it (P2, P3)',
      async (how) => {
        await using hand = await open()
        const bytes = someBytes(200_000)
        const stored = await hand.pool.put(bytes)
        await hand.damage(stored.digest, how)
        if (how === 'cut')
          await expect(hand.pool.open(stored.digest)).rejects.toMatchObject({ code: 'blob-corrupt' })
        await expect(hand.pool.absent([stored])).resolves.toEqual([stored.digest])
        await hand.pool.put(inPieces(bytes, 70_000), stored)
        expect((await collected((await hand.pool.open(stored.digest))!.read())).equals(bytes)).toBe(true)
        await expect(hand.leftovers()).resolves.toEqual([])
      },
    )

    it.each([true, false])('heals a large blob with a flipped bit, declared: %s (P3)', async (declared) => {
      await using hand = await open()
      const bytes = someBytes(200_000)
      const stored = await hand.pool.put(bytes)
      await hand.damage(stored.digest, 'flip')
      await hand.pool.put(inPieces(bytes, 70_000), declared ? stored : undefined)
      expect((await collected((await hand.pool.open(stored.digest))!.read())).equals(bytes)).toBe(true)
      await expect(hand.leftovers()).resolves.toEqual([])
    })

    it('tells which are absent, by digest and size, in the order asked', async () => {
      await using hand = await open()
      const [small, large, never] = [someBytes(10), someBytes(100_000), someBytes(30)]
      await Promise.all([hand.pool.put(small), hand.pool.put(large)])
      const [a, b, c] = digestsOf(small, large, never) as [Digest, Digest, Digest]
      const asked = [
        { digest: c, size: 30 },
        { digest: a, size: 10 },
        { digest: b, size: 100_000 },
        { digest: b, size: 100_001 },
        { digest: b, size: 10 },
        { digest: a, size: 100_000 },
      ]
      await expect(hand.pool.absent(asked)).resolves.toEqual([c, b, b, a])
    })

    it('lists everything in the order of digests, from any digest on', async () => {
      await using hand = await open()
      const sizes = [
        ...Array.from({ length: 700 }, (_, at) => at),
        ...Array.from({ length: 12 }, (_, at) => SMALL + 1 + at),
      ]
      const blobs = sizes.map((size) => someBytes(size))
      await Promise.all(blobs.map(async (bytes) => await hand.pool.put(bytes)))
      const stored = blobs
        .map((bytes) => ({ digest: digestOf(bytes), size: bytes.length }))
        .sort((a, b) => (a.digest < b.digest ? -1 : 1))
      await expect(listed(hand.pool.list())).resolves.toEqual(stored)
      await expect(listed(hand.pool.list(stored[99]?.digest))).resolves.toEqual(stored.slice(100))
      await expect(listed(hand.pool.list(stored.at(-1)?.digest))).resolves.toEqual([])
    })

    it('removes small and large ones, and what was never there', async () => {
      await using hand = await open()
      const blobs = [someBytes(10), someBytes(100_000), someBytes(20), someBytes(200_000)]
      for (const bytes of blobs) await hand.pool.put(bytes)
      await hand.pool.remove([...digestsOf(...blobs).slice(0, 2), digestOf('never')])
      await hand.restart()
      const left = await listed(hand.pool.list())
      expect(left.map(({ size }) => size).sort((a, b) => a - b)).toEqual([20, 200_000])
      await expect(hand.pool.open(digestOf(blobs[1]!))).resolves.toBeUndefined()
      await hand.pool.put(blobs[1]!)
      await expect(hand.pool.open(digestOf(blobs[1]!))).resolves.toMatchObject({ size: 100_000 })
    })

    it('keeps what is put while the same is removed', async () => {
      await using hand = await open()
      for (const size of [30, 100_000]) {
        const bytes = someBytes(size)
        const stored = await hand.pool.put(bytes)
        const removed = hand.pool.remove([stored.digest])
        await Promise.all([removed, hand.pool.put(bytes), hand.pool.put(bytes)])
        await expect(hand.pool.absent([stored])).resolves.toEqual([])
        expect((await collected((await hand.pool.open(stored.digest))!.read())).equals(bytes)).toBe(true)
      }
    })
  })
}
