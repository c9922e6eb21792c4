/** A batch of small blobs as one body: it goes there and back, and nothing that is cut short is taken for whole. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../src/model/digest.ts'
import { LIMITS } from '../../src/model/limits.ts'
import { type BatchedBlob, batchedSize, decodeBatch, encodeBatch } from '../../src/wire/batch.ts'
import { outcomeOf, refusalOf } from '../model/refusal.ts'

const blobs = fc.array(
  fc.uint8Array({ maxLength: 60 }).map((bytes): BatchedBlob => ({ digest: digestOf(bytes), bytes })),
  { maxLength: 6 },
)

/** Blobs in a form that compares: whose memory the bytes are in does not matter. */
function told(batch: readonly BatchedBlob[]): unknown {
  return batch.map(({ digest, bytes }) => [digest, Buffer.from(bytes).toString('hex')])
}

function claiming(size: number): Buffer {
  const header = Buffer.alloc(36)
  header.writeUInt32BE(size, 32)
  return header
}

describe('a batch', () => {
  it('goes to bytes and back', () => {
    fc.assert(
      fc.property(blobs, (batch) => {
        expect(told(decodeBatch(encodeBatch(batch)))).toEqual(told(batch))
      }),
    )
  })

  it('takes as many bytes as was said', () => {
    fc.assert(
      fc.property(blobs, (batch) => {
        const size = batch.reduce((sum, { bytes }) => sum + batchedSize(bytes.length), 0)
        expect(encodeBatch(batch).length).toBe(size)
      }),
    )
  })

  it('has these bytes: 32 of SHA-256, four of length, the blob', () => {
    const bytes = Buffer.from('abc')
    expect(encodeBatch([{ digest: digestOf(bytes), bytes }]).toString('hex')).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad' + '00000003' + '616263',
    )
  })

  it('is refused wherever it is cut, but between two blobs', () => {
    fc.assert(
      fc.property(blobs, (batch) => {
        const body = encodeBatch(batch)
        const ends = new Map([[0, 0]])
        let end = 0
        for (const [at, { bytes }] of batch.entries()) {
          end += batchedSize(bytes.length)
          ends.set(end, at + 1)
        }
        for (let cut = 0; cut <= body.length; cut += 1) {
          const whole = ends.get(cut)
          const act = (): readonly BatchedBlob[] => decodeBatch(body.subarray(0, cut))
          if (whole === undefined) expect([cut, outcomeOf(act)]).toEqual([cut, 'bad-request'])
          else expect(told(act())).toEqual(told(batch.slice(0, whole)))
        }
      }),
    )
  })

  it('is refused with anything behind it that is no blob', () => {
    fc.assert(
      fc.property(blobs, fc.uint8Array({ minLength: 1, maxLength: 35 }), (batch, more) => {
        expect(outcomeOf(() => decodeBatch(Buffer.concat([encodeBatch(batch), more])))).toBe('bad-request')
      }),
    )
  })

  it('is read from a view into longer bytes, and its blobs are views into it', () => {
    fc.assert(
      fc.property(blobs, fc.nat(20), (batch, offset) => {
        const body = encodeBatch(batch)
        const longer = Buffer.concat([Buffer.alloc(offset, 7), body, Buffer.alloc(50, 7)])
        const decoded = decodeBatch(longer.subarray(offset, offset + body.length))
        expect(told(decoded)).toEqual(told(batch))
        expect(decoded.every(({ bytes }) => bytes.buffer === longer.buffer)).toBe(true)
      }),
    )
  })

  it('keeps a digest that is not that of its bytes: it is a claim', () => {
    const lie = { digest: digestOf('one'), bytes: Buffer.from('two') }
    expect(told(decodeBatch(encodeBatch([lie])))).toEqual(told([lie]))
  })

  it('may be empty', () => {
    expect(encodeBatch([]).length).toBe(0)
    expect(decodeBatch(Buffer.alloc(0))).toEqual([])
  })
})

describe('the limits of a batch', () => {
  it('let a blob be small, and no larger', () => {
    const most = Buffer.concat([claiming(LIMITS.smallBlobBytes), Buffer.alloc(LIMITS.smallBlobBytes)])
    expect(decodeBatch(most)).toHaveLength(1)
    const more = Buffer.concat([claiming(LIMITS.smallBlobBytes + 1), Buffer.alloc(LIMITS.smallBlobBytes + 1)])
    expect(refusalOf(() => decodeBatch(more)).details).toEqual({
      what: 'bytes of a blob in a batch',
      limit: 65_536,
      found: 65_537,
    })
  })

  it('refuse a length beyond them without waiting for the bytes', () => {
    expect(outcomeOf(() => decodeBatch(claiming(0xffff_ffff)))).toBe('limit-exceeded')
    expect(outcomeOf(() => decodeBatch(claiming(0x8000_0000)))).toBe('limit-exceeded')
  })

  it('let so many blobs be in it, and no more', () => {
    const most = Buffer.alloc(36 * LIMITS.batchBlobs)
    expect(decodeBatch(most)).toHaveLength(LIMITS.batchBlobs)
    expect(outcomeOf(() => decodeBatch(Buffer.concat([most, claiming(0)])))).toBe('limit-exceeded')
  })
})
