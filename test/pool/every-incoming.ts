/**
 * What every `Incoming` keeps: the promises U1 to U3.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../src/model/digest.ts'
import { LIMITS } from '../../src/model/limits.ts'
import type { Incoming, Pool } from '../../src/pool/pool.ts'
import { collected, inPieces, interrupted, listed, someBytes } from './bytes.ts'

export interface IncomingAtHand extends AsyncDisposable {
  readonly incoming: Incoming
  readonly pool: Pool
  restart(): Promise<void>
}

const PLENTY = LIMITS.blobBytes

export function everyIncoming(name: string, open: () => Promise<IncomingAtHand>): void {
  describe(name, () => {
    it('makes the blob of any parts, through restarts (U1, U2, U3)', async () => {
      await using hand = await open()
      const sizes = fc.oneof(fc.nat(100), fc.integer({ min: 65_530, max: 65_542 }), fc.nat(300_000))
      const parts = fc.array(fc.record({ at: fc.nat(300_000), restart: fc.boolean() }), { maxLength: 4 })
      await fc.assert(
        fc.asyncProperty(fc.uuid(), sizes, parts, async (id, size, cuts) => {
          const bytes = someBytes(size)
          let offset = 0
          for (const { at, restart } of [...cuts.sort((a, b) => a.at - b.at), { at: size, restart: false }]) {
            const end = Math.max(offset, Math.min(at, size))
            const part = inPieces(bytes.subarray(offset, end), 1_000)
            expect(await hand.incoming.append(id, offset, part, size)).toBe(end)
            expect(await hand.incoming.offset(id)).toBe(end)
            offset = end
            if (restart) await hand.restart()
          }
          const stored = { digest: digestOf(bytes), size }
          expect(await hand.incoming.finish(id, stored)).toEqual(stored)
          expect(await hand.incoming.offset(id)).toBeUndefined()
          expect((await collected((await hand.pool.open(stored.digest))!.read())).equals(bytes)).toBe(true)
        }),
        { numRuns: 25 },
      )
      expect(await listed(hand.incoming.list())).toEqual([])
    })

    it('appends only where the upload has come to (U1)', async () => {
      await using hand = await open()
      const { incoming } = hand
      await incoming.append('a', 0, inPieces(someBytes(100)), 200)
      for (const offset of [0, 99, 101])
        await expect(incoming.append('a', offset, inPieces(someBytes(5)), 200)).rejects.toMatchObject({
          code: 'offset-mismatch',
          details: { expected: 100, offered: offset },
        })
      await expect(incoming.append('b', 1, inPieces(someBytes(5)), 200)).rejects.toMatchObject({
        code: 'offset-mismatch',
      })
      expect([await incoming.offset('a'), await incoming.offset('b')]).toEqual([100, undefined])
    })

    it('keeps what came before the sender went away', async () => {
      await using hand = await open()
      const bytes = someBytes(150_000)
      const [first, second] = [bytes.subarray(0, 90_000), bytes.subarray(90_000)]
      await expect(hand.incoming.append('a', 0, interrupted(first), PLENTY)).rejects.toThrow('went away')
      expect(await hand.incoming.offset('a')).toBe(90_000)
      expect(await hand.incoming.append('a', 90_000, inPieces(second), PLENTY)).toBe(150_000)
      await expect(
        hand.incoming.finish('a', { digest: digestOf(bytes), size: 150_000 }),
      ).resolves.toMatchObject({
        size: 150_000,
      })
    })

    it('is read while it comes, and is nothing when it has ended (U4)', async () => {
      await using hand = await open()
      const { incoming } = hand
      const bytes = someBytes(200_000)
      async function* seen(): AsyncGenerator<Uint8Array> {
        for (let at = 0; at < bytes.length; at += 50_000) {
          yield bytes.subarray(at, at + 50_000)
          const here = (await incoming.offset('a')) ?? 0
          expect(here).toBe(at + 50_000)
          for (const [start, end] of [
            [0, here],
            [at - 10, at + 10],
            [here - 1, here],
            [here, here],
          ] as const) {
            const from = Math.max(0, start)
            const read = await collected(incoming.read('a', from, end))
            expect([from, end, read.equals(bytes.subarray(from, end))]).toEqual([from, end, true])
          }
        }
      }
      await incoming.append('a', 0, seen(), PLENTY)
      expect((await collected(incoming.read('a', 199_990, 300_000))).length).toBe(10)
      await incoming.finish('a', { digest: digestOf(bytes), size: bytes.length })
      expect(await listed(incoming.read('a', 0, 10))).toEqual([])
      expect(await listed(incoming.read('b', 0, 10))).toEqual([])
    })

    it('takes no byte more than the size', async () => {
      await using hand = await open()
      const bytes = someBytes(100)
      const tooMuch = { code: 'limit-exceeded' }
      await expect(hand.incoming.append('a', 0, inPieces(bytes, 60), 80)).rejects.toMatchObject(tooMuch)
      expect(await hand.incoming.offset('a')).toBe(80)
      await expect(hand.incoming.append('a', 80, inPieces(bytes), 80)).rejects.toMatchObject(tooMuch)
      await expect(hand.incoming.append('a', 80, inPieces(bytes), 70)).rejects.toMatchObject(tooMuch)
      await expect(hand.incoming.append('b', 0, inPieces(bytes), PLENTY + 1)).rejects.toMatchObject(tooMuch)
      const stored = { digest: digestOf(bytes.subarray(0, 80)), size: 80 }
      await expect(hand.incoming.finish('a', stored)).resolves.toEqual(stored)
    })

    it('keeps nothing of an upload that is not what was declared (U3)', async () => {
      await using hand = await open()
      for (const size of [100, 100_000]) {
        const bytes = someBytes(size)
        const digest = digestOf(bytes)
        for (const expected of [
          { digest: digestOf('other'), size },
          { digest, size: size + 1 },
        ]) {
          await hand.incoming.append('a', 0, inPieces(bytes), PLENTY)
          await expect(hand.incoming.finish('a', expected)).rejects.toMatchObject({ code: 'digest-mismatch' })
          expect(await hand.incoming.offset('a')).toBeUndefined()
        }
        await expect(hand.pool.open(digest)).resolves.toBeUndefined()
      }
    })

    it('finishes again when the answer got lost, and knows no upload that never was', async () => {
      await using hand = await open()
      const bytes = someBytes(100_000)
      const stored = { digest: digestOf(bytes), size: bytes.length }
      await expect(hand.incoming.finish('a', stored)).rejects.toMatchObject({ code: 'not-found' })
      await hand.incoming.append('a', 0, inPieces(bytes), PLENTY)
      await hand.incoming.append('b', 0, inPieces(bytes), PLENTY)
      await expect(hand.incoming.finish('a', stored)).resolves.toEqual(stored)
      await expect(hand.incoming.finish('a', stored)).resolves.toEqual(stored)
      await expect(hand.incoming.finish('b', stored)).resolves.toEqual(stored)
      expect(await listed(hand.incoming.list())).toEqual([])
    })

    it('has one who appends at a time', async () => {
      await using hand = await open()
      const gate = Promise.withResolvers<void>()
      const taken = Promise.withResolvers<void>()
      async function* slowly(): AsyncGenerator<Uint8Array> {
        yield someBytes(10)
        taken.resolve()
        await gate.promise
        yield someBytes(10)
      }
      const first = hand.incoming.append('a', 0, slowly(), PLENTY)
      await taken.promise
      const busy = { code: 'upload-busy' }
      await expect(hand.incoming.append('a', 0, inPieces(someBytes(1)), PLENTY)).rejects.toMatchObject(busy)
      await expect(hand.incoming.append('a', 10, inPieces(someBytes(1)), PLENTY)).rejects.toMatchObject(busy)
      await expect(hand.incoming.finish('a', { digest: digestOf('x'), size: 1 })).rejects.toMatchObject(busy)
      await expect(hand.incoming.append('b', 0, inPieces(someBytes(1)), PLENTY)).resolves.toBe(1)
      gate.resolve()
      await expect(first).resolves.toBe(20)
      await expect(hand.incoming.append('a', 20, inPieces(someBytes(1)), PLENTY)).resolves.toBe(21)
    })

    it('stops one who appends when the upload is dropped', async () => {
      await using hand = await open()
      async function* dropping(): AsyncGenerator<Uint8Array> {
        yield someBytes(10)
        await hand.incoming.drop('a')
        yield someBytes(10)
      }
      await expect(hand.incoming.append('a', 0, dropping(), PLENTY)).rejects.toMatchObject({
        code: 'not-found',
      })
      expect(await hand.incoming.offset('a')).toBeUndefined()
      await hand.incoming.drop('a')
      await expect(hand.incoming.append('a', 0, inPieces(someBytes(7)), PLENTY)).resolves.toBe(7)
    })

    it('lists what is under way', async () => {
      await using hand = await open()
      await hand.incoming.append('x1-a', 0, inPieces(someBytes(7)), PLENTY)
      await hand.incoming.append('B', 0, inPieces(new Uint8Array()), PLENTY)
      await hand.restart()
      const found = [...(await listed(hand.incoming.list()))].sort((a, b) => a.size - b.size)
      expect(found).toMatchObject([
        { id: 'B', size: 0 },
        { id: 'x1-a', size: 7 },
      ])
      expect(found.every(({ modifiedMs }) => Math.abs(Date.now() - modifiedMs) < 60_000)).toBe(true)
    })

    it.each(['', '..', '../x', 'a/b', 'a.b', 'a_b', 'ä', 'a b', 'a\0', 'x'.repeat(129)])(
      'takes no id that could be a path: %j',
      async (id) => {
        await using hand = await open()
        const bad = { code: 'bad-request' }
        await expect(hand.incoming.append(id, 0, inPieces(someBytes(1)), PLENTY)).rejects.toMatchObject(bad)
        await expect(hand.incoming.offset(id)).rejects.toMatchObject(bad)
        await expect(hand.incoming.drop(id)).rejects.toMatchObject(bad)
        await expect(hand.incoming.finish(id, { digest: digestOf(''), size: 0 })).rejects.toMatchObject(bad)
      },
    )
  })
}
