import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { failure } from '../../src/model/errors.ts'
import {
  type Attempt,
  redirectOf,
  retryAfterIn,
  troubleOfAnswer,
  troubleOfConnection,
  waitBeforeNext,
} from '../../src/wire/caller-retry.ts'
import { noChance } from './still-world.ts'

const ATTEMPT: Attempt = { trouble: 'refused', repeat: 'always', before: 0, elapsed: 0, patience: 60_000 }
const PUT_OFF = failure('booting', {})
const IN_FRONT = failure('depot-unreachable', {
  url: 'http://depot',
  reason: '503 from something in front of it',
})

describe('the wait before the next attempt', () => {
  it('is what the answer asked for, and up to half as much again', () => {
    const byte = fc.nat({ max: 255 })
    fc.assert(
      fc.property(byte, byte, fc.integer({ min: 250, max: 30_000 }), (a, b, retryAfter) => {
        const wait = waitBeforeNext({ ...ATTEMPT, retryAfter }, { bytes: () => Uint8Array.of(a, b) })
        expect(wait).toBeGreaterThanOrEqual(retryAfter)
        expect(wait).toBeLessThanOrEqual(retryAfter * 1.5)
      }),
    )
  })

  it('grows when nothing was asked for, but not for ever', () => {
    const waits = [0, 1, 2, 3, 4, 5, 6, 2_000].map((before) =>
      waitBeforeNext({ ...ATTEMPT, before }, noChance),
    )
    expect(waits).toEqual([250, 500, 1_000, 2_000, 4_000, 5_000, 5_000, 5_000])
  })

  it('is never so short that a node is flooded', () => {
    expect(waitBeforeNext({ ...ATTEMPT, retryAfter: 0 }, noChance)).toBe(250)
  })

  it('is none when it would end after all patience', () => {
    expect(waitBeforeNext({ ...ATTEMPT, elapsed: 59_000, retryAfter: 1_000 }, noChance)).toBe(1_000)
    expect(waitBeforeNext({ ...ATTEMPT, elapsed: 59_001, retryAfter: 1_000 }, noChance)).toBeUndefined()
    expect(waitBeforeNext({ ...ATTEMPT, retryAfter: 3_600_000 }, noChance)).toBeUndefined()
  })

  it.each([
    ['unreached', 'always', true],
    ['unreached', 'unsent', true],
    ['refused', 'always', true],
    ['refused', 'unsent', true],
    ['broken', 'always', true],
    ['broken', 'unsent', false],
    ['gateway', 'always', true],
    ['gateway', 'unsent', false],
    ['final', 'always', false],
    ['final', 'unsent', false],
  ] as const)('after %s, of a call that may be repeated %s, is there: %s', (trouble, repeat, there) => {
    expect(waitBeforeNext({ ...ATTEMPT, trouble, repeat }, noChance) !== undefined).toBe(there)
  })
})

describe('what went wrong', () => {
  it.each([
    [503, PUT_OFF, 'refused'],
    [503, failure('origin-unreachable', { reason: 'x' }), 'gateway'],
    [503, IN_FRONT, 'gateway'],
    [502, IN_FRONT, 'gateway'],
    [504, IN_FRONT, 'gateway'],
    [408, failure('request-timeout', {}), 'gateway'],
    [429, failure('rate-limited', { retryAfterMs: 1 }), 'refused'],
    [500, failure('internal', { instance: 'x' }), 'final'],
    [507, failure('disk-full', { free: 0, needed: 1 }), 'final'],
    [404, failure('not-found', { what: 'x' }), 'final'],
  ] as const)('is told by %i', (status, error, trouble) => {
    expect(troubleOfAnswer(status, error)).toBe(trouble)
  })

  it('is told by the cause that fetch hides', () => {
    const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' })
    const reset = Object.assign(new Error('read'), { code: 'ECONNRESET' })
    expect(troubleOfConnection(new TypeError('fetch failed', { cause: refused }))).toBe('unreached')
    expect(troubleOfConnection(new TypeError('terminated', { cause: reset }))).toBe('broken')
  })
})

describe('Retry-After', () => {
  const now = Date.parse('2026-11-22T00:00:00Z')
  it.each([
    ['3', 3_000],
    ['0', 0],
    ['Sun, 22 Nov 2026 00:00:05 GMT', 5_000],
    ['Sat, 21 Nov 2026 00:00:00 GMT', 0],
    ['soon', undefined],
    ['', undefined],
  ])('%j is %s ms', (text, expected) => {
    expect(retryAfterIn(new Headers({ 'retry-after': text }), now)).toBe(expected)
  })

  it('may be absent', () => {
    expect(retryAfterIn(new Headers(), now)).toBeUndefined()
  })
})

describe('a redirect', () => {
  const from = new URL('https://depot.example/v1/head')
  const to = (status: number, location: string, method = 'GET') =>
    redirectOf({ status, headers: new Headers({ location }) }, from, method)

  it('leads to a path, a host, or nowhere', () => {
    expect(to(307, '/g/x/v1/head')?.href).toBe('https://depot.example/g/x/v1/head')
    expect(to(308, 'https://other.example/x')?.href).toBe('https://other.example/x')
    expect(to(307, 'http://depot.example/')).toBeNull()
    expect(to(307, 'https://user:secret@depot.example/')).toBeNull()
    expect(to(307, 'file:///etc/passwd')).toBeNull()
    expect(to(307, 'https://')).toBeNull()
  })

  it('of another method keeps the method, or is no redirect', () => {
    expect(to(307, '/x', 'POST')?.pathname).toBe('/x')
    expect(to(302, '/x', 'POST')).toBeUndefined()
    expect(to(302, '/x', 'HEAD')?.pathname).toBe('/x')
    expect(to(200, '/x')).toBeUndefined()
    expect(redirectOf({ status: 307, headers: new Headers() }, from, 'GET')).toBeUndefined()
  })
})
