/**
 * The whole checker: files in, a report out, and quick enough for a long soak.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { active, asked, gid, history } from './a-history.ts'
import { CHECKS, CHECKS_OF_FENCE, check, reportTold } from './check.ts'
import { History, readHistory } from './history.ts'
import { kindOf } from './line.ts'

const CATALOG = '/v1/channels/stable/catalog'

describe('the report of a history', () => {
  it('is empty where all is well', () => {
    const { cases, ...rest } = check(history(active(1), asked({})))
    expect(rest).toEqual({
      requests: 1,
      violations: [],
      apart: [],
      ofBalancers: {},
      stock: { sessions: 0, mixed: 0, back: 0, notFound: 0 },
    })
    expect(cases).toMatchObject({ I1: 1, I4: 1, I5: 1, I8: 0, I13: 0, I27: 0 })
  })

  it('tells I5 apart, counts what balancers made, and shows the requests', () => {
    const bad = history(
      active(1, 2),
      asked({ at: 0, generations: [gid(2)] }),
      asked({ at: 20, node: 'r2;role=replica;age=0.4' }),
      asked({ through: 'nginx', status: 502, type: 'text/html', generations: undefined as never }),
      asked({ generations: ['nonsense'], min: gid(1) }),
    )
    const report = check(bad)
    expect(report.apart.map(({ invariant }) => invariant)).toEqual(['I5', 'I5'])
    expect(report.ofBalancers).toEqual({ nginx: 1 })
    expect(report.violations.map(({ invariant }) => invariant)).toEqual(['I1', 'I18'])
    const told = reportTold(bad, report)
    expect(told).toContain('1 answers that nginx made itself')
    expect(told).toContain(
      [
        'I5: the head went back',
        `    0.0..10.0 c K1 GET /v1/head -> 200 ${gid(2)}`,
        `    20.0..30.0 c K1 GET /v1/head -> 200 ${gid(1)} node=r2;role=replica`,
      ].join('\n'),
    )
  })

  it.each([
    ['I2', [asked({ url: CATALOG, digest: 'a' }), asked({ url: CATALOG, digest: 'b', through: 'nginx' })]],
    ['I6', [asked({ min: gid(2), through: 'nginx' })]],
    ['I7', [asked({ url: `/g/${gid(2)}${CATALOG}`, generations: [gid(1)], through: 'nginx' })]],
    [
      'I8',
      [
        { what: 'listed', gid: gid(1), paths: ['/x'] } as const,
        asked({ url: `/g/${gid(1)}/x`, status: 404, through: 'nginx' }),
      ],
    ],
  ])('says I27 beside %s when it was behind a cache', (invariant, lines) => {
    const found = check(history(active(1, 2), lines)).violations
    expect(found.map((violation) => violation.invariant)).toEqual([invariant, 'I27'])
    const direct = lines.map((line) => ({ ...line, through: 'haproxy' }))
    expect(check(history(active(1, 2), direct)).violations.map((one) => one.invariant)).toEqual([invariant])
  })

  it('keeps the first of very many', () => {
    const { violations } = check(history(Array.from({ length: 1_000 }, () => asked({ generations: [''] }))))
    expect(violations).toHaveLength(26)
    expect(violations.at(-1)).toMatchObject({ invariant: 'I1', sentence: 'and 975 more of them' })
  })
})

describe('reading a history', () => {
  it('takes several files, in any order, and leaves out a line that was not finished', async () => {
    await using folder = await temporaryFolder()
    const [one, two] = [join(folder.path, 'one'), join(folder.path, 'two')]
    const text = (lines: readonly object[]): string =>
      lines.map((line) => `${JSON.stringify(line)}\n`).join('')
    await writeFile(one, `${text([asked({ at: 20 }), asked({ url: '/ä\u{1F600}' })])}{"what":"requ`)
    await writeFile(two, text([...active(1, 2), asked({ at: 0, generations: [gid(2)] })]))
    const read = await readHistory(one, two)
    expect(read.length).toBe(3)
    expect(read.url(1)).toBe('/ä\u{1F600}')
    expect(read.order.rankOf(gid(2))).toBe(1)
    expect(check(read).apart.map(({ rows }) => rows)).toContainEqual([2, 0])
  })

  it('gives back what was written', () => {
    const line = asked({
      url: `/g/${gid(1)}/x?y=1`,
      method: 'HEAD',
      first: 1_003,
      budget: 5,
      hop: 1,
      length: 0,
    })
    const read = history(line, asked({}))
    expect([read.url(0), read.method(0), read.kind(0)]).toEqual([line.url, 'HEAD', 'K5'])
    for (const field of ['first', 'budget', 'hop', 'length'] as const)
      expect(read.number(field, 0)).toBe(line[field])
    expect([read.number('budget', 1), read.number('first', 1)]).toEqual([Number.NaN, Number.NaN])
    expect([read.number('hop', 1), read.text('etag', 1)]).toEqual([0, undefined])
  })

  it('judges 300,000 requests in seconds, and keeps them in few bytes', () => {
    const history = new History()
    for (const line of active(...Array.from({ length: 300 }, (_, number) => number))) history.add(line)
    const before = process.memoryUsage()
    for (let at = 0; at < 300_000; at += 1) {
      const number = Math.floor(at / 1_000)
      const url = at % 2 === 0 ? CATALOG : `/g/${gid(number)}/v1/channels/stable/files/foo/${at % 977}`
      history.add(asked({ at: at + 1_000, client: `c${at % 50}`, url, generations: [gid(number)] }))
    }
    const after = process.memoryUsage()
    const bytes = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers
    expect(bytes / history.length).toBeLessThan(1_000)
    const begun = performance.now()
    expect(check(history).violations).toEqual([])
    expect(performance.now() - begun).toBeLessThan(30_000)
  })
})

describe('the checks', () => {
  it('are those that can be seen in a history', () => {
    expect([...Object.keys(CHECKS), ...Object.keys(CHECKS_OF_FENCE), 'I27']).toHaveLength(23)
  })

  it.each([
    ['GET', '/readyz', 'K0'],
    ['GET', '/problems/draining', 'K0'],
    ['GET', '/v1/keys', 'K0'],
    ['POST', '/v1/keys', 'K7'],
    ['GET', '/v1/head?after=g1', 'K1'],
    ['GET', '/v1/channels/stable/catalog?since=g1', 'K1'],
    ['GET', '/v1/generations', 'K1'],
    ['GET', '/v1/channels/stable/manifests/foo', 'K2'],
    ['HEAD', '/v1/channels/stable/manifests/@a%2Fb/1.0.0', 'K3'],
    ['GET', '/v1/channels/stable/files/foo/1.0.0/a/b', 'K3'],
    ['GET', '/o/sha256/00', 'K4'],
    ['GET', '/g/g1/v1/head', 'K5'],
    ['GET', '/v1/stages/s/preview/v1/channels', 'K6'],
    ['POST', '/v1/stages', 'K7'],
    ['POST', '/v1/rollback', 'K7'],
  ])('take %s %s for %s', (method, url, kind) => {
    expect(kindOf(method, url)).toBe(kind)
  })
})
