/** A batch that comes piece by piece: however it is cut, what comes out is what `decodeBatch` gives of the whole. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../src/model/digest.ts'
import { isFailure } from '../../src/model/errors.ts'
import { type BatchedBlob, batchHeader, decodeBatchStream, encodeBatch } from '../../src/wire/batch.ts'
import { collect } from './collect.ts'

const BOUNDS = { url: 'http://x/', blobs: 6, blobBytes: 60 }

const blobs = fc.array(
  fc.uint8Array({ maxLength: 60 }).map((bytes): BatchedBlob => ({ digest: digestOf(bytes), bytes })),
  { maxLength: 6 },
)

/** The pieces of `body` when it is cut at these places; every piece is overwritten when the next is asked for. */
async function* cutAt(body: Buffer, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  const places = [...cuts.map((cut) => cut % (body.length + 1)), 0, body.length].sort((a, b) => a - b)
  for (const [at, from] of places.entries()) {
    const piece = Uint8Array.from(body.subarray(from, places[at + 1] ?? body.length))
    yield piece
    piece.fill(0)
  }
}

function told(batch: readonly BatchedBlob[]): unknown {
  return batch.map(({ digest, bytes }) => [digest, Buffer.from(bytes).toString('hex')])
}

/** What comes before it ends, and whether it ends well. */
async function outcomeOf(body: Buffer, cuts: readonly number[] = []): Promise<readonly [number, string]> {
  let count = 0
  try {
    for await (const _ of decodeBatchStream(cutAt(body, cuts), BOUNDS)) count += 1
    return [count, 'whole']
  } catch (error) {
    if (isFailure(error)) return [count, error.code]
    throw error
  }
}

describe('a batch that comes piece by piece', () => {
  it('gives its blobs, wherever it is cut into pieces', async () => {
    await fc.assert(
      fc.asyncProperty(blobs, fc.array(fc.nat(), { maxLength: 20 }), async (batch, cuts) => {
        expect(told(await collect(decodeBatchStream(cutAt(encodeBatch(batch), cuts), BOUNDS)))).toEqual(
          told(batch),
        )
      }),
    )
  })

  it('gives those that are whole, and fails where it ends in the middle of one', async () => {
    await fc.assert(
      fc.asyncProperty(blobs, fc.nat(), fc.array(fc.nat(), { maxLength: 5 }), async (batch, end, cuts) => {
        const body = encodeBatch(batch)
        const cut = body.subarray(0, end % (body.length + 1))
        let left = cut.length
        const whole = batch.filter(({ bytes }) => (left -= 36 + bytes.length) >= 0)
        const isBetween = cut.length === encodeBatch(whole).length
        expect(await outcomeOf(cut, cuts)).toEqual([whole.length, isBetween ? 'whole' : 'answer-invalid'])
      }),
    )
  })

  it('gives a blob as soon as it is whole', async () => {
    const batch = ['one', 'two'].map((text) => ({ digest: digestOf(text), bytes: Buffer.from(text) }))
    const [first] = batch
    let asked = 0
    async function* pieces(): AsyncGenerator<Uint8Array> {
      for (const blob of batch) {
        asked += 1
        yield encodeBatch([blob])
      }
    }
    for await (const { digest } of decodeBatchStream(pieces(), BOUNDS)) {
      expect([digest, asked]).toEqual([first?.digest, 1])
      break
    }
  })

  it('is bounded in number, and a blob in size, before its bytes come', async () => {
    const empty = batchHeader(digestOf(''), 0)
    expect(await outcomeOf(Buffer.concat(Array.from({ length: 6 }, () => empty)))).toEqual([6, 'whole'])
    expect(await outcomeOf(Buffer.concat(Array.from({ length: 7 }, () => empty)))).toEqual([
      6,
      'answer-invalid',
    ])
    const claims = async (size: number): Promise<unknown> => await outcomeOf(batchHeader(digestOf(''), size))
    expect(await claims(61)).toEqual([0, 'answer-invalid'])
    expect(await claims(0xffff_ffff)).toEqual([0, 'answer-invalid'])
    expect(await outcomeOf(Buffer.concat([batchHeader(digestOf(''), 60), Buffer.alloc(60)]))).toEqual([
      1,
      'whole',
    ])
  })
})
