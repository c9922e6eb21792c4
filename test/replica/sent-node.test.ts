/** A node that was sent is kept as it came, so it must be one that a catalog can be made of (N3). */
import { constants, crc32, deflateRawSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../src/model/digest.ts'
import { encodeSegment } from '../../src/pool/segment.ts'
import { plainOfSent } from '../../src/replica/sent-node.ts'
import { refusalOf } from '../model/refusal.ts'

const PLAIN = Buffer.from('{"name":"a"}\n'.repeat(40))
const GOOD = encodeSegment(PLAIN)
const { Z_FINISH, Z_PARTIAL_FLUSH } = constants

function deflated(plain: Buffer, flush: number): Buffer {
  return deflateRawSync(plain, { flush, finishFlush: flush })
}

describe('a node that was sent', () => {
  it('is read when it is as the pool would have packed it, the empty one too', () => {
    expect(plainOfSent({ digest: digestOf(PLAIN), segment: GOOD })).toEqual(PLAIN)
    const empty = encodeSegment(Buffer.alloc(0))
    expect(plainOfSent({ digest: digestOf(''), segment: empty })).toHaveLength(0)
  })

  it.each<[string, Buffer, number]>([
    ['ends the stream', deflated(PLAIN, Z_FINISH), PLAIN.length],
    [
      'ends the stream, and looks as if it did not',
      deflated(Buffer.concat([PLAIN, Buffer.from('.')]), Z_FINISH),
      PLAIN.length,
    ],
    ['ends within a byte', deflated(PLAIN, Z_PARTIAL_FLUSH), PLAIN.length],
    ['is cut off', Buffer.from(GOOD.deflated.subarray(0, -5)), PLAIN.length],
    ['is longer than it says', Buffer.from(GOOD.deflated), PLAIN.length - 1],
    ['is shorter than it says', Buffer.from(GOOD.deflated), PLAIN.length + 1],
    ['says that it is huge', Buffer.from(GOOD.deflated), 2 ** 31],
    ['has no length', Buffer.from(GOOD.deflated), -1],
    ['is no deflate at all', Buffer.from('hello'), 5],
    ['has something behind it', Buffer.concat([GOOD.deflated, Buffer.from([0xff])]), PLAIN.length],
  ])('is refused when it %s', (_, bytes, length) => {
    const segment = { crc32: crc32(PLAIN), length, deflated: bytes }
    expect(refusalOf(() => plainOfSent({ digest: digestOf(PLAIN), segment })).code).toBe('blob-corrupt')
  })
})
