/**
 * That the checks of I1, I2 and I4 find what they are for, and nothing else.
 */
import { describe, expect, it } from 'vitest'
import { active, asked, failed, gid, history, reprDigest, rowsOf } from '../a-history.ts'
import { oneNumber, oneTree, stampedOnce } from './identity.ts'

const A = 'a'.repeat(64)
const B = 'b'.repeat(64)
const CATALOG = '/v1/channels/stable/catalog'
const BALANCER = { through: 'haproxy', type: 'text/html', status: 503, generations: undefined as never }

describe('I1: one well-formed Depot-Generation', () => {
  it('holds for every status, and for requests without an answer', () => {
    const good = history(
      asked({}),
      asked({ status: 404, generations: ['none'] }),
      asked({ url: `/o/sha256/${A}` }),
      asked({ url: '/v1/stages/s', generations: [`${gid(1)};st=staging`] }),
      failed({}),
    )
    expect(stampedOnce(good)).toEqual([])
  })

  it.each([
    ['none', undefined],
    ['two', [gid(1), gid(2)]],
    ['the same twice', [gid(1), gid(1)]],
    ['one that is none', ['g1']],
    ['a state that may be frozen', [`${gid(1)};st=active`]],
    ['nothing', ['']],
  ])('is broken by %s', (_what, generations) => {
    expect(rowsOf(stampedOnce(history(asked({ generations: generations as never }))))).toEqual([[0]])
  })

  it('says nothing of what a balancer made, but while nodes are restarted gently', () => {
    const roll = { what: 'window', trouble: 'roll', from: 900, to: 1_100 } as const
    expect(stampedOnce(history(asked(BALANCER)))).toEqual([])
    expect(rowsOf(stampedOnce(history(asked(BALANCER), roll)))).toEqual([[0]])
    expect(stampedOnce(history(asked(BALANCER), { ...roll, from: 2_000, to: 3_000 }))).toEqual([])
    expect(stampedOnce(history(asked(BALANCER), roll, { ...roll, trouble: 'kill' }))).toEqual([])
    const unrepeated = asked({ ...BALANCER, kind: 'K7', method: 'POST', status: 502 })
    expect(stampedOnce(history(unrepeated, roll))).toEqual([])
    const unsure = { ...roll, trouble: 'unsure' } as const
    const blob = `/o/sha256/${A}`
    const ofBlob = asked({ ...BALANCER, url: blob })
    expect(stampedOnce(history(ofBlob, roll, unsure))).toEqual([])
    expect(rowsOf(stampedOnce(history(ofBlob, roll)))).toEqual([[0]])
    expect(rowsOf(stampedOnce(history(ofBlob, roll, unsure, asked({ url: blob }))))).toEqual([[0]])
    expect(rowsOf(stampedOnce(history(asked(BALANCER), roll, unsure)))).toEqual([[0]])
    // Without one in between it is the node that forgot.
    expect(rowsOf(stampedOnce(history(asked({ ...BALANCER, through: undefined as never }))))).toEqual([[0]])
  })
})

describe('I2: one gid, one tree', () => {
  it('holds for one digest a path and form, however it is asked and told', () => {
    const good = history(
      asked({ url: CATALOG, digest: A }),
      asked({ url: `/g/${gid(1)}${CATALOG}`, digest: A, reprDigest: reprDigest(A) }),
      asked({ url: `/g/${gid(1)}${CATALOG}`, method: 'HEAD', reprDigest: reprDigest(A) }),
      asked({ url: `/g/${gid(1)}${CATALOG}`, status: 206, digest: B, reprDigest: reprDigest(A) }),
      asked({ url: `/g/${gid(1)}${CATALOG}?since=${gid(0)}`, digest: B }),
      asked({ url: `/g/${gid(1)}${CATALOG}`, digest: B, encoding: 'gzip' }),
      asked({ url: `/g/${gid(2)}${CATALOG}`, digest: B }),
      asked({ url: `/o/sha256/${A}`, digest: A }),
      asked({ url: '/v1/head', digest: A, error: 'ECONNRESET' }),
      asked({ url: '/v1/head', digest: B }),
      asked({ url: '/livez', digest: A }),
      asked({ url: '/livez', digest: B }),
    )
    expect(oneTree(good)).toEqual([])
  })

  it.each([
    ['two pinned answers', asked({ url: `/g/${gid(1)}${CATALOG}`, digest: B })],
    ['an unpinned and a pinned one', asked({ url: CATALOG, digest: B })],
    ['a part of another whole', asked({ url: CATALOG, status: 206, reprDigest: reprDigest(B) })],
  ])('is broken by %s', (_what, other) => {
    const first = asked({ url: `/g/${gid(1)}${CATALOG}`, digest: A })
    expect(rowsOf(oneTree(history(first, other)))).toEqual([[0, 1]])
  })

  it('lets a document about generations say less under a pin, and the same each time', () => {
    const [head, under] = ['/v1/head', `/g/${gid(1)}/v1/head`]
    const both = [asked({ url: head, digest: A }), asked({ url: under, digest: B })]
    expect(oneTree(history(...both))).toEqual([])
    expect(rowsOf(oneTree(history(...both, asked({ url: under, digest: A }))))).toEqual([[1, 2]])
    expect(rowsOf(oneTree(history(...both, asked({ url: head, digest: B }))))).toEqual([[0, 2]])
  })

  it('is broken by a blob of other bytes, and by a body that is not what it says', () => {
    expect(rowsOf(oneTree(history(asked({ url: `/o/sha256/${A}`, digest: B }))))).toEqual([[0]])
    expect(rowsOf(oneTree(history(asked({ digest: B, reprDigest: reprDigest(A) }))))).toEqual([[0]])
  })
})

describe('I4: no number twice', () => {
  it('holds with gaps, and in another lineage', () => {
    const fork = { what: 'active', gid: gid(3, 'f', 'zzzzzzzzzzzz'), at: 700 } as const
    expect(oneNumber(history(active(0, 1, 3, 6), fork, asked({}), asked({ generations: [gid(6)] })))).toEqual(
      [],
    )
  })

  it.each([
    ['another digest', { what: 'active', gid: gid(3, 'f'), at: 700 } as const],
    ['the very same again', { what: 'active', gid: gid(3), at: 700 } as const],
    ['a number that is lower', { what: 'active', gid: gid(2), at: 700 } as const],
    ['what is no gid', { what: 'active', gid: 'g3', at: 700 } as const],
  ])('is broken by %s in the log', (_what, line) => {
    expect(oneNumber(history(active(0, 1, 3), line))).toHaveLength(1)
  })

  it('is broken by a head of that number that the log does not know', () => {
    expect(rowsOf(oneNumber(history(active(0, 1), asked({ generations: [gid(1, 'f')] }))))).toEqual([[0]])
    const unlogged = history(asked({ generations: [gid(7)] }), asked({ generations: [gid(7, 'f')] }))
    expect(rowsOf(oneNumber(unlogged))).toEqual([[1]])
  })
})
