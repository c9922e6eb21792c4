/**
 * Combined checksums are those of the whole.
 */
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { combineCrc32 } from '../../src/metaset/crc32.ts'

describe('the CRC-32 of two parts', () => {
  it('combined is the CRC-32 of both', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), fc.uint8Array({ maxLength: 2_000 }), (a, b) => {
        const whole = crc32(Buffer.concat([a, b]))
        expect(combineCrc32(crc32(a), crc32(b), b.length)).toBe(whole)
      }),
    )
  })

  it('is right where every byte of the length counts', () => {
    const size = 0x01020304
    const zeros = Buffer.alloc(size)
    const head = Buffer.from('head')
    expect(combineCrc32(crc32(head), crc32(zeros), size)).toBe(crc32(zeros, crc32(head)))
  })

  it('is the same however parts are put together, also over four gigabytes', () => {
    const part = fc.record({ checksum: fc.nat(0xffffffff), size: fc.nat(2 ** 51) })
    fc.assert(
      fc.property(part, part, part, (a, b, c) => {
        const ab = combineCrc32(a.checksum, b.checksum, b.size)
        const bc = combineCrc32(b.checksum, c.checksum, c.size)
        expect(combineCrc32(ab, c.checksum, c.size)).toBe(combineCrc32(a.checksum, bc, b.size + c.size))
      }),
    )
  })

  it('of a part and nothing is that of the part', () => {
    expect(combineCrc32(0xdeadbeef, 0, 0)).toBe(0xdeadbeef)
    expect(combineCrc32(0, 0xdeadbeef, 1_000)).toBe(0xdeadbeef)
  })
})
