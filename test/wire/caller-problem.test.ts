import { describe, expect, it } from 'vitest'
import { problemOf } from '../../src/http/problem.ts'
import { DepotError, errorCodes } from '../../src/model/errors.ts'
import { detailsOf, problemIn } from '../../src/wire/caller-problem.ts'
import { problemType } from '../../src/wire/paths.ts'

const SAMPLES: Readonly<Record<string, unknown>> = {
  text: 'g42.k3x7m2q5wz4a.9f3ab2c41d07e655',
  number: 7,
  flag: true,
  texts: ['sha256:00', 'sha256:01'],
  inodes: { free: 1, reserve: 1_000 },
  conflicts: [
    { channel: 'stable', name: 'left-pad', version: '1.0.0', reason: 'changed' },
    { channel: 'old', reason: 'deleted' },
  ],
}

/** Details of the right kind for a code; those that may be absent as well, if asked. */
function sampleOf(code: DepotError['code'], full: boolean): Record<string, unknown> {
  const members = Object.entries(detailsOf(code)).filter(([, kind]) => full || !kind.endsWith('?'))
  return Object.fromEntries(members.map(([member, kind]) => [member, SAMPLES[kind.replace('?', '')]]))
}

describe('a problem document', () => {
  it.each(errorCodes())('of %s becomes the failure it was made of', (code) => {
    for (const full of [true, false]) {
      const error = new DepotError(code, sampleOf(code, full))
      const { body } = problemOf(error, 'req-1', 'g42.k3x7m2q5wz4a.9f3ab2c41d07e655')
      const back = problemIn(JSON.stringify({ ...body, stranger: 'no part of it' }))
      expect(back).toBeInstanceOf(DepotError)
      expect(back?.code).toBe(code)
      // `internal` names the request, which is just what RFC 9457 calls the instance.
      const named = code === 'internal' ? { instance: 'req-1' } : {}
      expect(back?.details).toEqual({ ...error.details, ...named })
    }
  })

  it.each(errorCodes())('of %s has no detail that is called like a member of RFC 9457', (code) => {
    const taken = ['type', 'title', 'status', 'detail', ...(code === 'internal' ? [] : ['instance'])]
    expect(Object.keys(detailsOf(code)).filter((member) => taken.includes(member))).toEqual([])
  })

  it('of a type with an absolute URL is understood too', () => {
    const body = { type: `https://depot.example${problemType('draining')}` }
    expect(problemIn(JSON.stringify(body))?.code).toBe('draining')
  })

  it.each([
    ['no JSON', '<html>'],
    ['no object', '[]'],
    ['no type', '{"title":"x"}'],
    ['a type that is no text', '{"type":7}'],
    ['an unknown code', '{"type":"/problems/made-up"}'],
    ['a code that every object has', '{"type":"/problems/constructor"}'],
    ['a missing detail', '{"type":"/problems/not-found"}'],
    ['a detail of another kind', '{"type":"/problems/not-found","what":{"toString":1}}'],
    ['inodes of another form', '{"type":"/problems/disk-full","free":1,"needed":1,"inodes":{"free":"1"}}'],
    ['conflicts of another form', '{"type":"/problems/conflict","total":1,"conflicts":[{"channel":1}]}'],
  ])('with %s is none', (_, text) => {
    expect(problemIn(text)).toBeUndefined()
  })
})
