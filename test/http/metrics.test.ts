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
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/g

/** Reads an exposition as strictly as the format is; fails on a line that it does not allow. */
function read(text: string): Exposition {
  expect(text.endsWith('\n')).toBe(true)
  const types = new Map<string, string>()
  const samples: Sample[] = []
  for (const line of text.slice(0, -1).split('\n')) {
    const [, kind, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? []
    if (kind === 'TYPE') {
      expect(types.has(name)).toBe(false)
      expect(['counter', 'gauge', 'histogram']).toContain(rest)
      types.set(name, rest)
    } else if (kind === undefined) samples.push(sampleOf(line))
  }
  const spoken = samples.map(({ name, labels }) => name + JSON.stringify(Object.entries(labels).sort()))
  expect(new Set(spoken).size).toBe(spoken.length)
  for (const { name } of samples) expect([...types.keys()].some((type) => belongs(name, type))).toBe(true)
  return { types, samples }
}

function sampleOf(line: string): Sample {
  const [, name = '', labels = '', value = ''] = LINE.exec(line) ?? []
  expect([line, name]).not.toEqual([line, ''])
  const pairs = [...labels.matchAll(LABEL)]
  expect(pairs.map(([pair]) => pair).join('')).toBe(labels)
  expect(value).toMatch(/^[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?$|^NaN$/)
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

describe('a counter that is looked up once', () => {
  it('is there at 0 before the first answer', () => {
    const metrics = new Metrics()
    metrics.counter('GET', 'hot', 200)
    expect(histogramOf(metrics, 'hot')).toMatchObject({ sum: 0, count: 0 })
  })

  it('counts as `count` does', () => {
    const [metrics, other] = [new Metrics(), new Metrics()]
    const countHot = metrics.counter('GET', 'hot', 200)
    for (const seconds of [0, 0.3, 40]) {
      countHot(seconds)
      other.count('GET', 'hot', 200, seconds)
    }
    expect(metrics.text()).toBe(other.text())
  })

  it('forgets nothing that was counted before, and can be looked up twice', () => {
    const metrics = new Metrics()
    metrics.count('GET', 'hot', 200, 0.5)
    const one = metrics.counter('GET', 'hot', 200)
    one(0.25)
    metrics.counter('GET', 'hot', 200)(0.25)
    const { sum, count, buckets } = histogramOf(metrics, 'hot')
    expect({ sum, count, below: buckets.get(0.25) }).toEqual({ sum: 1, count: 3, below: 2 })
  })
})

describe('more routes than the API has', () => {
  it('are bounded in memory, and counted together', () => {
    const metrics = new Metrics()
    for (let at = 0; at < 1500; at += 1) metrics.count('GET', `/${at}`, 200, 0.1)
    metrics.counter('GET', '/another', 200)(0.1)
    metrics.count('GET', '/0', 200, 0.1)
    const counts = read(metrics.text()).samples.filter(({ name }) => name === `${DURATION}_count`)
    expect(counts.length).toBeLessThanOrEqual(1001)
    expect(counts.reduce((sum, { value }) => sum + value, 0)).toBe(1502)
    expect(histogramOf(metrics, '/0').count).toBe(2)
    expect(histogramOf(metrics, 'other').count).toBe(501)
  })
})
