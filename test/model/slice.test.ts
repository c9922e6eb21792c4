/** Slices of long work, on a clock that moves only when it is told to. */
import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/model/limits.ts'
import { slices } from '../../src/model/slice.ts'

describe('long work', () => {
  it('goes on without a pause until its slice has lasted long enough', () => {
    let now = 1000
    const work = slices({ monotonic: () => now })
    expect(work.breathe()).toBeUndefined()
    now += LIMITS.sliceMs - 0.001
    expect(work.breathe()).toBeUndefined()
  })

  it('lets others have their turn, then begins a new slice', async () => {
    let now = 1000
    const turns: string[] = []
    const work = slices({ monotonic: () => now })
    now += LIMITS.sliceMs
    const others = setImmediate().then(() => turns.push('others'))
    const pause = work.breathe()
    expect(pause).toBeInstanceOf(Promise)
    await pause
    turns.push('work')
    await others
    expect(turns).toEqual(['others', 'work'])
    expect(work.breathe()).toBeUndefined()
    now += LIMITS.sliceMs
    expect(work.breathe()).toBeInstanceOf(Promise)
  })
})
