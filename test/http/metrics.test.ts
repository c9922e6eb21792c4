/** Metrics as Prometheus reads them: text exposition format 0.0.4. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Metrics } from '../../src/http/metrics.ts'

interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

interface Exposition {
  readonly types: ReadonlyMap<string, string>
  readonly samples: readonly Sample[]
}

const DURATION = 'depot_http_request_duration_seconds'
const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/
const VALUE = /^[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?$|^NaN$/
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/g

/** Reads an exposition as strictly as the format is; fails on a line that it does not allow. */
function read(text: string): Exposition {
  const types = new Map<string, string>()
  const samples: Sample[] = []
  const faults: string[] = text.endsWith('\n') ? [] : ['the end']
  const spoken = new Set<string>()
  for (const line of text.trimEnd().split('\n')) {
    const [, kind, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? []
    const key = kind === undefined ? (line.split(' ')[0] ?? '') : `${kind} ${name}`
    const sample = kind === undefined ? sampleOf(line) : undefined
    if (spoken.has(key) || (kind === undefined && sample === undefined)) faults.push(line)
    spoken.add(key)
    if (kind === 'TYPE') types.set(name, rest)
    if (sample !== undefined && ![...types.keys()].some((type) => belongs(sample.name, type)))
      faults.push(line)
    if (sample !== undefined) samples.push(sample)
  }
  expect(faults).toEqual([])
  expect(['counter', 'gauge', 'histogram']).toEqual(expect.arrayContaining([...types.values()]))
  return { types, samples }
}

function sampleOf(line: string): Sample | undefined {
  const [, name, labels = '', value = ''] = LINE.exec(line) ?? []
  const pairs = [...labels.matchAll(LABEL)]
  if (name === undefined || !VALUE.test(value) || pairs.map(([pair]) => pair).join('') !== labels)
    return undefined
  return {
    name,
    labels: Object.fromEntries(pairs.map(([, label = '', text = '']) => [label, text])),
    value: Number(value),
  }
}

function belongs(name: string, type: string): boolean {
  return name === type || ['_bucket', '_sum', '_count'].some((ending) => name === type + ending)
}

/** The histogram of one route: upper end -> how many, the sum and the count. */
function histogramOf(
  metrics: Metrics,
  route: string,
): { buckets: Map<number, number>; sum: number; count: number } {
  const own = read(metrics.text()).samples.filter(({ labels }) => labels['route'] === route)
  const one = (name: string): number => {
    const found = own.filter((sample) => sample.name === name)
    expect(found).toHaveLength(1)
    return found[0]?.value ?? Number.NaN
  }
  const buckets = own.filter(({ name }) => name === `${DURATION}_bucket`)
  return {
    buckets: new Map(
      buckets.map(({ labels, value }) => [Number((labels['le'] ?? '').replace('+Inf', 'Infinity')), value]),
    ),
    sum: one(`${DURATION}_sum`),
    count: one(`${DURATION}_count`),
  }
}

describe('the metrics', () => {
  it('are an exposition also before anything was counted', () => {
    const { types, samples } = read(new Metrics().text())
    expect([...types]).toEqual([[DURATION, 'histogram']])
    expect(samples).toEqual([])
  })

  it('count every answer in all buckets that it fits: cumulative, up to +Inf, which is the count', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 60, noNaN: true })), (durations) => {
        const metrics = new Metrics()
        metrics.count('GET', '/a', 200, 0)
        for (const seconds of durations) metrics.count('GET', '/a', 200, seconds)
        const { buckets, sum, count } = histogramOf(metrics, '/a')
        const all = [0, ...durations]
        for (const [end, below] of buckets) expect(below).toBe(all.filter((seconds) => seconds <= end).length)
        expect([...buckets.keys()]).toEqual([...buckets.keys()].sort((a, b) => a - b))
        expect([...buckets.keys()].at(-1)).toBe(Number.POSITIVE_INFINITY)
        expect(buckets.size).toBeGreaterThan(10)
        expect(count).toBe(all.length)
        expect(sum).toBeCloseTo(
          all.reduce((a, b) => a + b),
          6,
        )
      }),
    )
  })

  it('tell methods, routes and statuses apart', () => {
    const metrics = new Metrics()
    metrics.count('GET', '/v1/channels/:channel', 200, 0.1)
    metrics.count('GET', '/v1/channels/:channel', 404, 0.1)
    metrics.count('HEAD', '/v1/channels/:channel', 200, 0.1)
    metrics.count('GET', '/v1/channels/:channel', 200, 0.1)
    const counts = read(metrics.text()).samples.filter(({ name }) => name === `${DURATION}_count`)
    expect(counts.map(({ labels, value }) => [labels['method'], labels['status'], value])).toEqual([
      ['GET', '200', 2],
      ['GET', '404', 1],
      ['HEAD', '200', 1],
    ])
  })

  it('show a gauge as it is when somebody asks', () => {
    const metrics = new Metrics()
    let value = 1
    metrics.gauge({ name: 'depot_open_stages', help: 'Stages that are open.', read: () => value })
    const shown = (): unknown => read(metrics.text()).samples.map(({ name, value: now }) => [name, now])
    expect(read(metrics.text()).types.get('depot_open_stages')).toBe('gauge')
    expect(shown()).toEqual([['depot_open_stages', 1]])
    value = 1.5e-7
    expect(shown()).toEqual([['depot_open_stages', 1.5e-7]])
  })

  it('show a number for each word of a label', () => {
    const metrics = new Metrics()
    const values = new Map([
      ['fresh', 2],
      ['lag', 1],
    ])
    metrics.gauge({ name: 'depot_nodes', help: 'x', read: () => ({ label: 'state', values }) })
    expect(read(metrics.text()).samples).toEqual([
      { name: 'depot_nodes', labels: { state: 'fresh' }, value: 2 },
      { name: 'depot_nodes', labels: { state: 'lag' }, value: 1 },
    ])
  })

  it('count methods that no route has together, whatever a client makes up', () => {
    const metrics = new Metrics()
    for (const method of ['PROPFIND', 'MKCOL', 'x"} 1']) metrics.count(method, 'none', 405, 0.1)
    const counts = read(metrics.text()).samples.filter(({ name }) => name === `${DURATION}_count`)
    expect(counts.map(({ labels, value }) => [labels['method'], value])).toEqual([['other', 3]])
  })

  it.each([
    [Number.NaN, 'NaN'],
    [1e21, '1e+21'],
    [0, '0'],
  ])('write %d as %s', (value, text) => {
    const metrics = new Metrics()
    metrics.gauge({ name: 'depot_x', help: 'x', read: () => value })
    expect(metrics.text()).toContain(`\ndepot_x ${text}\n`)
    read(metrics.text())
  })
})

describe('a number that only grows', () => {
  it('is shown as a counter', () => {
    const metrics = new Metrics()
    metrics.gauge({ kind: 'counter', name: 'depot_x_total', help: 'x', read: () => 3 })
    const { types, samples } = read(metrics.text())
    expect(types.get('depot_x_total')).toBe('counter')
    expect(samples).toEqual([{ name: 'depot_x_total', labels: {}, value: 3 }])
  })
})

describe('the reader of this test', () => {
  it.each([
    ['no new line at the end', '# TYPE a gauge\na 1'],
    ['a value without a type before it', 'a 1\n'],
    ['a value twice', '# TYPE a gauge\na 1\na 2\n'],
    ['a type twice', '# TYPE a gauge\n# TYPE a gauge\n'],
    ['a label that does not end', '# TYPE a gauge\na{b="c} 1\n'],
    ['a quote in a label', '# TYPE a gauge\na{b="c"d"} 1\n'],
    ['no number', '# TYPE a gauge\na undefined\n'],
    ['an unknown type', '# TYPE a number\na 1\n'],
  ])('refuses %s', (_, text) => {
    expect(() => read(text)).toThrow()
  })
})

describe('more routes than the API has', () => {
  it('are bounded in memory, and counted together', () => {
    const metrics = new Metrics()
    for (let at = 0; at < 1500; at += 1) metrics.count('GET', `/${at}`, 200, 0.1)
    metrics.count('GET', '/0', 200, 0.1)
    const counts = read(metrics.text()).samples.filter(({ name }) => name === `${DURATION}_count`)
    expect(counts.length).toBeLessThanOrEqual(1001)
    expect(counts.reduce((sum, { value }) => sum + value, 0)).toBe(1501)
    expect(histogramOf(metrics, '/0').count).toBe(2)
    expect(histogramOf(metrics, 'other').count).toBe(500)
  })
})
