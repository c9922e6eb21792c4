/**
 * That the checks of I16, I17, I18 and I21 find what they are for, and nothing else.
 */
import { describe, expect, it } from 'vitest'
import { asked, failed, gid, history, rowsOf } from '../a-history.ts'
import type { Trouble } from '../line.ts'
import { heldBriefly, holdsAreBounded, oneHop, readsGoOn } from './bounds.ts'

const BLOB = `/o/sha256/${'a'.repeat(64)}`
const WATCH = `/v1/head?after=${gid(1)}`

function during(trouble: Trouble, from = 0, to = 9_000) {
  return { what: 'window', trouble, from, to } as const
}

describe('I16: nobody is held for longer than the budget', () => {
  it('holds within it, for each node behind a balancer, and for what is not held', () => {
    const good = history(
      asked({ at: 0, first: 2_250, end: 9_000, budget: 2_000 }),
      asked({ at: 0, end: 250, budget: 0 }),
      asked({ at: 0, end: 6_700, budget: 2_000, through: 'haproxy' }),
      asked({ at: 0, end: 25_200, url: WATCH, budget: 25_000 }),
      asked({ at: 0, end: 60_000, url: BLOB }),
    )
    expect(heldBriefly(good)).toEqual([])
  })

  it.each([
    ['an answer that comes late', asked({ at: 0, end: 2_251, budget: 2_000 })],
    ['no answer for too long', failed({ at: 0, end: 2_251, budget: 2_000 })],
    ['a budget above the bound', asked({ at: 0, end: 10_251, budget: 20_000 })],
    ['three nodes and more', asked({ at: 0, end: 6_751, budget: 2_000, through: 'haproxy' })],
    ['a watch without end', asked({ at: 0, end: 25_251, url: WATCH, budget: 30_000 })],
  ])('is broken by %s', (_what, bad) => {
    expect(rowsOf(heldBriefly(history(bad)))).toEqual([[0]])
    expect(heldBriefly(history(bad, during('stop')))).toEqual([])
  })
})

describe('I16: what nobody could help', () => {
  const bad = asked({ at: 0, end: 5_000, budget: 2_000 })

  it('excuses a request for as long as a node stood still or this machine was busy, and no longer', () => {
    for (const trouble of ['stop', 'delay', 'late'] as const) {
      expect(heldBriefly(history(bad, during(trouble, 1_000, 3_750)))).toEqual([])
      expect(rowsOf(heldBriefly(history(bad, during(trouble, 1_000, 3_700))))).toEqual([[0]])
      expect(rowsOf(heldBriefly(history(bad, during(trouble, 6_000, 9_000))))).toEqual([[0]])
    }
  })

  it('counts a moment once, however many processes it was lost for', () => {
    const twice = [during('late', 1_000, 3_000), during('late', 1_500, 3_000), during('stop', 2_000, 3_000)]
    expect(rowsOf(heldBriefly(history(bad, ...twice)))).toEqual([[0]])
  })
})

describe('I17: holds are bounded and harm nobody', () => {
  const held = (count: number, node: string, at = 0): ReturnType<typeof asked>[] =>
    Array.from({ length: count }, () =>
      asked({ at, end: at + 2_000, budget: 2_000, node: `${node};age=${at}` }),
    )
  const reads = (ms: number, at: number): ReturnType<typeof asked>[] =>
    Array.from({ length: 200 }, (_, count) =>
      asked({ at: at + count, end: at + count + ms, url: `/g/${gid(1)}/v1/head` }),
    )

  it('holds for 512 a node, one group after the other', () => {
    const good = history(held(512, 'r1'), held(512, 'r2'), held(512, 'r1', 1_500), held(600, 'r3').map(quick))
    expect(holdsAreBounded(good)).toEqual([])
  })

  it('is broken by one more', () => {
    expect(rowsOf(holdsAreBounded(history(held(513, 'r1'))))).toEqual([[512]])
  })

  it('does not count who was told at once that there are too many', () => {
    const refused = asked({
      at: 0,
      end: 2_000,
      budget: 2_000,
      node: 'r1',
      status: 503,
      problem: 'hold-limit',
    })
    expect(holdsAreBounded(history(held(512, 'r1'), refused))).toEqual([])
  })

  it('does not count who came through a balancer and may have waited elsewhere', () => {
    const through = asked({ at: 0, end: 2_000, budget: 2_000, node: 'r1', through: 'haproxy' })
    expect(holdsAreBounded(history(held(512, 'r1'), through))).toEqual([])
  })

  it('is broken when others become slow meanwhile', () => {
    const window = during('holds', 5_000, 6_000)
    expect(holdsAreBounded(history(window, reads(5, 0), reads(20, 5_000)))).toEqual([])
    expect(rowsOf(holdsAreBounded(history(window, reads(5, 0), reads(60, 5_000))))).toEqual([[]])
  })
})

describe('I18: reads go on', () => {
  const through = 'haproxy'
  const cut = asked({ at: 100, through, url: BLOB, bytes: 7, error: 'ECONNRESET' })
  const resumed = asked({ at: 200, through, url: BLOB, status: 206, range: 'bytes=7-' })

  it('holds when nothing fails, when nobody could answer, and for what is no read', () => {
    const good = history(
      during('dark', 2_000, 3_000),
      asked({ through }),
      asked({ through, status: 404 }),
      failed({ through, at: 2_500 }),
      asked({ status: 503 }),
      failed({}),
      asked({ through, method: 'POST', url: '/v1/stages', status: 503 }),
      asked({ through, url: '/readyz', status: 503 }),
      { ...failed({ through }), error: 'given up' },
    )
    expect(readsGoOn(good)).toEqual([])
    expect(readsGoOn(history(during('kill'), cut, resumed))).toEqual([])
  })

  it.each([
    ['a refusal', asked({ through, status: 503 })],
    ['a 502 of the balancer', asked({ through, status: 502, generations: undefined as never })],
    ['no answer', failed({ through })],
    ['no answer to a HEAD', failed({ through, method: 'HEAD' })],
  ])('is broken by %s, whatever goes on', (_what, bad) => {
    expect(rowsOf(readsGoOn(history(bad)))).toEqual([[0]])
    expect(rowsOf(readsGoOn(history(during('kill'), bad)))).toEqual([[0]])
    expect(rowsOf(readsGoOn(history(during('roll'), bad)))).toEqual([[0]])
  })

  it.each([
    ['nobody was killed', [during('roll'), cut, resumed]],
    ['nobody goes on with it', [during('kill'), cut]],
    ['somebody else goes on with it', [during('kill'), cut, { ...resumed, client: 'd' }]],
    ['what went on was before', [during('kill'), cut, { ...resumed, start: 50, end: 60 }]],
    ['going on is refused', [during('kill'), cut, { ...resumed, status: 404 }]],
  ])('is broken by a cut body when %s', (_what, lines) => {
    expect(rowsOf(readsGoOn(history(...lines)))).toEqual([[0]])
  })

  const refused = asked({ through, status: 503, problem: 'origin-unreachable', node: 'r1' })
  const ofBalancer = asked({
    through,
    url: BLOB,
    status: 502,
    type: 'text/html',
    generations: undefined as never,
  })
  const left = { ...failed({ through }), error: 'fetch failed: other side closed' }

  it.each([
    ['a node refuses what nobody can know while the origin is away', [during('unsure'), refused]],
    ['a body is cut off with the link that it came over', [during('link'), cut, resumed]],
    [
      'a catalog that was cut off is taken anew',
      [during('kill'), cut, { ...resumed, range: undefined as never }],
    ],
    ['a balancer that starts anew lets go of a connection', [during('reload'), left]],
    [
      'a node refuses a HEAD, which cannot say why',
      [during('unsure'), { ...refused, method: 'HEAD', problem: undefined as never }],
    ],
    ['a balancer ends with a node that is away, for what is nowhere', [during('unsure'), ofBalancer]],
    ['nothing but the end of a body is cut off', [{ ...cut, length: 7 }]],
  ])('holds when %s', (_what, lines) => {
    expect(readsGoOn(history(...lines))).toEqual([])
  })

  it.each([
    ['a node refuses although the origin is there', [refused]],
    ['it refuses for another reason', [during('unsure'), { ...refused, problem: 'draining' }]],
    [
      'a balancer refuses meanwhile',
      [during('unsure'), asked({ through, status: 503, type: 'text/html', generations: undefined as never })],
    ],
    ['a balancer lets go of a connection for nothing', [left]],
    ['a balancer refuses for nothing what is nowhere', [ofBalancer]],
    ['a balancer refuses meanwhile what somebody has', [during('unsure'), ofBalancer, asked({ url: BLOB })]],
    ['a node refuses a HEAD although the origin is there', [{ ...refused, method: 'HEAD' }]],
    ['the last byte of a body is cut off as well', [during('kill'), { ...cut, length: 8 }]],
  ])('is broken when %s', (_what, lines) => {
    expect(rowsOf(readsGoOn(history(...lines)))).toEqual([[0]])
  })

  it('takes the last of several for going on', () => {
    const again = { ...resumed, start: 300, end: 310 }
    expect(readsGoOn(history(during('kill'), again, cut, resumed))).toEqual([])
  })
})

describe('I21: one hop', () => {
  const redirect = { status: 307, location: '/g/x' }

  it('holds for one redirect and what comes of it', () => {
    const good = history(asked(redirect), asked({ hop: 1 }), asked({ relayed: 'r1' }))
    expect(oneHop(good)).toEqual([])
  })

  it.each([
    ['a redirect after one', asked({ ...redirect, hop: 1 })],
    ['an answer after two', asked({ hop: 2 })],
    ['a relay loop', asked({ status: 508 })],
    ['a relay of a relay', asked({ relayed: 'r1, r2' })],
  ])('is broken by %s', (_what, bad) => {
    expect(rowsOf(oneHop(history(bad)))).toEqual([[0]])
  })
})

function quick<Request extends { readonly start: number }>(
  request: Request,
): Request & { readonly end: number } {
  return { ...request, end: request.start + 400 }
}
