/**
 * Keys and edits for properties: a fixed universe of keys, and steps that set or remove stretches of it. Stretches of
 * sorted keys meet the ends of nodes, whole nodes and whole subtrees, which keys picked at random seldom do.
 */
import fc from 'fast-check'
import type { Shape } from '../../src/metaset/boundary.ts'
import type { Key } from '../../src/metaset/key.ts'
import type { Edit } from '../../src/metaset/source.ts'
import { entry } from './memory-nodes.ts'

/** Among them characters that UTF-16 orders otherwise than UTF-8: U+FF21, and what lies beyond U+FFFF. */
const UNITS = ['a', 'b', 'é', '\uff21', '\u{1f600}', '/']

/** All names of up to three units, in two versions, in the order of keys. */
const UNIVERSE: readonly (readonly [name: string, version: string])[] = UNITS.flatMap((a) => [
  a,
  ...UNITS.flatMap((b) => [a + b, ...UNITS.map((c) => a + b + c)]),
])
  .flatMap((name) => [[name, '1.0.0'] as const, [name, '1.0.0-rc.1'] as const])
  .sort(([a, v], [b, w]) => Buffer.compare(Buffer.from(`${a}\0${v}`), Buffer.from(`${b}\0${w}`)))

/** Narrow shapes reach great heights with few keys, and cut again often. */
export const shapes: fc.Arbitrary<Shape> = fc.constantFrom(
  { bits: 1, most: 2 },
  { bits: 1, most: 5 },
  { bits: 2, most: 6 },
  { bits: 3, most: 64 },
)

/** Sets every so many keys of a stretch to a value, or removes them. */
export interface Step {
  readonly from: number
  readonly length: number
  readonly every: number
  readonly value: number | undefined
}

const step: fc.Arbitrary<Step> = fc.record({
  from: fc.nat(UNIVERSE.length - 1),
  length: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: UNIVERSE.length })),
  every: fc.oneof({ weight: 2, arbitrary: fc.constant(1) }, fc.integer({ min: 2, max: 7 })),
  value: fc.option(fc.nat(1), { nil: undefined }),
})

export function stepsOf(maximum: number): fc.Arbitrary<readonly Step[]> {
  return fc.array(step, { minLength: 1, maxLength: maximum, size: 'max' })
}

/** The edits of a step, in the order of keys. */
export function editsOf({ from, length, every, value }: Step): Edit[] {
  return UNIVERSE.slice(from, from + length)
    .filter((_, at) => at % every === 0)
    .map(([name, version]) => {
      const [key, line] = entry(name, version, value)
      return { key, line: value === undefined ? undefined : line }
    })
}

/** What edits make of a set of lines. */
export function applied(lines: ReadonlyMap<Key, Buffer>, edits: Iterable<Edit>): Map<Key, Buffer> {
  const result = new Map(lines)
  for (const { key, line } of edits) {
    if (line === undefined) result.delete(key)
    else result.set(key, line)
  }
  return result
}
