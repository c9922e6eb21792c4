/** The closed table of failures: every code has a title and a sentence that makes use of what is known. */
import { describe, expect, it } from 'vitest'
import { DepotError, errorCodes, failure, isFailure, titleOf } from '../../src/model/errors.ts'
import type { ErrorCode } from '../../src/model/failures.ts'
import { SAMPLES, sampleOf } from './failure-samples.ts'

describe.each(errorCodes())('the failure %s', (code) => {
  const error = sampleOf(code)

  it('has a code that can stand in a URL', () => {
    expect(code).toMatch(/^[a-z]+(?:-[a-z]+)*$/)
    expect(error.code).toBe(code)
  })

  it('has a title: a short sentence without a full stop', () => {
    expect(titleOf(code)).toMatch(/^[A-Z][^.!]{5,60}[^.!\s]$/)
    expect(error.title).toBe(titleOf(code))
  })

  it('says in a sentence what it knows', () => {
    expect(error.message).toMatch(/\S \S/)
    expect(error.message).not.toMatch(/undefined|null|NaN|\[object|\$\{/)
  })

  it('carries the details of the case', () => {
    expect(error.details).toEqual(SAMPLES[code])
  })

  it('is told from every other failure, and from what is no failure', () => {
    expect(isFailure(error)).toBe(true)
    expect(errorCodes().filter((other) => isFailure(error, other))).toEqual([code])
    expect(isFailure(new Error(code))).toBe(false)
    expect(isFailure({ code, message: error.message })).toBe(false)
  })
})

describe('the table of failures', () => {
  it('has no title twice', () => {
    expect(new Set(errorCodes().map(titleOf)).size).toBe(errorCodes().length)
  })

  it('has a sample for every code, and no other', () => {
    expect(Object.keys(SAMPLES).sort()).toEqual([...errorCodes()].sort())
  })

  it('keeps every code that is public (PROTOCOL §6)', () => {
    const published = `generation-behind head-unconfirmed blob-unavailable hold-limit booting draining
      origin-unreachable bad-generation pin-conflict name-conflict origin-diverged idempotency-mismatch
      generation-retired withdrawn generation-lost generation-unknown lineage-foreign not-found base-changed
      relay-loop stage-unknown stage-expired digest-mismatch blob-missing path-invalid version-invalid
      manifest-invalid conflict channel-frozen limit-exceeded unauthorised forbidden rate-limited disk-full
      blob-corrupt access-unconfirmed`.split(/\s+/)
    expect(published.filter((code) => !errorCodes().includes(code as ErrorCode))).toEqual([])
  })
})

describe('a failure', () => {
  it('remembers what caused it', () => {
    const cause = new Error('EIO')
    expect(failure('booting', {}, { cause }).cause).toBe(cause)
  })

  it('is an error with a stack, so that a bug in between can be found', () => {
    const error = failure('booting', {})
    expect(error).toBeInstanceOf(Error)
    expect(error).toBeInstanceOf(DepotError)
    expect(error.name).toBe('DepotError')
    expect(error.stack).toContain('failures.test.ts')
  })
})

describe('a limit that was exceeded', () => {
  it('is told together with what was found', () => {
    expect(failure('limit-exceeded', { what: 'annotations', limit: 1000, found: 1001 }).message).toBe(
      'annotations: 1001, and at most 1000 are allowed',
    )
  })

  it('is told as what is allowed, never as "more than that is allowed", when nobody counted to the end', () => {
    expect(failure('limit-exceeded', { what: 'blobs in a batch', limit: 20_000 }).message).toBe(
      'blobs in a batch: at most 20000 are allowed',
    )
  })

  it('is told also when nothing was found', () => {
    expect(failure('limit-exceeded', { what: 'x', limit: 5, found: 0 }).message).toContain('0, and at most 5')
  })
})

describe('a wait', () => {
  it.each([
    [1, 1],
    [1000, 1],
    [1001, 2],
  ])('of %d ms is told as %d s', (retryAfterMs, seconds) => {
    expect(failure('rate-limited', { retryAfterMs }).message).toContain(`wait ${seconds} s`)
  })
})
