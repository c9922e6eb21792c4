/**
 * What is derived is a table of bytes that can be dropped.
 */
import { describe, expect, it } from 'vitest'
import { openMemoryStore } from '../../src/pool/memory-pool.ts'
import type { Derived } from '../../src/pool/pool.ts'
import { realClock } from '../support/real-world.ts'
import { someBytes } from './bytes.ts'
import { StoreAtHand } from './disk-store.ts'

interface DerivedAtHand extends AsyncDisposable {
  readonly derived: Derived
}

describe.each([
  ['on disk', onDisk],
  ['in memory', inMemory],
] as const)('what is derived, %s', (_name, open) => {
  it('is found under its key, and the last put counts', async () => {
    await using hand = await open()
    const { derived } = hand
    const keys = [Buffer.of(0), Buffer.of(1), Buffer.alloc(1_978, 7), Buffer.from('a\0b')]
    await derived.put([])
    await derived.put(keys.map((key, at) => [key, someBytes(at * 1_000)]))
    await derived.put([[Buffer.of(1), someBytes(3)]])
    expect(keys.map((key) => derived.get(key)?.length)).toEqual([0, 3, 2_000, 3_000])
    expect(derived.get(Buffer.of(2))).toBeUndefined()
    const copy = derived.get(Buffer.of(1))
    copy?.fill(0)
    expect(derived.get(Buffer.of(1))).toEqual(someBytes(3))
  })

  it('is gone when it is cleared, and can be put again', async () => {
    await using hand = await open()
    const rows = Array.from(
      { length: 3_000 },
      (_, at) => [Buffer.from(`key ${at}`), someBytes(20, at)] as const,
    )
    await hand.derived.put(rows)
    await hand.derived.clear()
    expect(hand.derived.get(Buffer.from('key 7'))).toBeUndefined()
    await hand.derived.put(rows)
    expect(hand.derived.get(Buffer.from('key 7'))).toEqual(someBytes(20, 7))
  })
})

async function onDisk(): Promise<DerivedAtHand> {
  const hand = await StoreAtHand.open()
  return { derived: hand.store.derived, [Symbol.asyncDispose]: async () => await hand[Symbol.asyncDispose]() }
}

async function inMemory(): Promise<DerivedAtHand> {
  return { derived: openMemoryStore(realClock).derived, [Symbol.asyncDispose]: async () => undefined }
}
