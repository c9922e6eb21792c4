/** Slices of long work, on a clock that moves only when it is told to. */
import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/model/limits.ts'
import { slices } from '../../src/model/slice.ts'

function movingClock(): { readonly monotonic: () => number; readonly move: (ms: number) => void } {
  let now = 1000
  return {
    monotonic: () => now,
    move: (ms) => {
      now += ms
    },
  }
}

describe('long work', () => {
  it('goes on without a pause until its slice has lasted long enough', () => {
    const clock = movingClock()
    const work = slices(clock)
    expect(work.breathe()).toBeUndefined()
    clock.move(LIMITS.sliceMs - 0.001)
    expect(work.breathe()).toBeUndefined()
  })

  it('lets others have their turn, then begins a new slice', async () => {
    const clock = movingClock()
    const turns: string[] = []
    const work = slices(clock)
    expect(work.breathe()).toBeUndefined()
    clock.move(LIMITS.sliceMs)
    const pause = work.breathe()
    expect(pause).toBeInstanceOf(Promise)
    const others = setImmediate().then(() => turns.push('others'))
    await pause
    turns.push('work')
    await others
    expect(turns).toEqual(['work', 'others'])
    expect(work.breathe()).toBeUndefined()
    clock.move(LIMITS.sliceMs)
    expect(work.breathe()).toBeInstanceOf(Promise)
  })

  it('takes one slice of a turn, however many loops there are, and every loop gets its share', async () => {
    const clock = movingClock()
    const rounds = [0, 0, 0, 0, 0]
    let busy = 0
    let longest = 0
    const loops = rounds.map(async (_, loop) => {
      const work = slices(clock)
      while (rounds[loop]! < 40) {
        rounds[loop]! += 1
        clock.move(1)
        busy += 1
        const pause = work.breathe()
        if (pause !== undefined) await pause
      }
    })
    const done = Promise.all(loops).then(() => true)
    const spread: number[] = []
    while (!(await Promise.race([done, setImmediate(false)]))) {
      longest = Math.max(longest, busy)
      busy = 0
      if (Math.max(...rounds) < 40) spread.push(Math.max(...rounds) - Math.min(...rounds))
    }
    // Each loop does at least a round before it asks for the first time.
    expect(longest).toBeLessThanOrEqual(2 * LIMITS.sliceMs + rounds.length)
    expect(Math.max(...spread)).toBeLessThanOrEqual(2 * LIMITS.sliceMs + 1)
  })

  it('begins a slice of its own when nobody has worked for a while', async () => {
    const clock = movingClock()
    expect(slices(clock).breathe()).toBeUndefined()
    await setImmediate()
    await setImmediate()
    clock.move(1_000)
    expect(slices(clock).breathe()).toBeUndefined()
  })
})
