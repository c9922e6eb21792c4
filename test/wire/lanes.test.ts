import { setTimeout } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { inParallel } from '../../src/wire/lanes.ts'

describe('many things in parallel', () => {
  it('are all done, never more than a few at once', async () => {
    let running = 0
    let most = 0
    const done: number[] = []
    await inParallel([1, 2, 3, 4, 5, 6, 7], 3, async (item) => {
      running += 1
      most = Math.max(most, running)
      await setTimeout(2)
      running -= 1
      done.push(item)
    })
    expect(done.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7])
    expect(most).toBe(3)
  })

  it('end together when one fails, with its failure, and start no more', async () => {
    const fault = new Error('the second')
    const ended: number[] = []
    const work = inParallel([1, 2, 3, 4], 2, async (item, signal) => {
      if (item === 2) throw fault
      await setTimeout(1_000, undefined, { signal }).catch(() => undefined)
      ended.push(item)
    })
    await expect(work).rejects.toBe(fault)
    expect(ended).toEqual([1])
  })

  it('end when somebody aborts, with his reason', async () => {
    const reason = new Error('enough')
    const stop = new AbortController()
    const work = inParallel([1, 2, 3], 1, async () => await Promise.resolve(stop.abort(reason)), stop.signal)
    await expect(work).rejects.toBe(reason)
  })
})
