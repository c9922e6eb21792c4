/** The list of declared blobs: what is written is read again in either form, and reading lines lets others have a turn. */
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../src/model/digest.ts'
import { LIMITS } from '../../src/model/limits.ts'
import type { DeclaredBlob } from '../../src/wire/bodies.ts'
import { encodeDeclared, readDeclaredJson, readDeclaredLines } from '../../src/wire/declared.ts'
import { MEDIA } from '../../src/wire/headers.ts'
import { stillClock } from '../support/still-clock.ts'

function blobs(count: number): readonly DeclaredBlob[] {
  return Array.from({ length: count }, (_, at) => ({
    digest: digestOf(String(at)),
    size: LIMITS.blobBytes - at,
  }))
}

describe('a list of declared blobs', () => {
  it.each([0, 1, 1_000])('of %d is one JSON value, and short enough for one', (count) => {
    const { type, bytes } = encodeDeclared(blobs(count))
    expect(type).toBe(MEDIA.json)
    expect(bytes.length).toBeLessThanOrEqual(LIMITS.jsonListBytes)
    expect(readDeclaredJson(bytes)).toEqual(blobs(count))
  })

  it('that is longer is lines', async () => {
    const { type, bytes } = encodeDeclared(blobs(1_001))
    expect(type).toBe(MEDIA.ndjson)
    expect(await readDeclaredLines(bytes, stillClock())).toEqual(blobs(1_001))
  })

  it('is written without what else is known of a blob', () => {
    const [blob] = blobs(1)
    expect(readDeclaredJson(encodeDeclared([{ ...blob!, open: 1 } as never]).bytes)).toEqual([blob])
  })

  it('is read in slices when it is lines', async () => {
    const clock = stillClock()
    // Every look at the clock costs a millisecond.
    const ticking = { monotonic: () => (clock.advance(1), clock.monotonic()) }
    let turns = 0
    let isRead = false
    const turn = (): void => {
      turns += 1
      if (!isRead) setImmediate(turn)
    }
    setImmediate(turn)
    const { bytes } = encodeDeclared(blobs(2_000))
    await readDeclaredLines(bytes, ticking)
    isRead = true
    expect(turns).toBeGreaterThan(2_000 / (LIMITS.sliceMs + 2))
  })
})
