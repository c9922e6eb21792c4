/** Moments as RFC 3339 text. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { epochOf, instantOf, parseInstant } from '../../src/model/instant.ts'
import { outcomeOf, refusalOf } from './refusal.ts'

/** The years of RFC 3339 have four digits. */
const moments = fc.integer({ min: Date.UTC(0, 0) - 59_958_144_000_000, max: 253_402_300_799_999 })

describe('a moment', () => {
  it('goes to text and back', () => {
    fc.assert(
      fc.property(moments, (epochMs) => {
        expect(parseInstant(instantOf(epochMs))).toBe(epochMs)
      }),
    )
  })

  it('comes before another as text when it comes before it in time', () => {
    fc.assert(
      fc.property(moments, moments, (a, b) => {
        expect(instantOf(a) < instantOf(b)).toBe(a < b)
      }),
    )
  })

  it.each([
    [0, '1970-01-01T00:00:00.000Z'],
    [1, '1970-01-01T00:00:00.001Z'],
    [-1, '1969-12-31T23:59:59.999Z'],
    [1_795_321_328_000, '2026-11-22T04:22:08.000Z'],
    [253_402_300_799_999, '9999-12-31T23:59:59.999Z'],
  ])('%d is %s', (epochMs, text) => {
    expect(instantOf(epochMs)).toBe(text)
    expect(epochOf(text)).toBe(epochMs)
  })

  it.each([
    ['2026-11-22T04:22:08Z', '2026-11-22T04:22:08.000Z'],
    ['2026-11-22T04:22:08.5Z', '2026-11-22T04:22:08.500Z'],
    ['2026-11-22T04:22:08.123456789Z', '2026-11-22T04:22:08.123Z'],
    ['2026-11-22T04:22:08+01:00', '2026-11-22T03:22:08.000Z'],
    ['2026-11-22T23:30:00-05:45', '2026-11-23T05:15:00.000Z'],
    ['2026-11-22T04:22:08-00:00', '2026-11-22T04:22:08.000Z'],
    ['2026-01-01T00:00:00+23:59', '2025-12-31T00:01:00.000Z'],
    ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
    ['2000-02-29T12:00:00Z', '2000-02-29T12:00:00.000Z'],
    ['2024-02-29T00:00:00+12:00', '2024-02-28T12:00:00.000Z'],
    ['0000-01-01T00:00:00Z', '0000-01-01T00:00:00.000Z'],
  ])('%s is %s', (text, moment) => {
    expect(instantOf(parseInstant(text))).toBe(moment)
  })

  it.each([
    ['empty', ''],
    ['a word', 'now'],
    ['a number', '1795321328000'],
    ['a day', '2026-11-22'],
    ['no zone', '2026-11-22T04:22:08'],
    ['no seconds', '2026-11-22T04:22Z'],
    ['a blank for the T', '2026-11-22 04:22:08Z'],
    ['a point and no digits', '2026-11-22T04:22:08.Z'],
    ['ten digits after the point', '2026-11-22T04:22:08.1234567890Z'],
    ['a comma', '2026-11-22T04:22:08,5Z'],
    ['a zone without colon', '2026-11-22T04:22:08+0100'],
    ['a zone by name', '2026-11-22T04:22:08 GMT'],
    ['a year of five digits', '12026-11-22T04:22:08Z'],
    ['a signed year', '+002026-11-22T04:22:08Z'],
    ['month 0', '2026-00-22T04:22:08Z'],
    ['month 13', '2026-13-22T04:22:08Z'],
    ['day 0', '2026-11-00T04:22:08Z'],
    ['day 32', '2026-12-32T04:22:08Z'],
    ['30 February', '2026-02-30T04:22:08Z'],
    ['29 February of a common year', '2026-02-29T04:22:08Z'],
    ['29 February 1900', '1900-02-29T04:22:08Z'],
    ['31 April', '2026-04-31T04:22:08Z'],
    ['hour 24', '2026-11-22T24:00:00Z'],
    ['hour 25', '2026-11-22T25:00:00Z'],
    ['minute 60', '2026-11-22T04:60:00Z'],
    ['second 61', '2026-11-22T04:22:61Z'],
    ['an offset of 24 hours', '2026-11-22T04:22:08+24:00'],
    ['an offset of 60 minutes', '2026-11-22T04:22:08+01:60'],
    ['blank before', ' 2026-11-22T04:22:08Z'],
    ['new line after', '2026-11-22T04:22:08Z\n'],
    ['digits that are not ASCII', '٢٠٢٦-11-22T04:22:08Z'],
  ])('is not: %s', (_, text) => {
    expect(epochOf(text)).toBeUndefined()
    expect(outcomeOf(() => parseInstant(text))).toBe('bad-request')
  })

  it('is refused in a bounded sentence, however long the text', () => {
    expect(refusalOf(() => parseInstant('2'.repeat(1_000_000))).message.length).toBeLessThan(300)
  })
})
