/**
 * That the checks of I5, I6, I7, I9, I10 and I12 find what they are for, and nothing else.
 */
import { describe, expect, it } from 'vitest'
import { active, asked, gid, history, rowsOf } from '../a-history.ts'
import { aboveFloor, committedIsRead, floorsRise, monotonic, oneSession, pinnedIsExact } from './order.ts'

const CATALOG = '/v1/channels/stable/catalog'
const OTHER = 'zzzzzzzzzzzz'
const LOG = active(1, 2, 3)
const FORK = [
  { what: 'lineage', id: OTHER, parent: 'abcdefghijkl', forkAt: 2 },
  { what: 'active', gid: gid(1000, 'f', OTHER), at: 400 },
] as const
const of = (number: number): { readonly generations: readonly string[] } => ({ generations: [gid(number)] })

describe('I5: the head never goes back', () => {
  it('holds for reads that overlap, whatever they say', () => {
    const good = history(
      LOG,
      asked({ at: 100, ...of(1) }),
      asked({ at: 200, end: 300, ...of(3) }),
      asked({ at: 250, end: 260, ...of(2) }),
      asked({ at: 255, end: 310, ...of(1) }),
      asked({ at: 300, ...of(2) }),
      asked({ at: 301, ...of(3) }),
      // A pin, a blob, a refusal and a read without an answer say nothing of the head.
      asked({ at: 400, url: `/g/${gid(1)}/v1/head` }),
      asked({ at: 400, exact: gid(1) }),
      asked({ at: 400, status: 503, ...of(1) }),
      asked({ at: 400, url: '/v1/channels/stable/manifests/foo/1.0.0', ...of(1) }),
    )
    expect(monotonic(good)).toEqual([])
  })

  it.each([200, 304, 307])('is broken by a later %d that is older, whoever asks', (status) => {
    const bad = history(
      LOG,
      asked({ at: 100, ...of(2), client: 'a' }),
      asked({ at: 105, end: 500, ...of(3), client: 'b' }),
      asked({ at: 111, ...of(1), status, url: CATALOG, client: 'c' }),
    )
    expect(rowsOf(monotonic(bad))).toEqual([[0, 2]])
  })

  it('is broken whatever the order of the lines, and goes by the log and not by numbers', () => {
    const [one, two] = [
      asked({ at: 200, ...of(3) }),
      asked({ at: 100, generations: [gid(1000, 'f', OTHER)] }),
    ]
    expect(rowsOf(monotonic(history(LOG, FORK, one, two)))).toEqual([[1, 0]])
  })

  it('shows the newest that was read before', () => {
    const reads = [asked({ at: 0, ...of(2) }), asked({ at: 20, ...of(3) }), asked({ at: 40, ...of(1) })]
    expect(rowsOf(monotonic(history(LOG, reads)))).toEqual([[1, 2]])
  })

  it('is broken by a head that never was active', () => {
    expect(rowsOf(monotonic(history(LOG, asked(of(9)))))).toEqual([[0]])
  })
})

describe('I10: what was committed is read', () => {
  const commit = asked({ method: 'POST', url: '/v1/stages/s/commit', status: 201, made: gid(2), ...of(2) })

  it('holds for reads that started before its answer, and for one that is only sealed', () => {
    const early = asked({ at: 1_005, end: 2_000, ...of(1) })
    expect(committedIsRead(history(LOG, commit, early, asked({ at: 1_011, ...of(2) })))).toEqual([])
    expect(committedIsRead(history(LOG, { ...commit, status: 202 }, asked({ at: 1_011, ...of(1) })))).toEqual(
      [],
    )
  })

  it('is broken by a later read without it', () => {
    expect(rowsOf(committedIsRead(history(LOG, commit, asked({ at: 1_011, ...of(1) }))))).toEqual([[0, 1]])
  })
})

describe('I6: never below the floor', () => {
  it('holds at the floor and above, for a refusal, and for a blob', () => {
    const good = history(
      LOG,
      FORK,
      asked({ min: gid(2), ...of(2) }),
      asked({ min: gid(2), ...of(3) }),
      asked({ min: gid(2), generations: [gid(1000, 'f', OTHER)] }),
      asked({ min: gid(3), status: 503, ...of(1) }),
      asked({ min: gid(3), status: 412, ...of(1) }),
      // To another node, which may have it; a pinned URL would be an answer.
      asked({ min: gid(3), status: 307, location: 'http://r2/v1/head?_h=1', ...of(1) }),
      asked({ min: gid(3), url: `/o/sha256/${'a'.repeat(64)}` }),
      asked({ min: 'head', at: 450, generations: [gid(1000, 'f', OTHER)] }),
      asked({ min: 'head', at: 250, ...of(2) }),
    )
    expect(aboveFloor(good)).toEqual([])
  })

  it.each([
    ['an older one', asked({ min: gid(3), ...of(2) })],
    ['a 304', asked({ min: gid(3), status: 304, ...of(2) })],
    ['a pin below it', asked({ min: gid(3), url: `/g/${gid(2)}${CATALOG}` })],
    [
      'a 404 of a name',
      asked({ min: gid(3), status: 404, url: '/v1/channels/a/manifests/b/1.0.0', ...of(2) }),
    ],
    ['another digest', asked({ min: gid(2, 'f'), ...of(2) })],
    ['a lost branch', asked({ min: gid(3), generations: [gid(1000, 'f', OTHER)] })],
    ['a head that was not confirmed', asked({ min: 'head', at: 350, ...of(2) })],
  ])('is broken by %s', (_what, bad) => {
    expect(rowsOf(aboveFloor(history(LOG, FORK, bad)))).toEqual([[0]])
  })
})

describe('I7: exactly the pin', () => {
  it('holds for the pin by URL and by header, for blobs and for refusals', () => {
    const good = history(
      asked({ url: `/g/${gid(2)}${CATALOG}` }),
      asked({ url: CATALOG, exact: gid(2), ...of(2) }),
      asked({ url: `/g/${gid(2)}${CATALOG}`, status: 404, ...of(1) }),
      asked({ url: `/g/${gid(2)}/o`, generations: ['any'] }),
    )
    expect(pinnedIsExact(good)).toEqual([])
  })

  it.each([200, 206, 304])('is broken by a %d of another one', (status) => {
    const byUrl = asked({ url: `/g/${gid(2)}${CATALOG}`, status, ...of(3) })
    const byHeader = asked({ url: CATALOG, exact: gid(2), status, ...of(3) })
    expect(rowsOf(pinnedIsExact(history(byUrl, byHeader)))).toEqual([[0], [1]])
  })
})

describe('I9: a session is of one generation', () => {
  const read = { session: 's', url: CATALOG }

  it('holds when others read others', () => {
    const good = history(
      asked({ ...read, ...of(1) }),
      asked({ ...read, ...of(2), session: 't' }),
      asked({ url: CATALOG, ...of(3) }),
      asked({ ...read, url: `/o/sha256/${'a'.repeat(64)}` }),
      asked({ ...read, ...of(2), status: 503 }),
      asked({ ...read, ...of(2), url: '/v1/keys', kind: 'K0' }),
    )
    expect(oneSession(good)).toEqual([])
  })

  it('is broken by two', () => {
    expect(rowsOf(oneSession(history(asked({ ...read, ...of(1) }), asked({ ...read, ...of(2) }))))).toEqual([
      [0, 1],
    ])
  })
})

describe('I12: floors rise', () => {
  it('holds for each client by itself, and for a lineage that was accepted', () => {
    const good = history(
      LOG,
      asked({ at: 2, floor: gid(2) }),
      asked({ at: 1, floor: gid(1) }),
      asked({ at: 3, floor: gid(2) }),
      asked({ at: 4, client: 'd', floor: gid(1) }),
      asked({ at: 5 }),
      asked({ at: 6, floor: gid(1000, 'f', OTHER), accepted: OTHER }),
    )
    expect(floorsRise(good)).toEqual([])
  })

  it.each([
    ['a lower one', { floor: gid(1) }],
    ['a lineage that was not accepted', { floor: gid(9, 'a', OTHER) }],
    ['one where another was accepted', { floor: gid(9, 'a', OTHER), accepted: 'yyyyyyyyyyyy' }],
  ])('is broken by %s', (_what, later) => {
    const bad = history(LOG, asked({ at: 1, floor: gid(2) }), asked({ at: 2, ...later }))
    expect(rowsOf(floorsRise(bad))).toEqual([[0, 1]])
  })
})
