/**
 * The lines of releases and of bound names.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeBound,
  decodeRelease,
  encodeBound,
  encodeRelease,
  type Release,
} from '../../src/metaset/release.ts'
import { canonicalText, type Json } from '../../src/model/canonical.ts'
import { digestOf } from '../../src/model/digest.ts'
import type { ReleaseName } from '../../src/model/name.ts'
import type { Version } from '../../src/model/version.ts'

const text = fc.string({ unit: 'grapheme' })
const releases: fc.Arbitrary<Release> = fc.record(
  {
    name: text.map((name) => name as ReleaseName),
    version: text.map((version) => version as Version),
    manifest: text.map(digestOf),
    size: fc.nat(Number.MAX_SAFE_INTEGER),
    published: text,
    summary: fc.oneof(text, fc.string({ unit: 'binary' }), fc.constantFrom('\\ud800', '"\\ud', '\n')),
    status: fc.constantFrom('yanked' as const, 'deprecated' as const),
    reason: text,
  },
  { requiredKeys: ['name', 'version', 'manifest', 'size'] },
)

describe('the line of a release', () => {
  it('is its canonical JSON and a newline, and gives it back', () => {
    fc.assert(
      fc.property(releases, (release) => {
        const line = encodeRelease(release)
        expect(line.toString()).toBe(`${canonicalText(release as unknown as Json)}\n`)
        expect(line.indexOf('\n')).toBe(line.length - 1)
        expect(decodeRelease(line)).toEqual(release)
      }),
    )
  })

  it('cannot hold half a surrogate pair', () => {
    const [release] = fc.sample(releases, 1) as [Release]
    expect(() => encodeRelease({ ...release, summary: 'x\ud83d' })).toThrow('no canonical JSON')
  })
})

describe('the line of a bound name', () => {
  it('has name, version and manifest alone', () => {
    fc.assert(
      fc.property(releases, (release) => {
        const { name, version, manifest } = release
        const line = encodeBound(release)
        expect(line.toString()).toBe(`${canonicalText({ name, version, manifest })}\n`)
        expect(decodeBound(line)).toEqual({ name, version, manifest })
      }),
    )
  })
})
