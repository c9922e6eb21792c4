/**
 * What a scrub sets aside of a large blob stays only as long as the blob is damaged.
 */
import { readdir } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { nodeFiles } from '../../src/disk/durable.ts'
import { digestOf } from '../../src/model/digest.ts'
import type * as Pieces from '../../src/pool/disk/pieces.ts'
import type { Blob } from '../../src/pool/pool.ts'
import { CuttableFiles, PowerCut } from '../disk/power.ts'
import { collected, inPieces, someBytes } from './bytes.ts'
import { StoreAtHand } from './disk-store.ts'

/** The code with which the next file that is hashed cannot be read. */
const reading = vi.hoisted((): { fails: string | undefined } => ({ fails: undefined }))

vi.mock('../../src/pool/disk/pieces.ts', async (original) => {
  const pieces = await original<typeof Pieces>()
  const hashFile: typeof pieces.hashFile = async (...asked) => {
    const code = reading.fails
    reading.fails = undefined
    if (code === undefined) return await pieces.hashFile(...asked)
    throw Object.assign(new Error(`${code}: somehow`), { code })
  }
  return { ...pieces, hashFile }
})

afterEach(() => {
  reading.fails = undefined
})

const BYTES = someBytes(200_000)
const STORED = { digest: digestOf(BYTES), size: BYTES.length }

/** A store whose only blob was found damaged. */
async function condemned(files = nodeFiles): Promise<StoreAtHand> {
  const hand = await StoreAtHand.open(files)
  await hand.pool.put(BYTES)
  await hand.damage(STORED.digest, 'flip')
  await hand.store.condemn(STORED.digest)
  return hand
}

async function filesOf(hand: StoreAtHand): Promise<readonly string[]> {
  return await readdir(dirname(hand.pathOf(STORED.digest)))
}

/** The blob, or undefined when it is damaged still. */
async function openedIfSound({ pool }: StoreAtHand): Promise<Blob | undefined> {
  try {
    return await pool.open(STORED.digest)
  } catch (error) {
    expect(error).toMatchObject({ code: 'blob-corrupt' })
    return undefined
  }
}

describe('a large blob that was found damaged', () => {
  it('is set aside, and whoever asks for it is told where', async () => {
    await using hand = await condemned()
    const name = `${basename(hand.pathOf(STORED.digest))}.damaged`
    expect(await filesOf(hand)).toEqual([name])
    await expect(hand.pool.open(STORED.digest)).rejects.toMatchObject({
      code: 'blob-corrupt',
      details: { reason: expect.stringContaining(name) as string },
    })
    await hand.restart()
    expect(await filesOf(hand)).toEqual([name])
  })

  it('leaves nothing when it is whole again', async () => {
    await using hand = await condemned()
    await hand.pool.put(inPieces(BYTES, 1_000), STORED)
    expect(await filesOf(hand)).toEqual([basename(hand.pathOf(STORED.digest))])
  })

  it('leaves nothing when it is removed', async () => {
    await using hand = await condemned()
    await hand.pool.remove([STORED.digest])
    expect(await filesOf(hand)).toEqual([])
  })

  it('leaves nothing when the power is cut at any step of healing it, once it is whole', async () => {
    let steps = 0
    for (let survived = false; !survived; steps += 1) {
      const files = new CuttableFiles()
      await using hand = await condemned(files)
      files.cutBefore(steps + 1)
      survived = await hand.pool.put(inPieces(BYTES, 100_000)).then(
        () => true,
        (error: unknown) => {
          if (!(error instanceof PowerCut)) throw error
          return false
        },
      )
      files.cutBefore(Number.POSITIVE_INFINITY)
      await hand.restart()
      const left = await filesOf(hand)
      const blob = await openedIfSound(hand)
      if (blob !== undefined) expect((await collected(blob.read())).equals(BYTES)).toBe(true)
      expect(left).toEqual([`${basename(hand.pathOf(STORED.digest))}${blob === undefined ? '.damaged' : ''}`])
    }
    expect(steps).toBeGreaterThan(8)
  })
})

describe('a large blob that cannot be read at the moment', () => {
  it.each(['EMFILE', 'ENFILE', 'ENOMEM', 'EACCES'])('because of %s is not damaged by that', async (code) => {
    await using hand = await StoreAtHand.open()
    await hand.pool.put(BYTES)
    const name = basename(hand.pathOf(STORED.digest))
    reading.fails = code
    await expect(hand.store.condemn(STORED.digest)).rejects.toMatchObject({ code })
    reading.fails = code
    await expect(hand.pool.put(inPieces(BYTES, 100_000), STORED)).rejects.toMatchObject({ code })
    expect(await filesOf(hand)).toEqual([name])
    await hand.store.condemn(STORED.digest)
    expect((await collected((await hand.pool.open(STORED.digest))!.read())).equals(BYTES)).toBe(true)
  })

  it('because the disk has lost it is damaged', async () => {
    await using hand = await StoreAtHand.open()
    await hand.pool.put(BYTES)
    reading.fails = 'EIO'
    await hand.store.condemn(STORED.digest)
    expect(await openedIfSound(hand)).toBeUndefined()
  })
})
