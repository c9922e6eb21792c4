/** Digests: one spelling, and 32 raw bytes that mean the same. */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  digestOf,
  digestOfHex,
  digestOfRaw,
  hasher,
  hexOf,
  isDigest,
  parseDigest,
  rawOf,
  reprDigestOf,
} from '../../src/model/digest.ts'
import { outcomeOf, refusalOf } from './refusal.ts'
import { texts } from './texts.ts'

const HEX = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
const raws = fc.uint8Array({ minLength: 32, maxLength: 32 })

describe('a digest', () => {
  it('is the SHA-256 of the bytes', () => {
    expect(digestOf('')).toBe(`sha256:${HEX}`)
    expect(digestOf('abc')).toBe('sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  })

  it('is the same for text and for its UTF-8', () => {
    fc.assert(
      fc.property(texts, (text) => {
        expect(digestOf(text)).toBe(digestOf(Buffer.from(text)))
      }),
    )
  })

  it('is the same for bytes that come piece by piece', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array()), (pieces) => {
        const sha256 = hasher()
        for (const piece of pieces) sha256.update(piece)
        expect(sha256.digest()).toBe(digestOf(Buffer.concat(pieces)))
      }),
    )
  })

  it('goes to raw bytes and to hex and back', () => {
    fc.assert(
      fc.property(raws, (raw) => {
        const digest = digestOfRaw(raw)
        expect(rawOf(digest).equals(raw)).toBe(true)
        expect(digestOfHex(hexOf(digest))).toBe(digest)
        expect(parseDigest(digest)).toBe(digest)
        expect(isDigest(digest)).toBe(true)
      }),
    )
  })

  it('is read from a view into longer bytes', () => {
    fc.assert(
      fc.property(raws, fc.nat(50), (raw, offset) => {
        const longer = Buffer.concat([Buffer.alloc(offset, 7), raw, Buffer.alloc(9, 7)])
        expect(digestOfRaw(longer.subarray(offset, offset + 32))).toBe(digestOfRaw(raw))
        expect(digestOfRaw(longer.subarray(offset))).toBe(digestOfRaw(raw))
      }),
    )
  })

  it('is told as Repr-Digest by RFC 9530, in base64', () => {
    expect(reprDigestOf(digestOf(''))).toBe('sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:')
    const sha256 = createHash('sha256').update('abc').digest('base64')
    expect(reprDigestOf(digestOf('abc'))).toBe(`sha-256=:${sha256}:`)
  })

  it.each([
    ['empty', ''],
    ['bare hex', HEX],
    ['no hex', 'sha256:'],
    ['a digit less', `sha256:${HEX.slice(1)}`],
    ['a digit more', `sha256:${HEX}0`],
    ['capitals', `sha256:${HEX.toUpperCase()}`],
    ['a capital algorithm', `SHA256:${HEX}`],
    ['another algorithm', `sha512:${HEX}`],
    ['a hyphen', `sha256-${HEX}`],
    ['no hex digit', `sha256:g${HEX.slice(1)}`],
    ['blank before', ` sha256:${HEX}`],
    ['new line after', `sha256:${HEX}\n`],
    ['a line before', `x\nsha256:${HEX}`],
    ['NUL after', `sha256:${HEX}\0`],
  ])('is not: %s', (_, text) => {
    expect(isDigest(text)).toBe(false)
    expect(outcomeOf(() => parseDigest(text))).toBe('bad-request')
  })

  it.each([undefined, null, 0, {}, [`sha256:${HEX}`], { toString: () => `sha256:${HEX}` }])(
    'is text and never %s',
    (value) => {
      expect(isDigest(value)).toBe(false)
    },
  )

  it.each(['', HEX.slice(1), `${HEX}0`, HEX.toUpperCase(), `sha256:${HEX}`, `${HEX}\n`, ` ${HEX}`])(
    'is not made of the hex %j',
    (hex) => {
      expect(outcomeOf(() => digestOfHex(hex))).toBe('bad-request')
    },
  )

  it('is refused in a bounded sentence, however long the text', () => {
    expect(refusalOf(() => parseDigest('x'.repeat(1_000_000))).message.length).toBeLessThan(300)
    expect(refusalOf(() => digestOfHex('x'.repeat(1_000_000))).message.length).toBeLessThan(300)
  })
})
