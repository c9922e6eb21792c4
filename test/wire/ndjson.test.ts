import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isFailure } from '../../src/model/errors.ts'
import { readLines } from '../../src/wire/ndjson.ts'
import { collect } from './collect.ts'

const BOUNDS = { url: 'http://depot', lineBytes: 200 }

async function* inChunks(bytes: Buffer, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  const borders = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b)
  for (let at = 1; at < borders.length; at += 1)
    yield await Promise.resolve(bytes.subarray(borders[at - 1], borders[at]))
}

async function read(text: string | Buffer, cuts: readonly number[] = []): Promise<unknown[]> {
  return await collect(readLines(inChunks(Buffer.from(text), cuts), (value) => value, BOUNDS))
}

async function reasonOf(text: string, cuts: readonly number[] = []): Promise<string> {
  const error: unknown = await read(text, cuts).catch((e: unknown) => e)
  expect(isFailure(error, 'answer-invalid')).toBe(true)
  return (error as Error).message
}

describe('lines of JSON', () => {
  it('are the same wherever the chunks end, in the middle of a character too', async () => {
    const line = fc.record({ name: fc.string({ unit: 'binary', maxLength: 20 }), size: fc.nat() })
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 20 }), fc.array(fc.nat()), async (values, cuts) => {
        const text = values.map((value) => `${JSON.stringify(value)}\n`).join('')
        expect(await read(text, cuts)).toEqual(values)
      }),
      { numRuns: 40 },
    )
  })

  it('may be none at all', async () => {
    expect(await read('')).toEqual([])
  })

  it('are refused when the last one was cut off, even where its JSON is whole', async () => {
    expect(await reasonOf('{"a":1}\n{"a":2}')).toContain('ends in the middle of a line')
  })

  it.each([
    ['in one chunk', []],
    ['in many', [50, 100, 150, 190, 200, 201]],
  ])('are refused over their bound, %s', async (_, cuts) => {
    expect(await reasonOf(`"${'x'.repeat(199)}"\n`, cuts)).toContain('a line of more than 200 bytes')
    expect(await read(`"${'x'.repeat(198)}"\n`, cuts)).toEqual(['x'.repeat(198)])
  })

  it('are never kept beyond their bound while no newline comes', async () => {
    let given = 0
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        given += 100
        yield await Promise.resolve(Buffer.alloc(100, 'x'))
      }
    }
    await expect(collect(readLines(endless(), (value) => value, BOUNDS))).rejects.toThrow(
      'more than 200 bytes',
    )
    expect(given).toBe(300)
  })

  it.each(['not json', '', '{"a":'])('are refused when one is %j', async (line) => {
    expect(await reasonOf(`{"a":1}\n${line}\n{"a":2}\n`)).toContain('a line 2 that makes no sense')
  })
})
