/**
 * That the checks of I23 to I26 find what they are for, and nothing else.
 */
import { describe, expect, it } from 'vitest'
import { asked, gid, history, reprDigest, rowsOf } from '../a-history.ts'
import { headIsLikeGet, headIsNotFrozen, resumedIsWhole, unchangedIsSame } from './http.ts'

const A = 'a'.repeat(64)
const B = 'b'.repeat(64)
const BLOB = `/o/sha256/${A}`
const CATALOG = '/v1/channels/stable/catalog'
const tag = (number: number): string => `"${gid(number)}/sha256-${A}"`

describe('I23: a 304 is of the generation in its ETag', () => {
  it('holds for a match, for a pin, and for a watch that timed out', () => {
    const good = history(
      asked({ status: 304, ifNoneMatch: tag(1), etag: tag(1) }),
      asked({ status: 304, ifNoneMatch: `${tag(3)}, ${tag(1)}` }),
      asked({ status: 304, ifNoneMatch: `"sha256-${A}"`, url: `/g/${gid(1)}${CATALOG}` }),
      asked({ status: 304, url: `/v1/head?after=${gid(1)}` }),
      asked({ status: 200, ifNoneMatch: tag(2) }),
    )
    expect(unchangedIsSame(good)).toEqual([])
  })

  it.each([
    ['another generation', { etag: tag(2), ifNoneMatch: tag(2) }],
    ['another generation that was only asked for', { ifNoneMatch: tag(2) }],
    ['an ETag without one', { etag: `"sha256-${A}"`, ifNoneMatch: `"sha256-${A}"` }],
  ])('is broken by %s', (_what, said) => {
    expect(rowsOf(unchangedIsSame(history(asked({ status: 304, url: CATALOG, ...said }))))).toEqual([[0]])
  })
})

describe('I24: what went on is whole', () => {
  const piece = { url: BLOB, status: 206, range: 'bytes=7-' }

  it('holds for the right bytes, and for an end without a word about the whole', () => {
    const good = history(
      asked({ ...piece, whole: A, ifRange: `"sha256-${A}"`, etag: `"sha256-${A}"` }),
      asked({ ...piece, url: '/x', whole: B, reprDigest: reprDigest(B) }),
      asked({ ...piece, url: '/x', whole: B, etag: `"sha256-${B}"` }),
      asked({ ...piece }),
      asked({ ...piece, status: 200, ifRange: `"sha256-${B}"`, etag: `"sha256-${A}"` }),
    )
    expect(resumedIsWhole(good)).toEqual([])
  })

  it.each([
    ['bytes that are not of the URL', { whole: B }],
    ['bytes that are not of Repr-Digest', { url: '/x', whole: B, reprDigest: reprDigest(A) }],
    ['bytes that are not of the ETag', { url: '/x', whole: B, etag: `"sha256-${A}"` }],
    ['a piece of another thing', { ifRange: `"sha256-${A}"`, etag: `"sha256-${B}"` }],
    ['a piece of who knows what', { ifRange: `"sha256-${A}"` }],
  ])('is broken by %s', (_what, said) => {
    expect(rowsOf(resumedIsWhole(history(asked({ ...piece, ...said }))))).toEqual([[0]])
  })
})

describe('I25: HEAD is like GET', () => {
  const url = `/g/${gid(1)}${CATALOG}`
  const head = { url, method: 'HEAD', etag: '"x"', length: 10 }
  const get = { url, etag: '"x"', length: 10, bytes: 10 }

  it('holds for the same, in each form and generation, and while a node refuses', () => {
    const good = history(
      asked(head),
      asked(get),
      asked({ ...get, length: undefined as never }),
      asked({ ...get, encoding: 'gzip', etag: '"x;gzip"', length: 5 }),
      asked({ ...head, url: CATALOG, generations: [gid(2)], etag: '"y"' }),
      asked({ ...get, status: 503 }),
      asked({ url: BLOB, status: 206 }),
      asked({ url, status: 206 }),
    )
    expect(headIsLikeGet(good)).toEqual([])
  })

  it.each([
    ['status', { ...get, status: 404 }],
    ['ETag', { ...get, etag: '"y"' }],
    ['length', { ...get, length: 11 }],
    ['length', { ...get, length: undefined as never, bytes: 11 }],
  ])('is broken by another %s', (what, other) => {
    const found = headIsLikeGet(history(asked(other), asked(head)))
    expect(rowsOf(found)).toEqual([[1, 0]])
    expect(found[0]?.sentence).toContain(what)
  })

  it('is broken by a piece of what changes with the head', () => {
    expect(rowsOf(headIsLikeGet(history(asked({ url: CATALOG, status: 206 }))))).toEqual([[0]])
  })
})

describe('I26: no cache freezes Depot-Head', () => {
  it('holds beside no-store and no-cache, and with an age of nothing', () => {
    const head = gid(1)
    const good = ['no-store', 'no-cache', 'max-age=0', undefined as never]
    expect(headIsNotFrozen(history(good.map((cacheControl) => asked({ head, cacheControl }))))).toEqual([])
    expect(headIsNotFrozen(history(asked({ cacheControl: 'max-age=5' })))).toEqual([])
  })

  it.each(['max-age=1', 'public, s-maxage=10', 'public, max-age=604800, immutable'])(
    'is broken beside %s',
    (cacheControl) => {
      expect(rowsOf(headIsNotFrozen(history(asked({ head: gid(1), cacheControl }))))).toEqual([[0]])
    },
  )
})
