/** Conditional requests, ranges and accepted encodings (RFC 9110 §12 to §14). */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { acceptsGzip, isUnmodified, rangeOf } from '../../src/http/conditional.ts'
import { outcomeOf, refusalOf } from '../model/refusal.ts'

const ETAG = '"sha256-abc"'

describe('If-None-Match', () => {
  it.each([
    [ETAG],
    [` ${ETAG} `],
    [`W/${ETAG}`],
    ['*'],
    [' * '],
    [`"x", ${ETAG}`],
    [`${ETAG}, "x"`],
    [`"x",${ETAG},"y"`],
    [`"x" , W/${ETAG} , "y"`],
    [`, ${ETAG},, `],
    [`"a, b", ${ETAG}`],
    [`"", ${ETAG}`],
  ])('%s names these bytes: 304', (header) => {
    expect(isUnmodified(header, ETAG)).toBe(true)
  })

  it.each([
    ['no header', undefined],
    ['an empty one', ''],
    ['another ETag', '"x"'],
    ['a list of others', '"x", W/"y"'],
    ['the ETag without quotes', 'sha256-abc'],
    ['in other letters', '"SHA256-ABC"'],
    ['the beginning of it', '"sha256-ab"'],
    ['more than it', '"sha256-abcd"'],
    ['its other form', '"sha256-abc;gzip"'],
    ['an ETag in an ETag', '"x sha256-abc"'],
    ['a star in quotes', '"*"'],
    ['a star in a list', '"x", *'],
    ['quotes that do not end', '"sha256-abc'],
  ])('%s does not: 200', (_, header) => {
    expect(isUnmodified(header, ETAG)).toBe(false)
  })

  it('tells forms of one catalog apart', () => {
    expect(isUnmodified('"g1.a/b;gzip", "c"', '"g1.a/b;gzip"')).toBe(true)
    expect(isUnmodified('"g1.a/b"', '"g1.a/b;gzip"')).toBe(false)
  })

  it('takes no longer for a long header than for its length', () => {
    expect(isUnmodified(`${'"x",'.repeat(100_000)}${ETAG}`, ETAG)).toBe(true)
    expect(isUnmodified('"'.repeat(200_001), ETAG)).toBe(false)
    expect(isUnmodified('W/'.repeat(100_000), ETAG)).toBe(false)
  })
})

describe('Range', () => {
  it.each([
    ['bytes=0-0', 0, 1],
    ['bytes=0-9', 0, 10],
    ['bytes=2-5', 2, 6],
    ['bytes=9-9', 9, 10],
    ['bytes=0-', 0, 10],
    ['bytes=9-', 9, 10],
    ['bytes=0-10', 0, 10],
    ['bytes=5-999999999999999', 5, 10],
    ['bytes=-1', 9, 10],
    ['bytes=-10', 0, 10],
    ['bytes=-11', 0, 10],
    ['bytes=-999999999999999', 0, 10],
    ['bytes=00-09', 0, 10],
    [' bytes=0-4 ', 0, 5],
  ])('%s of ten bytes is %d up to %d', (range, start, end) => {
    expect(rangeOf(range, undefined, ETAG, 10)).toEqual({ start, end })
    expect(rangeOf(range, ETAG, ETAG, 10)).toEqual({ start, end })
  })

  it.each(['bytes=10-', 'bytes=10-10', 'bytes=10-20', 'bytes=999999999999999-', 'bytes=-0', 'bytes=-00'])(
    '%s of ten bytes lies outside of them: 416',
    (range) => {
      const refusal = refusalOf(() => rangeOf(range, undefined, ETAG, 10))
      expect(refusal.code).toBe('range-not-satisfiable')
      expect(refusal.details).toEqual({ size: 10 })
    },
  )

  it.each([
    ['none', undefined],
    ['an empty one', ''],
    ['several', 'bytes=0-1,4-5'],
    ['several, with blanks', 'bytes=0-1, 4-5'],
    ['several, one of them outside', 'bytes=0-1,40-50'],
    ['a reversed one', 'bytes=5-2'],
    ['a reversed one outside', 'bytes=50-20'],
    ['neither end', 'bytes=-'],
    ['no ends at all', 'bytes='],
    ['another unit', 'items=0-1'],
    ['no unit', '0-1'],
    ['blanks within', 'bytes=0 - 1'],
    ['a sign', 'bytes=+0-1'],
    ['a negative end', 'bytes=0--1'],
    ['fractions', 'bytes=0.5-1'],
    ['hexadecimal', 'bytes=0x0-0x1'],
    ['a number of 16 digits', 'bytes=0-1000000000000000'],
    ['a giant number', `bytes=0-${'9'.repeat(10_000)}`],
    ['a giant beginning', `bytes=${'9'.repeat(10_000)}-`],
    ['a giant suffix', `bytes=-${'9'.repeat(400)}`],
    ['digits that are not ASCII', 'bytes=٠-١'],
    ['more behind it', 'bytes=0-1\nbytes=2-3'],
  ])('%s: the whole', (_, range) => {
    expect(rangeOf(range, undefined, ETAG, 10)).toBeUndefined()
  })

  it.each(['bytes=0-', 'bytes=0-0', 'bytes=-1', 'bytes=-0'])('%s of nothing lies outside: 416', (range) => {
    expect(outcomeOf(() => rangeOf(range, undefined, ETAG, 0))).toBe('range-not-satisfiable')
  })

  it('is never empty and never beyond the bytes, whatever is asked', () => {
    const digits = fc.oneof(fc.constant(''), fc.nat(30).map(String))
    fc.assert(
      fc.property(digits, digits, fc.nat(20), (first, last, size) => {
        const act = (): unknown => rangeOf(`bytes=${first}-${last}`, undefined, ETAG, size)
        if (outcomeOf(act) !== 'accepted') return
        const range = rangeOf(`bytes=${first}-${last}`, undefined, ETAG, size)
        if (range === undefined) {
          expect(first === '' ? last === '' : last !== '' && Number(last) < Number(first)).toBe(true)
          return
        }
        const all = Array.from({ length: size }, (_, at) => at)
        const meant =
          first === ''
            ? all.slice(-Number(last))
            : all.filter((at) => at >= Number(first) && (last === '' || at <= Number(last)))
        expect(meant.length).toBeGreaterThan(0)
        expect(all.slice(range.start, range.end)).toEqual(meant)
        expect(range.end).toBeLessThanOrEqual(size)
      }),
      { numRuns: 1000 },
    )
  })
})

describe('If-Range', () => {
  it('about these bytes lets a download go on', () => {
    expect(rangeOf('bytes=5-', ` ${ETAG} `, ETAG, 10)).toEqual({ start: 5, end: 10 })
  })

  it.each([
    ['another ETag', '"x"'],
    ['a weak one, for it cannot promise the same bytes', `W/${ETAG}`],
    ['a date', 'Wed, 21 Oct 2015 07:28:00 GMT'],
    ['a list', `${ETAG}, "x"`],
    ['a star', '*'],
    ['nothing', ''],
  ])('%s: the whole, also when the range lies outside', (_, ifRange) => {
    expect(rangeOf('bytes=5-', ifRange, ETAG, 10)).toBeUndefined()
    expect(rangeOf('bytes=50-', ifRange, ETAG, 10)).toBeUndefined()
    expect(rangeOf('bytes=-0', ifRange, ETAG, 10)).toBeUndefined()
  })
})

describe('Accept-Encoding', () => {
  it.each([
    'gzip',
    'GZIP',
    'x-gzip',
    'gzip, deflate, br',
    'br;q=1.0, gzip;q=0.8, *;q=0.1',
    'deflate,gzip',
    'gzip;q=0.001',
    'gzip;q=1',
    'gzip ; q=0.5',
    'gzip;Q=0.5',
    '*',
    '*;q=0.5',
    'identity;q=0, *',
    'gzip, *;q=0',
    'gzip;q=1, identity; q=0.5, *;q=0',
  ])('%s takes gzip', (header) => {
    expect(acceptsGzip(header)).toBe(true)
  })

  it.each([
    ['none', undefined],
    ['an empty one', ''],
    ['another', 'br'],
    ['others', 'br, deflate, zstd'],
    ['identity alone', 'identity'],
    ['gzip refused', 'gzip;q=0'],
    ['gzip refused in full', 'gzip;q=0.000'],
    ['gzip refused, anything else welcome', 'gzip;q=0, *'],
    ['anything else welcome, gzip refused', '*, gzip;q=0'],
    ['everything refused', '*;q=0'],
    ['a longer word', 'gzipped'],
    ['a shorter word', 'gzi'],
    ['a weight that is none', 'gzip;q=high'],
    ['a negative weight', 'gzip;q=-1'],
    ['gzip as a parameter', 'br;gzip'],
  ])('%s does not', (_, header) => {
    expect(acceptsGzip(header)).toBe(false)
  })
})
