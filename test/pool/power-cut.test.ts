/**
 * The power is cut at every step of what writes: afterwards the blob is here, whole, or is not here (P4, U3).
 */
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../src/model/digest.ts'
import { LIMITS } from '../../src/model/limits.ts'
import { CuttableFiles, PowerCut } from '../disk/power.ts'
import { collected, inPieces, listed, someBytes } from './bytes.ts'
import { StoreAtHand } from './disk-store.ts'

const BYTES = someBytes(200_000)
const STORED = { digest: digestOf(BYTES), size: BYTES.length }

/** What a power cut before each step leaves, until there are no more steps. */
async function outcomesOf(
  prepare: (hand: StoreAtHand) => Promise<void>,
  work: (hand: StoreAtHand) => Promise<unknown>,
): Promise<readonly string[]> {
  const outcomes: string[] = []
  for (let step = 1; outcomes.at(-1) !== 'survived'; step += 1) {
    const files = new CuttableFiles()
    await using hand = await StoreAtHand.open(files)
    await prepare(hand)
    files.cutBefore(step)
    const survived = await work(hand).then(() => true, unlessCut)
    files.cutBefore(Number.POSITIVE_INFINITY)
    await hand.restart()
    outcomes.push(survived ? 'survived' : (await isWhole(hand)) ? 'whole' : 'nothing')
    await expect(hand.pool.put(inPieces(BYTES, 1_000))).resolves.toEqual(STORED)
    expect(await isWhole(hand)).toBe(true)
    expect(await listed(hand.pool.list())).toEqual([STORED])
    expect((await hand.leftovers()).filter((name) => name.startsWith('put_'))).toEqual([])
  }
  return outcomes
}

async function isWhole({ pool }: StoreAtHand): Promise<boolean> {
  const blob = await pool.open(STORED.digest)
  return blob !== undefined && (await collected(blob.read())).equals(BYTES)
}

function unlessCut(error: unknown): boolean {
  if (!(error instanceof PowerCut)) throw error
  return false
}

describe('a power cut', () => {
  it('at any step of put keeps the whole blob or nothing of it (P4)', async () => {
    const outcomes = await outcomesOf(
      async () => undefined,
      async ({ pool }) => await pool.put(inPieces(BYTES, 100_000)),
    )
    expect(outcomes).toEqual([...Array.from({ length: 11 }, () => 'nothing'), 'whole', 'whole', 'survived'])
  })

  it('at any step of finish keeps the whole blob or nothing of it, and the upload can go on (U3)', async () => {
    const outcomes = await outcomesOf(
      async ({ store }) => void (await store.incoming.append('a', 0, inPieces(BYTES), LIMITS.blobBytes)),
      async ({ store }) => await store.incoming.finish('a', STORED),
    )
    expect(outcomes).toEqual([...Array.from({ length: 8 }, () => 'nothing'), 'whole', 'whole', 'survived'])
  })

  it('at any step of finish lets the same finish succeed afterwards', async () => {
    for (let step = 1, survived = false; !survived; step += 1) {
      const files = new CuttableFiles()
      await using hand = await StoreAtHand.open(files)
      await hand.store.incoming.append('a', 0, inPieces(BYTES), LIMITS.blobBytes)
      files.cutBefore(step)
      survived = await hand.store.incoming.finish('a', STORED).then(() => true, unlessCut)
      files.cutBefore(Number.POSITIVE_INFINITY)
      await hand.restart()
      await expect(hand.store.incoming.finish('a', STORED)).resolves.toEqual(STORED)
      expect(await isWhole(hand)).toBe(true)
      expect(await hand.leftovers()).toEqual([])
    }
  })

  it('at any step of healing keeps the whole blob or the damaged one', async () => {
    for (let step = 1, survived = false; !survived; step += 1) {
      const files = new CuttableFiles()
      await using hand = await StoreAtHand.open(files)
      await hand.pool.put(BYTES)
      await hand.damage(STORED.digest, 'cut')
      files.cutBefore(step)
      survived = await hand.pool.put(BYTES).then(() => true, unlessCut)
      files.cutBefore(Number.POSITIVE_INFINITY)
      await hand.restart()
      if (survived) expect(await isWhole(hand)).toBe(true)
      await hand.pool.put(BYTES)
      expect(await isWhole(hand)).toBe(true)
      expect(await hand.leftovers()).toEqual([])
    }
  })

  it('at any step of remove keeps the whole blob or nothing of it, and no file that nobody knows', async () => {
    const outcomes = await outcomesOf(
      async ({ pool }) => void (await pool.put(BYTES)),
      async ({ pool }) => await pool.remove([STORED.digest]),
    )
    expect(outcomes).toEqual(['nothing', 'nothing', 'nothing', 'nothing', 'survived'])
  })

  it('after the link leaves no file in the pool that nobody knows', async () => {
    const files = new CuttableFiles()
    await using hand = await StoreAtHand.open(files)
    files.cutBefore(Number.POSITIVE_INFINITY)
    await hand.pool.put(inPieces(someBytes(150_000), 100_000))
    files.cutBefore(files.steps.lastIndexOf('link') + 2)
    await expect(hand.pool.put(inPieces(BYTES, 100_000))).rejects.toThrow(PowerCut)
    expect(files.steps.at(-1)).toBe('link')
    files.cutBefore(Number.POSITIVE_INFINITY)
    await hand.restart()
    await expect(hand.damage(STORED.digest, 'lose')).rejects.toMatchObject({ code: 'ENOENT' })
  })
})
