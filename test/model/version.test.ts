/** Semver versions: one spelling of each, and a total order. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { semverOrder, type Version } from '../../src/model/version.ts'
import { fixture, type Refused } from './fixture.ts'
import { outcomeOf, refusalOf } from './refusal.ts'

const golden = fixture<{
  versions: string[]
  notVersions: Refused[]
  versionsInOrder: Version[]
  ranges: string[]
  notRanges: Refused[]
}>('names.json')

const numerals = fc.constantFrom(
  '0',
  '1',
  '2',
  '10',
  '9007199254740991',
  '9007199254740992',
  '9007199254740993',
)
const identifiers = fc.oneof(
  numerals,
  fc.constantFrom('a', 'A', 'rc', '-', '0a', '1-', '10000000000000000000'),
)
const versions = fc
  .tuple(fc.constantFrom('1.0.0', '1.0.1', '1.10.0'), fc.array(identifiers, { maxLength: 2 }))
  .map(
    ([core, prerelease]) =>
      [core, ...(prerelease.length === 0 ? [] : [prerelease.join('.')])].join('-') as Version,
  )

describe('a version', () => {
  it.each(golden.versions)('may be %s', (text) => {
    expect(semverOrder.parse(text)).toBe(text)
  })

  it.each(golden.notVersions)('is not: $why', ({ text }) => {
    expect(outcomeOf(() => semverOrder.parse(text))).toBe('version-invalid')
  })

  it('is refused in a bounded sentence, however long the text', () => {
    expect(refusalOf(() => semverOrder.parse('1'.repeat(1_000_000))).message.length).toBeLessThan(400)
  })
})

describe('the order of versions', () => {
  it('is that of semver', () => {
    const { versionsInOrder } = golden
    for (const [at, a] of versionsInOrder.entries())
      for (const [bt, b] of versionsInOrder.entries())
        expect([a, b, Math.sign(semverOrder.compare(a, b))]).toEqual([a, b, Math.sign(at - bt)])
  })

  it('never calls two different versions equal', () => {
    fc.assert(
      fc.property(versions, versions, (a, b) => {
        expect(semverOrder.compare(semverOrder.parse(a), semverOrder.parse(b)) === 0).toBe(a === b)
      }),
      { numRuns: 2000 },
    )
  })

  it('is the same from both sides, and along three', () => {
    fc.assert(
      fc.property(versions, versions, versions, (a, b, c) => {
        const sign = (x: Version, y: Version): number => Math.sign(semverOrder.compare(x, y))
        expect(sign(a, b) + sign(b, a)).toBe(0)
        if (sign(a, b) <= 0 && sign(b, c) <= 0) expect(sign(a, c)).toBeLessThanOrEqual(0)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('a range', () => {
  it.each(golden.ranges)('may be %j', (text) => {
    expect(semverOrder.isRange(text)).toBe(true)
  })

  it.each(golden.notRanges)('is not: $why', ({ text }) => {
    expect(semverOrder.isRange(text)).toBe(false)
  })

  it('has at most 256 characters', () => {
    const longest = `>=1.0.0${' '.repeat(249)}`
    expect(semverOrder.isRange(longest)).toBe(true)
    expect(semverOrder.isRange(`${longest} `)).toBe(false)
    expect(semverOrder.isRange(`1${' || 1'.repeat(100_000)}`)).toBe(false)
  })

  it.each([
    ['1.2.3', '^1.2.0', true],
    ['2.0.0', '^1.2.0', false],
    ['1.2.3', '*', true],
    ['1.3.0-rc.1', '^1.2.0', false],
    ['1.3.0-rc.1', '^1.3.0-rc.0', true],
    ['1.3.0-rc.1', '*', false],
    ['0.3.0', '^0.2.0', false],
    ['1.2.3', 'nonsense', false],
  ])('%s in %s: %s, prereleases as npm does', (version, range, expected) => {
    expect(semverOrder.satisfies(semverOrder.parse(version), range)).toBe(expected)
  })
})
