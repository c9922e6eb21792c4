/**
 * What the depot counts, as Prometheus text at `/metrics`: requests by route and status, how long they took, and
 * gauges that are read when somebody asks.
 *
 * Counting costs an increment or two; nothing is kept for each request.
 */

/** Upper ends of the buckets, in seconds. */
const BUCKETS: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
]
/** More routes than the API has: what comes on top is counted together. */
const SERIES_LIMIT = 1000
/** node:http takes more methods than anybody here answers. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
const OTHER_LABELS = labelsOf('other', 'other', 'other')

interface Series {
  readonly counts: number[]
  sum: number
  total: number
}

/** A number that is looked up when the metrics are asked for; a counter only ever grows. */
export interface Gauge {
  readonly kind?: 'gauge' | 'counter'
  readonly name: string
  readonly help: string
  readonly read: () => number | Labelled
}

/** A number for each value of one label, of which there are few: words of a closed list, never of a client. */
export interface Labelled {
  readonly label: string
  readonly values: ReadonlyMap<string, number>
}

export class Metrics {
  readonly #series = new Map<string, Series>()
  readonly #gauges: Gauge[] = []

  /** Counts an answer. `route` is a pattern, never a URL; methods that no route has are counted together. */
  count(method: string, route: string, status: number, seconds: number): void {
    observe(this.#seriesOf(labelsOf(METHODS.has(method) ? method : 'other', route, status)), seconds)
  }

  /** The same for a route that is answered so often that naming it each time would cost more than counting. */
  counter(method: string, route: string, status: number): (seconds: number) => void {
    const labels = labelsOf(method, route, status)
    // Looked up when it is first needed: what was never asked for is not told of.
    let series: Series | undefined
    return (seconds) => {
      series ??= this.#seriesOf(labels)
      observe(series, seconds)
    }
  }

  gauge(gauge: Gauge): void {
    this.#gauges.push(gauge)
  }

  /** Prometheus text exposition format 0.0.4. */
  text(): string {
    const lines = [
      '# HELP depot_http_request_duration_seconds How long answers took, by route and status.',
      '# TYPE depot_http_request_duration_seconds histogram',
    ]
    for (const [labels, series] of this.#series) lines.push(...linesOf(labels, series))
    for (const { kind = 'gauge', name, help, read } of this.#gauges)
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${kind}`, ...samplesOf(name, read()))
    return `${lines.join('\n')}\n`
  }

  #seriesOf(labels: string): Series {
    const known = this.#series.get(labels)
    if (known !== undefined) return known
    if (this.#series.size >= SERIES_LIMIT && labels !== OTHER_LABELS) return this.#seriesOf(OTHER_LABELS)
    const series = { counts: BUCKETS.map(() => 0), sum: 0, total: 0 }
    this.#series.set(labels, series)
    return series
  }
}

function samplesOf(name: string, read: number | Labelled): readonly string[] {
  if (typeof read === 'number') return [`${name} ${read}`]
  return Array.from(read.values, ([value, number]) => `${name}{${read.label}="${value}"} ${number}`)
}

function labelsOf(method: string, route: string, status: number | string): string {
  return `method="${method}",route="${route}",status="${status}"`
}

function observe(series: Series, seconds: number): void {
  series.sum += seconds
  series.total += 1
  const bucket = BUCKETS.findIndex((end) => seconds <= end)
  if (bucket !== -1) series.counts[bucket] = (series.counts[bucket] ?? 0) + 1
}

function linesOf(labels: string, { counts, sum, total }: Series): readonly string[] {
  const name = 'depot_http_request_duration_seconds'
  let below = 0
  const buckets = BUCKETS.map((end, at) => {
    below += counts[at] ?? 0
    return `${name}_bucket{${labels},le="${end}"} ${below}`
  })
  return [
    ...buckets,
    `${name}_bucket{${labels},le="+Inf"} ${total}`,
    `${name}_sum{${labels}} ${sum}`,
    `${name}_count{${labels}} ${total}`,
  ]
}
