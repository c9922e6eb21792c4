/** Generation ids and records: the golden vectors of PROTOCOL §1, and that record, bytes and id go together. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { digestOf, parseDigest } from '../../src/model/digest.ts'
import {
  decodeRecord,
  encodeRecord,
  type GenerationRecord,
  type Gid,
  gidOf,
  isGid,
  type LineageId,
  lineageOf,
  parseGid,
  partsOf,
} from '../../src/model/generation.ts'
import { instantOf } from '../../src/model/instant.ts'
import { fixture, type Refused } from './fixture.ts'
import { outcomeOf, refusalOf } from './refusal.ts'
import { texts } from './texts.ts'

interface GoldenRecord {
  readonly what: string
  readonly record: GenerationRecord
  readonly canonical: string
  readonly sha256: string
  readonly gid: Gid
}

const golden = fixture<{ records: GoldenRecord[]; valid: string[]; invalid: Refused[] }>('gids.json')

const lineages = fc.uint8Array({ minLength: 12, maxLength: 12 }).map(lineageOf)
const numbers = fc.oneof(fc.nat(2000), fc.integer({ min: 0, max: 999_999_999_999_999 }))
const digests = fc.nat().map((seed) => digestOf(String(seed)))
const gids = fc
  .tuple(numbers, lineages, digests)
  .map(([number, lineage, digest]) => `g${number}.${lineage}.${digest.slice(7, 23)}` as Gid)
const records: fc.Arbitrary<GenerationRecord> = fc.record(
  {
    v: fc.constant(1 as const),
    number: numbers,
    lineage: lineages,
    parent: fc.option(gids),
    parentDigest: fc.option(digests),
    metaset: digests,
    created: fc.nat(253_402_300_799_999).map(instantOf),
    publisher: texts,
    message: texts,
    rollbackOf: gids,
  },
  {
    requiredKeys: [
      'v',
      'number',
      'lineage',
      'parent',
      'parentDigest',
      'metaset',
      'created',
      'publisher',
      'message',
    ],
  },
)

describe.each(golden.records)('the golden record: $what', ({ record, canonical, sha256, gid }) => {
  it('has these canonical bytes', () => {
    expect(encodeRecord(record).toString()).toBe(canonical)
  })

  it('has this id', () => {
    expect(digestOf(encodeRecord(record))).toBe(`sha256:${sha256}`)
    expect(gidOf(record)).toBe(gid)
    expect(gidOf(record, Buffer.from(canonical))).toBe(gid)
    expect(parseGid(gid)).toBe(gid)
  })

  it('is read from these bytes', () => {
    expect(decodeRecord(Buffer.from(canonical))).toEqual(record)
  })
})

it('the golden records are a chain by id and by full digest', () => {
  const known = new Map(golden.records.map(({ gid, sha256 }) => [gid, `sha256:${sha256}`]))
  const parents = golden.records.slice(1).map(({ record }) => record)
  expect(parents.map(({ parent }) => parent && known.get(parent))).toEqual(
    parents.map(({ parentDigest }) => parentDigest),
  )
})

describe('a generation id', () => {
  it.each(golden.valid)('may be %s', (text) => {
    expect(isGid(text)).toBe(true)
    expect(parseGid(text)).toBe(text)
  })

  it.each(golden.invalid)('is not: $why', ({ text }) => {
    expect(isGid(text)).toBe(false)
    expect(outcomeOf(() => parseGid(text))).toBe('bad-generation')
  })

  it.each([undefined, null, 42, {}, ['g0.aaaaaaaaaaaa.0000000000000000']])(
    'is text and never %s',
    (value) => {
      expect(isGid(value)).toBe(false)
    },
  )

  it('says its number, lineage and digest', () => {
    expect(partsOf(parseGid('g42.k3x7m2q5wz4a.9f3ab2c41d07e655'))).toEqual({
      number: 42,
      lineage: 'k3x7m2q5wz4a',
      digest: '9f3ab2c41d07e655',
    })
  })

  it('is made of its parts again', () => {
    fc.assert(
      fc.property(gids, (gid) => {
        const { number, lineage, digest } = partsOf(parseGid(gid))
        expect(`g${number}.${lineage}.${digest}`).toBe(gid)
      }),
    )
  })

  it('is a path segment and a token as it is', () => {
    fc.assert(
      fc.property(gids, (gid) => {
        expect(encodeURIComponent(gid)).toBe(gid)
        expect(gid).toMatch(/^[A-Za-z][\w.]*$/)
      }),
    )
  })

  it('is refused in a bounded sentence, however long the text', () => {
    expect(refusalOf(() => parseGid('g'.repeat(1_000_000))).message.length).toBeLessThan(300)
  })
})

describe('a record', () => {
  it('goes to bytes and back', () => {
    fc.assert(
      fc.property(records, (record) => {
        expect(decodeRecord(encodeRecord(record))).toEqual(record)
      }),
    )
  })

  it('has an id that is well-formed and tells its number and lineage', () => {
    fc.assert(
      fc.property(records, (record) => {
        const { number, lineage, digest } = partsOf(parseGid(gidOf(record)))
        expect({ number, lineage }).toEqual({ number: record.number, lineage: record.lineage })
        expect(digestOf(encodeRecord(record)).slice(7)).toMatch(new RegExp(`^${digest}`))
      }),
    )
  })

  it('has the same bytes whatever the order of its members', () => {
    fc.assert(
      fc.property(records, (record) => {
        const backwards = Object.fromEntries(Object.entries(record).reverse()) as unknown as GenerationRecord
        expect(encodeRecord(backwards)).toEqual(encodeRecord(record))
      }),
    )
  })

  it('has another id when anything in it is another', () => {
    const record = golden.records[4]?.record as GenerationRecord
    const others: GenerationRecord[] = [
      { ...record, number: 5 },
      { ...record, lineage: 'k3x7m2q5wz4b' as LineageId },
      { ...record, parent: null },
      { ...record, parentDigest: null },
      { ...record, metaset: digestOf('another') },
      { ...record, created: '2026-11-23T00:00:02.001Z' },
      { ...record, publisher: 'Admin' },
      { ...record, message: 'back to g1 ' },
      { ...record, rollbackOf: golden.records[1]?.gid as Gid },
    ]
    const { rollbackOf: _, ...plain } = record
    const ids = [record, plain, ...others].map((one) => gidOf(one))
    expect(new Set(ids).size).toBe(ids.length)
  })

  it('is refused when its metaset is no digest', () => {
    const { record } = golden.records[0] as GoldenRecord
    const bytes = Buffer.from(JSON.stringify({ ...record, metaset: 'sha256:0' }))
    expect(outcomeOf(() => decodeRecord(bytes))).toBe('bad-request')
    expect(parseDigest(record.metaset)).toBe(record.metaset)
  })
})

describe('a new lineage', () => {
  it('can stand in an id, whatever the random bytes', () => {
    fc.assert(
      fc.property(lineages, (lineage) => {
        expect(isGid(`g0.${lineage}.0000000000000000`)).toBe(true)
      }),
    )
  })

  it('uses every letter and digit there is', () => {
    const seen = new Set(
      Array.from({ length: 256 }, (_, byte) => lineageOf(Buffer.alloc(12, byte)).slice(1, 2)),
    )
    expect([...seen].sort().join('')).toBe('234567abcdefghijklmnopqrstuvwxyz')
  })

  it('differs when any of the twelve bytes differs', () => {
    const ids = Array.from({ length: 12 }, (_, at) => {
      const bytes = Buffer.alloc(12)
      bytes[at] = 1
      return lineageOf(bytes)
    })
    expect(new Set([...ids, lineageOf(Buffer.alloc(12))]).size).toBe(13)
  })
})
