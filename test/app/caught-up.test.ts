/** How long the answer to a write waits for what was written. */
import { describe, expect, it } from 'vitest'
import { caughtUp } from '../../src/app/caught-up.ts'
import { Waiting } from '../../src/depot/waiting.ts'
import type { LineageId } from '../../src/model/generation.ts'
import { generation } from '../depot/a-generation.ts'
import { stillClock } from '../support/still-clock.ts'

const LINEAGE = 'rootaaaaaaaa' as LineageId
const BEFORE = generation(1, LINEAGE)
const WRITTEN = generation(2, LINEAGE)

describe('the answer to a write', () => {
  it('waits for it, and not for what belongs to a stage', async () => {
    let now = BEFORE
    const waits: number[] = []
    const node = {
      changed: async (waitMs: number) => {
        waits.push(waitMs)
        if (waits.length === 2) now = WRITTEN
        await Promise.resolve()
      },
    }
    const head = { now: () => now, isThere: () => true }
    const parts = { node, head, clock: stillClock(), isReleased: () => false }
    await caughtUp(parts, `${WRITTEN.gid};st=staging`)
    expect(waits).toEqual([])
    await caughtUp(parts, WRITTEN.gid)
    expect(waits).toEqual([2_000, 2_000])
  })

  it('does not turn in circles at a node that lets nobody wait any more', async () => {
    const waiting = new Waiting(1)
    let asked = 0
    const node = {
      changed: async (waitMs: number, signal: AbortSignal) => {
        asked += 1
        // Nothing else would ever run again.
        if (asked > 10) throw new Error('asked again and again in one turn of the event loop')
        await waiting.wait(waitMs, signal)
      },
    }
    const head = { now: () => BEFORE, isThere: () => true }
    let isReleased = false
    const answered = caughtUp({ node, head, clock: stillClock(), isReleased: () => isReleased }, WRITTEN.gid)
    isReleased = true
    waiting.release()
    await answered
    expect(asked).toBe(1)
  })
})
