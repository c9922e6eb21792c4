/** `Prefer: wait=N` (RFC 7240). */
import type { FastifyRequest } from 'fastify'
import { describe, expect, it } from 'vitest'
import { waitOf } from '../../src/http/prefer.ts'

function wait(prefer: string | string[] | undefined, maximumMs = 25_000): number {
  return waitOf({ headers: { prefer } } as unknown as FastifyRequest, maximumMs)
}

describe('a request that prefers to wait', () => {
  it.each([
    ['wait=0', 0],
    ['wait=1', 1000],
    ['wait=10', 10_000],
    ['wait=010', 10_000],
    ['Wait=10', 10_000],
    ['respond-async, wait=10', 10_000],
    ['respond-async,wait=10', 10_000],
    ['wait=10, respond-async', 10_000],
    ['wait=10; foo=bar', 10_000],
    [' wait=10 ', 10_000],
    ['wait=5, wait=10', 5000],
  ])('with %s is held for %d ms', (prefer, milliseconds) => {
    expect(wait(prefer)).toBe(milliseconds)
  })

  it.each(['wait=25', 'wait=26', 'wait=999999', 'wait=1000000', `wait=${'9'.repeat(400)}`])(
    'with %.20s is held no longer than the bound',
    (prefer) => {
      expect(wait(prefer)).toBe(25_000)
      expect(wait(prefer, 10_000)).toBe(10_000)
    },
  )

  it('may send the header several times', () => {
    expect(wait(['respond-async', 'wait=3'])).toBe(3000)
  })
})

describe('a request that does not', () => {
  it.each([
    ['none', undefined],
    ['an empty one', ''],
    ['another preference', 'respond-async'],
    ['a longer word', 'await=10'],
    ['a shorter word', 'wai=10'],
    ['no number', 'wait='],
    ['no value', 'wait'],
    ['a word', 'wait=long'],
    ['a negative number', 'wait=-1'],
    ['a fraction', 'wait=1.5'],
    ['a number with a unit', 'wait=10s'],
    ['hexadecimal', 'wait=0x10'],
  ])('has %s: it is not held', (_, prefer) => {
    expect(wait(prefer)).toBe(0)
  })
})
