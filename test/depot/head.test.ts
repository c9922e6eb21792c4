/** Those who wait for the head to move are woken a few at a time, so that nobody else waits for them. */
import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { Head } from '../../src/depot/head.ts'
import type { Generation, LineageId } from '../../src/model/generation.ts'
import { generation } from './a-generation.ts'

const WAITERS = 1_000
/** What an answer to each of so many costs is a few milliseconds. */
const AT_ONCE = 40

const LINEAGE = 'k3x7m2q5wz4a' as LineageId
const FIRST = generation(1, LINEAGE)
const SECOND = generation(2, LINEAGE)

interface Watched {
  readonly head: Head
  /** What those who were woken got, in order. */
  readonly told: (Generation | undefined)[]
}

function watched(): Watched {
  const head = new Head(FIRST)
  const told: (Generation | undefined)[] = []
  for (let count = 0; count < WAITERS; count += 1)
    void head.after(FIRST.gid, 60_000, new AbortController().signal).then((found) => told.push(found))
  return { head, told }
}

/** The most that were woken in one turn of the event loop, once everybody was. */
async function mostAtOnce(told: readonly unknown[]): Promise<number> {
  let most = 0
  for (let before = 0; told.length < WAITERS; before = told.length) {
    await setImmediate()
    most = Math.max(most, told.length - before)
    expect(told.length).toBeGreaterThan(before)
  }
  return most
}

describe('those who wait for the head', () => {
  it('are all woken by a new one, a few in a turn of the event loop', async () => {
    const { head, told } = watched()
    head.move(SECOND)
    expect(await mostAtOnce(told)).toBeLessThanOrEqual(2 * AT_ONCE)
    expect(new Set(told)).toEqual(new Set([SECOND]))
    expect(head.waiting()).toBe(0)
  })

  it('are let go in the same way when the node closes', async () => {
    const { head, told } = watched()
    head.release()
    expect(await mostAtOnce(told)).toBeLessThanOrEqual(2 * AT_ONCE)
    expect(new Set(told)).toEqual(new Set([undefined]))
  })

  it('get the newest one, whichever came while they were woken', async () => {
    const { head, told } = watched()
    const third = generation(3, LINEAGE)
    head.move(SECOND)
    head.move(third)
    await mostAtOnce(told)
    expect(told.at(-1)).toBe(third)
  })
})
