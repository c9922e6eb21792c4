/**
 * Where a tree is cut: by salt and keys alone.
 */
import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { cutsOf, type KeyHash, keyHasher, parseSalt, startsNode } from '../../src/metaset/boundary.ts'
import { keyOf } from '../../src/metaset/key.ts'
import { NEVER, SALT } from './memory-nodes.ts'

function hashWith(zeros: number): KeyHash {
  const bits = '0'.repeat(zeros).padEnd(256, '1')
  const bytes = bits.match(/.{8}/g)!.map((byte) => Number.parseInt(byte, 2))
  return Buffer.from(bytes).toString('latin1') as KeyHash
}

describe('a key', () => {
  it('is hashed after the salt and a NUL, whatever its length', () => {
    for (const name of ['a', 'é\u{1f600}', 'x'.repeat(5_000)]) {
      const key = keyOf(name, '1.0.0')
      const input = Buffer.concat([Buffer.from(`${SALT}00`, 'hex'), Buffer.from(`${name}\0` + '1.0.0')])
      expect(keyHasher(SALT)(key)).toBe(createHash('sha256').update(input).digest('binary'))
    }
  })

  it('starts a node at level L when its hash begins with 6 * L zero bits', () => {
    for (let zeros = 0; zeros < 60; zeros += 1)
      for (let level = 1; level < 10; level += 1)
        expect(startsNode(hashWith(zeros), level, { bits: 6, most: 512 })).toBe(zeros >= 6 * level)
  })
})

describe('a wide run', () => {
  const hashes = (count: number, of: (at: number) => number): KeyHash[] =>
    Array.from({ length: count }, (_, at) => String(of(at)).padStart(32, '0') as KeyHash)

  it('is cut at the least hash of its middle half', async () => {
    const run = hashes(600, (at) => (at === 200 ? 1 : at === 10 || at === 599 ? 0 : at + 2))
    expect(await cutsOf(run, 512, NEVER)).toEqual([200])
  })

  it('is not cut when a node can hold it', async () => {
    expect(
      await cutsOf(
        hashes(512, (at) => at),
        512,
        NEVER,
      ),
    ).toEqual([])
  })

  it('is cut into parts of 128 to 512, whether hashes rise, fall or are all over the place', async () => {
    const orders = [(at: number) => at, (at: number) => 100_000 - at, (at: number) => (at * 7_919) % 100_003]
    for (const order of orders) {
      const ends = [0, ...(await cutsOf(hashes(100_000, order), 512, NEVER)), 100_000]
      const widths = ends.slice(1).map((end, at) => end - ends[at]!)
      expect(Math.max(...widths)).toBeLessThanOrEqual(512)
      expect(Math.min(...widths)).toBeGreaterThanOrEqual(128)
    }
  })

  it('is cut in slices', async () => {
    let breaths = 0
    const slices = { breathe: () => ((breaths += 1) % 2 === 0 ? Promise.resolve() : undefined) }
    await cutsOf(
      hashes(100_000, (at) => at),
      512,
      slices,
    )
    expect(breaths).toBeGreaterThan(50_000 / 4_096)
  })

  it('never parts nothing off, however narrow nodes are', async () => {
    for (let count = 3; count < 40; count += 1) {
      const cuts = await cutsOf(
        hashes(count, (at) => at),
        2,
        NEVER,
      )
      expect(cuts[0]).toBeGreaterThan(0)
      expect(new Set(cuts).size).toBe(cuts.length)
      expect(cuts.at(-1)).toBeLessThan(count)
    }
  })
})

describe('a salt', () => {
  it('is 32 lower-case hexadecimal digits', () => {
    expect(parseSalt(SALT)).toBe(SALT)
    for (const text of ['', 'ab', SALT.toUpperCase().replace('0', 'F'), `${SALT}00`])
      expect(() => parseSalt(text)).toThrow('a salt is')
  })
})
