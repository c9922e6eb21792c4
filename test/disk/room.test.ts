/**
 * Who is let in when room gets scarce, and how often the file system is asked.
 */
import { describe, expect, it } from 'vitest'
import { DiskRoom, type Free, type Need } from '../../src/disk/room.ts'
import { isFailure } from '../../src/model/errors.ts'
import { LIMITS } from '../../src/model/limits.ts'
import { type StillClock, stillClock } from '../support/still-clock.ts'

const MB = 1_000_000
const RESERVE = LIMITS.diskReserveBytes

interface Ground {
  readonly room: DiskRoom
  readonly clock: StillClock
  free: Free
  inside: number
  measured: number
}

function ground(spareBytes: number, spareFiles = 1_000_000): Ground {
  const clock = stillClock()
  const found: Ground = {
    clock,
    free: { bytes: RESERVE + spareBytes, files: LIMITS.diskReserveInodes + spareFiles },
    inside: 0,
    measured: 0,
    room: new DiskRoom({
      clock,
      measure: async () => {
        found.measured += 1
        return found.free
      },
    }),
  }
  return found
}

/** Whether it was let in, and how. */
async function claim({ room }: Ground, need: Partial<Need>): Promise<'at once' | 'asked' | 'refused'> {
  try {
    const asked = room.claim({ bytes: 0, purpose: 'upload', ...need })
    await asked
    return asked === undefined ? 'at once' : 'asked'
  } catch (error) {
    if (!isFailure(error, 'disk-full')) throw error
    return 'refused'
  }
}

describe('an upload', () => {
  it('leaves the reserve, in bytes and in inodes', async () => {
    expect(await claim(ground(10), { bytes: 10 })).toBe('asked')
    expect(await claim(ground(10), { bytes: 11 })).toBe('refused')
    expect(await claim(ground(10, 1), { bytes: 1, files: 1 })).toBe('asked')
    expect(await claim(ground(10, 0), { bytes: 1, files: 1 })).toBe('refused')
    expect(await claim(ground(10, -500), { bytes: 1 })).toBe('asked')
    await expect(ground(10).room.demand(10)).resolves.toBeUndefined()
    await expect(ground(10).room.demand(11)).rejects.toMatchObject({ code: 'disk-full' })
  })

  it('goes where rows were removed, while half of the reserve is there', async () => {
    const half = ground(-RESERVE / 2)
    half.inside = RESERVE
    expect(await claim(half, { bytes: RESERVE / 2, inside: () => half.inside })).toBe('asked')
    expect(await claim(half, { bytes: RESERVE / 2 + 1, inside: () => half.inside })).toBe('refused')
    expect(await claim(half, { bytes: 1 })).toBe('refused')
    half.free = { ...half.free, bytes: RESERVE / 2 - 1 }
    half.clock.advance(1_000)
    expect(await claim(half, { bytes: 1, inside: () => half.inside })).toBe('refused')
  })
})

describe('a commit', () => {
  it('may take all of the reserve', async () => {
    const full = ground(-RESERVE + 10)
    expect(await claim(full, { bytes: 10, purpose: 'commit' })).toBe('asked')
    expect(await claim(full, { bytes: 11, purpose: 'commit' })).toBe('refused')
    full.inside = 5
    expect(await claim(full, { bytes: 15, inside: () => full.inside, purpose: 'commit' })).toBe('asked')
  })
})

describe('the file system', () => {
  it('is asked once for as long as half of what it promised is not claimed', async () => {
    const found = ground(10 * MB)
    expect(await claim(found, { bytes: MB })).toBe('asked')
    for (let at = 2; at <= 5; at += 1) expect(await claim(found, { bytes: MB })).toBe('at once')
    expect(await claim(found, { bytes: MB })).toBe('asked')
    expect(found.measured).toBe(2)
  })

  it('is asked again after a second', async () => {
    const found = ground(10 * MB)
    await claim(found, { bytes: 1 })
    found.clock.advance(999)
    expect(await claim(found, { bytes: 1 })).toBe('at once')
    found.clock.advance(1)
    expect(await claim(found, { bytes: 1 })).toBe('asked')
  })

  it('is asked once by many who come together, who may not claim more than there is', async () => {
    const found = ground(10)
    const claims = await Promise.all(Array.from({ length: 4 }, async () => await claim(found, { bytes: 4 })))
    expect(claims).toEqual(['asked', 'asked', 'refused', 'refused'])
    expect(found.measured).toBe(1)
  })

  it('is believed again when there is more room', async () => {
    const found = ground(0)
    expect(await claim(found, { bytes: 1 })).toBe('refused')
    found.free = { ...found.free, bytes: RESERVE + 1 }
    expect(await claim(found, { bytes: 1 })).toBe('asked')
  })
})

describe('a failure', () => {
  it.each(['ENOSPC', 'EDQUOT', 28, 122, -30_792])('of code %s means that the disk is full', async (code) => {
    const cause = Object.assign(new Error('failed'), { code })
    const found = await ground(10 * MB).room.explain(cause, 7)
    expect(found).toMatchObject({ code: 'disk-full', details: { needed: 7, free: RESERVE + 10 * MB }, cause })
  })

  it('of code EIO from LMDB means so only below the reserve', async () => {
    const cause = Object.assign(new Error('Input/output error'), { code: 5 })
    expect(await ground(-1).room.explain(cause, 7)).toMatchObject({ code: 'disk-full' })
    expect(await ground(0).room.explain(cause, 7)).toBe(cause)
  })

  it('of any other kind is told as it is', async () => {
    for (const error of [new Error('x'), Object.assign(new Error('x'), { code: 'EACCES' }), 'x', undefined])
      expect(await ground(-1).room.explain(error, 7)).toBe(error)
  })
})
