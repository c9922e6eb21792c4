/**
 * That the checks of I8, I13, I14 and I15 find what they are for, and nothing else.
 */
import { describe, expect, it } from 'vitest'
import { active, asked, gid, history, rowsOf } from '../a-history.ts'
import { absentIsAbsent, goneIsGone, listedIsThere, negativesAreNotKept } from './negatives.ts'

const PATH = '/v1/channels/stable/manifests/foo/1.0.0'
const BLOB = `/o/sha256/${'a'.repeat(64)}`
const LOG = active(1, 2, 3, 4)
const OTHER = 'zzzzzzzzzzzz'

describe('I8: what is listed is there', () => {
  const listed = { what: 'listed', gid: gid(2), paths: [PATH] } as const
  const pinned = `/g/${gid(2)}${PATH}`
  const retired = { what: 'retired', gid: gid(2), at: 2_000 } as const

  it('holds for answers, for refusals, for other generations, and when it is retired', () => {
    const good = history(
      listed,
      retired,
      ...[200, 206, 304, 503].map((status) => asked({ url: pinned, status })),
      asked({ url: `/g/${gid(1)}${PATH}`, status: 404 }),
      asked({ url: `/g/${gid(2)}/v1/channels/stable/manifests/foo/2.0.0`, status: 404 }),
      asked({ at: 1_995, url: pinned, status: 410 }),
      asked({
        url: pinned,
        status: 404,
        through: 'nginx',
        type: 'text/html',
        generations: undefined as never,
      }),
    )
    expect(listedIsThere(good)).toEqual([])
  })

  it.each([404, 410, 412, 500])('is broken by a %d', (status) => {
    expect(rowsOf(listedIsThere(history(asked({ url: pinned, status }), retired, listed)))).toEqual([[0]])
  })
})

describe('I13: what is absent is absent', () => {
  const content = { what: 'content', path: PATH, from: gid(2), until: gid(4) } as const
  const no = { url: PATH, status: 404, at: 500 }

  it('holds before it came, after it went, and for what was not active for certain', () => {
    const good = history(
      LOG,
      content,
      asked({ ...no, at: 150, generations: [gid(1)] }),
      asked({ ...no, generations: [gid(4)] }),
      asked({ ...no, url: `/g/${gid(1)}${PATH}` }),
      asked({ ...no, url: `${PATH}.other`, generations: [gid(2)] }),
      asked({ ...no, status: 503, generations: [gid(2)] }),
      asked({ ...no, generations: ['none'] }),
      { what: 'content', path: '/staged', from: gid(7) },
    )
    expect(absentIsAbsent(good)).toEqual([])
  })

  it.each([
    ['the generation it names has it', { ...no, at: 150, generations: [gid(2)] }],
    ['a newer one had it at the start', { ...no, at: 250, generations: [gid(1)] }],
    ['the pinned one has it', { ...no, at: 150, url: `/g/${gid(3)}${PATH}` }],
    ['the one named in a header has it', { ...no, exact: gid(3), generations: [gid(3)] }],
    ['there is a query behind it', { ...no, url: `${PATH}?x=1`, generations: [gid(3)] }],
  ])('is broken when %s', (_what, bad) => {
    expect(rowsOf(absentIsAbsent(history(LOG, content, asked(bad))))).toEqual([[0]])
  })

  it('is broken for a blob too', () => {
    const blob = { what: 'content', path: BLOB, from: gid(2) } as const
    const bad = asked({ url: BLOB, status: 404, at: 900, generations: [gid(1)] })
    expect(rowsOf(absentIsAbsent(history(LOG, blob, bad)))).toEqual([[0]])
  })

  it('is broken by a node that does not know what was active, unless it was retired', () => {
    const pinned = { url: `/g/${gid(3)}/v1/channels`, status: 404, problem: 'generation-unknown' }
    const retired = { what: 'retired', gid: gid(3), at: 0 } as const
    expect(rowsOf(absentIsAbsent(history(LOG, asked({ ...pinned, at: 301 }))))).toEqual([[0]])
    expect(absentIsAbsent(history(LOG, asked({ ...pinned, at: 299 })))).toEqual([])
    expect(absentIsAbsent(history(LOG, retired, asked({ ...pinned, at: 301 })))).toEqual([])
  })
})

describe('I14: what is gone is gone', () => {
  const retired = { what: 'retired', gid: gid(2), at: 1_000 } as const
  const lineage = { what: 'lineage', id: OTHER, parent: 'abcdefghijkl', forkAt: 2 } as const
  const fork = [lineage, { what: 'active', gid: gid(1000, 'f', OTHER), at: 500 }] as const
  const gone = { url: `/g/${gid(2)}${PATH}`, status: 410, problem: 'generation-retired' }
  const lost = { url: `/g/${gid(3)}${PATH}`, status: 410, problem: 'generation-lost' }

  it('holds after the tombstone, for a lost branch, for `since`, and for stages', () => {
    const good = history(
      LOG,
      fork,
      retired,
      asked(gone),
      asked(lost),
      asked({ url: `/v1/channels/a/catalog?since=${gid(2)}`, status: 410, problem: 'generation-retired' }),
      asked({ url: '/v1/stages/s', status: 410, problem: 'stage-expired' }),
    )
    expect(goneIsGone(good)).toEqual([])
  })

  it.each([
    ['before the tombstone', asked({ ...gone, at: 980 })],
    ['without a tombstone', asked({ ...gone, url: `/g/${gid(1)}${PATH}` })],
    ['for a branch that is not lost', asked({ ...lost, url: `/g/${gid(2)}${PATH}` })],
    ['for what names no generation', asked({ url: PATH, status: 410 })],
  ])('is broken %s', (_what, bad) => {
    expect(rowsOf(goneIsGone(history(LOG, fork, retired, bad)))).toEqual([[0]])
  })
})

describe('I15: nobody keeps a no', () => {
  it('holds for what is not stored, for what is final under a pin, and for what a balancer says', () => {
    const good = history(
      asked({ status: 404 }),
      asked({ status: 412 }),
      asked({ status: 503 }),
      asked({ url: `/g/${gid(1)}${PATH}`, status: 404, cacheControl: 'public, max-age=300' }),
      asked({ status: 200, cacheControl: 'no-cache' }),
      asked({
        status: 502,
        through: 'nginx',
        type: 'text/html',
        generations: undefined as never,
        cacheControl: '',
      }),
    )
    expect(negativesAreNotKept(good)).toEqual([])
  })

  it.each([
    ['a 404', asked({ status: 404, cacheControl: 'no-cache' })],
    ['a 404 without a word', asked({ status: 404, cacheControl: undefined as never })],
    ['a 412', asked({ url: `/g/${gid(1)}${PATH}`, status: 412, cacheControl: 'public, max-age=300' })],
    ['a 503', asked({ url: `/g/${gid(1)}${PATH}`, status: 503, cacheControl: 'public, max-age=300' })],
    ['a 404 by a header', asked({ exact: gid(1), status: 404, cacheControl: 'public, max-age=300' })],
  ])('is broken by %s', (_what, bad) => {
    expect(rowsOf(negativesAreNotKept(history(bad)))).toEqual([[0]])
  })
})
