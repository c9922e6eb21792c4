/**
 * How the benches measure: in processes of their own, in pairs that take turns, and with medians, for the machine is
 * shared and noisy. A ratio of two figures from one run says something; a figure alone says little.
 */
import { readFileSync } from 'node:fs'
import autocannon from 'autocannon'

const TICKS_PER_SECOND = 100
const KIB = 1024

export interface Load {
  readonly url: string
  readonly connections: number
  readonly seconds: number
  readonly headers?: Readonly<Record<string, string>>
}

export interface Measured {
  readonly requestsPerSecond: number
  /** Of the server's process, all threads. */
  readonly cpuSecondsPerRequest: number
}

/** Loads a URL for a while and measures the server. Fails when any answer is not a 2xx. */
export async function measure(
  pid: number,
  { url, connections, seconds, headers = {} }: Load,
): Promise<Measured> {
  const before = cpuSecondsOf(pid)
  const result = await autocannon({ url, connections, duration: seconds, headers })
  const cpu = cpuSecondsOf(pid) - before
  if (result.non2xx > 0 || result.errors > 0 || result['2xx'] === 0)
    throw new Error(`${url}: ${result.non2xx} answers are not 2xx, ${result.errors} errors`)
  return { requestsPerSecond: result['2xx'] / result.duration, cpuSecondsPerRequest: cpu / result['2xx'] }
}

/** User and system time that a process and its children have used, in seconds. */
export function cpuSecondsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** Anonymous memory of a process in bytes: what it allocated, without the files that it maps. */
export function anonymousBytesOf(pid: number): number {
  const line = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(line?.[1] ?? 0) * KIB
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? 0)
    : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2
}

export interface Subject {
  readonly pid: number
  readonly load: Load
}

export interface Ratio {
  /** Requests a second, ours to theirs: more is better. */
  readonly rate: number
  /** Server CPU for each request, theirs to ours: more is better. */
  readonly cpu: number
  readonly ours: Measured
  readonly theirs: Measured
}

/** Both in turns, `rounds` times; medians of the ratios of the pairs. */
export async function compare(ours: Subject, theirs: Subject, rounds = 7): Promise<Ratio> {
  const pairs: { readonly ours: Measured; readonly theirs: Measured }[] = []
  await measure(ours.pid, ours.load)
  await measure(theirs.pid, theirs.load)
  for (let round = 0; round < rounds; round += 1) {
    const first = await measure(ours.pid, ours.load)
    const second = await measure(theirs.pid, theirs.load)
    pairs.push({ ours: first, theirs: second })
  }
  const of = (side: 'ours' | 'theirs', what: keyof Measured): number =>
    median(pairs.map((pair) => pair[side][what]))
  return {
    rate: median(pairs.map((pair) => pair.ours.requestsPerSecond / pair.theirs.requestsPerSecond)),
    cpu: median(pairs.map((pair) => pair.theirs.cpuSecondsPerRequest / pair.ours.cpuSecondsPerRequest)),
    ours: {
      requestsPerSecond: of('ours', 'requestsPerSecond'),
      cpuSecondsPerRequest: of('ours', 'cpuSecondsPerRequest'),
    },
    theirs: {
      requestsPerSecond: of('theirs', 'requestsPerSecond'),
      cpuSecondsPerRequest: of('theirs', 'cpuSecondsPerRequest'),
    },
  }
}
