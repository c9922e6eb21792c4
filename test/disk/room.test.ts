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

type Entry = 'at once' | 'asked' | 'refused'

/** Whether it was let in, and how; what is written ends at once. */
async function claim(found: Ground, need: Partial<Need>): Promise<Entry> {
  return await begun(found, need, Promise.resolve()).entry
}

/** A claim whose write ends with `written`. */
function begun(found: Ground, need: Partial<Need>, written: Promise<void>): Begun {
  let isAsking = false
  const entry = Promise.withResolvers<Entry>()
  const work = async (): Promise<void> => {
    entry.resolve(isAsking ? 'asked' : 'at once')
    await written
  }
  const ended = found.room.claim({ bytes: 0, purpose: 'upload', ...need }, work).catch((error: unknown) => {
    if (isFailure(error, 'disk-full')) entry.resolve('refused')
    else entry.reject(error)
  })
  isAsking = true
  return { entry: entry.promise, ended }
}

interface Begun {
  readonly entry: Promise<Entry>
  readonly ended: Promise<void>
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
    expect(await claim(full, { bytes: 11, purpose: 'commit' })).toBe('refused')
    const written = Promise.withResolvers<void>()
    const { entry } = begun(full, { bytes: 10, purpose: 'commit' }, written.promise)
    expect(await entry).toBe('asked')
    full.inside = 5
    const inside = { inside: () => full.inside, purpose: 'commit' } as const
    expect(await claim(full, { bytes: 6, ...inside })).toBe('refused')
    expect(await claim(full, { bytes: 5, ...inside })).toBe('asked')
    written.resolve()
  })
})

describe('what is not written yet', () => {
  it('counts, however often the file system is asked', async () => {
    const found = ground(40 * MB)
    const written = Promise.withResolvers<void>()
    const batches = Array.from({ length: 8 }, () => begun(found, { bytes: 32 * MB }, written.promise))
    const entries = await Promise.all(batches.map(async ({ entry }) => await entry))
    expect(entries).toEqual(['asked', ...Array.from({ length: 7 }, () => 'refused')])
    for (let at = 0; at < 3; at += 1) expect(await claim(found, { bytes: 32 * MB })).toBe('refused')
    await expect(found.room.demand(8 * MB)).resolves.toBeUndefined()
    await expect(found.room.demand(9 * MB)).rejects.toMatchObject({ code: 'disk-full' })
    expect(await claim(found, { bytes: 9 * MB })).toBe('refused')

    found.free = { ...found.free, bytes: RESERVE + 8 * MB }
    written.resolve()
    await Promise.all(batches.map(async ({ ended }) => await ended))
    expect(await claim(found, { bytes: 9 * MB })).toBe('refused')
    expect(await claim(found, { bytes: 8 * MB })).toBe('asked')
  })

  it('when the file system is asked counts until that is asked again', async () => {
    const found = ground(40)
    const written = Promise.withResolvers<void>()
    const first = begun(found, { bytes: 30 }, written.promise)
    await first.entry
    const asked = found.room.demand(1)
    written.resolve()
    await first.ended
    await asked
    found.free = { ...found.free, bytes: RESERVE + 10 }
    expect(await claim(found, { bytes: 4 })).toBe('asked')
    expect(await claim(found, { bytes: 1 })).toBe('at once')
  })

  it('counts no more when it failed and the file system was asked again', async () => {
    const found = ground(10)
    const need = { bytes: 10, purpose: 'upload' } as const
    const broken = found.room.claim(need, async () => await Promise.reject(new Error('broken')))
    await expect(broken).rejects.toThrow('broken')
    expect(await claim(found, { bytes: 10 })).toBe('asked')
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
