/** A floor whose disk refuses: it counts for as long as the process lives, and that it is not kept is told once. */
import { describe, expect, it } from 'vitest'
import type { FloorStore } from '../../src/client/floor.ts'
import { LenientFloor } from '../../src/client/floor.ts'
import { failure } from '../../src/model/errors.ts'
import type { Gid } from '../../src/model/generation.ts'
import { expectFailure } from './world.ts'

const FIRST = 'g41.k3x7m2q5wz4a.9f3ab2c41d07e655' as Gid
const SECOND = 'g42.k3x7m2q5wz4a.9f3ab2c41d07e656' as Gid
const THIRD = 'g43.k3x7m2q5wz4a.9f3ab2c41d07e657' as Gid

/** What the system says of a file system that takes nothing. */
function readOnly(): Error {
  const cause = Object.assign(new Error('EROFS: read-only file system'), { code: 'EROFS', syscall: 'mkdir' })
  return failure('data-unusable', { folder: '/home', reason: cause.message }, { cause })
}

/** Has a floor, and refuses what it is told to. */
function refusing(error: Error, { reads }: { readonly reads: boolean }): FloorStore {
  return {
    read: async () => {
      if (!reads) throw error
      return await Promise.resolve(FIRST)
    },
    replace: async () => await Promise.reject(error),
  }
}

describe('a floor that cannot be kept', () => {
  it('counts on from what was read, and is told of once', async () => {
    const told: string[] = []
    const floor = new LenientFloor(refusing(readOnly(), { reads: true }), ({ code }) => told.push(code))
    expect(await floor.read()).toBe(FIRST)
    expect(told).toEqual([])
    // Of two who replace it at once, one does.
    expect(await Promise.all([floor.replace(FIRST, SECOND), floor.replace(FIRST, THIRD)])).toEqual([
      true,
      false,
    ])
    expect(await floor.read()).toBe(SECOND)
    expect(await floor.replace(SECOND, THIRD)).toBe(true)
    expect([await floor.read(), told]).toEqual([THIRD, ['data-unusable']])
  })

  it('is none where not even that can be read', async () => {
    const told: string[] = []
    const floor = new LenientFloor(refusing(readOnly(), { reads: false }), ({ code }) => told.push(code))
    expect(await floor.read()).toBeUndefined()
    expect(await floor.replace(undefined, FIRST)).toBe(true)
    expect([await floor.read(), told]).toEqual([FIRST, ['data-unusable']])
  })

  it('is still a failure when it is there and makes no sense', async () => {
    const strange = failure('data-unusable', { folder: '/home', reason: 'this is not the floor' })
    const floor = new LenientFloor(refusing(strange, { reads: false }), () => {
      throw new Error('nothing is to be told')
    })
    await expectFailure(floor.read(), 'data-unusable')
    await expectFailure(floor.replace(undefined, FIRST), 'data-unusable')
  })
})
