/**
 * Requests that a replica holds, as many as it takes, and what its pinned reads notice of them: the time of the slowest
 * hundredth with them and without.
 *
 * They wait for a generation that was announced and does not come: the origin is killed while the replica copies it.
 */
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { Agent, type ClientRequest, get, type IncomingMessage } from 'node:http'
import { LIMITS } from '../../src/model/limits.ts'
import { HEADERS } from '../../src/wire/headers.ts'
import { filePath, PATHS, pinned } from '../../src/wire/paths.ts'
import { median } from '../measure.ts'
import { type RunningDepot, runDepot, temporaryData } from '../processes.ts'
import { type Row, row } from '../row.ts'
import { change, fresh, nameOf, type RunningReplica, runReplica } from './running.ts'

const ROUNDS = 7
const CONNECTIONS = 8
const MS = 3_000
/** So many changes that their copy is under way when the origin ends. */
const ANNOUNCED = 20_000
const GOAL = 1.1

interface Pair {
  readonly held: number
  readonly free: number
}

export async function holds(): Promise<readonly Row[]> {
  const [originData, data] = [await temporaryData(), await temporaryData()]
  const pairs: Pair[] = []
  {
    await using origin = await runDepot(originData)
    const { generation } = await change(origin, { from: 0, count: 1 })
    await using replica = await runReplica(origin, { id: 'r1', data, flags: ['--answer-cache-mb', '0'] })
    await fresh(replica, generation)
    const { name, version } = nameOf(0)
    const url = replica.url + pinned(generation.gid, filePath('bench', name, version, 'lib/index.js'))
    const { gid } = await announce(origin, replica)
    await p99Of(url)
    for (let round = 0; round < ROUNDS; round += 1) pairs.push(await pairOf(replica, url, gid))
  }
  await rm(originData, { recursive: true })
  await rm(data, { recursive: true })
  const ratio = median(pairs.map(({ held, free }) => held / free))
  const [held, free] = [median(pairs.map((pair) => pair.held)), median(pairs.map((pair) => pair.free))]
  return [
    row(
      `p99 of a small file, pinned, on a replica that holds ${LIMITS.holds} requests, to the same without them`,
      `${ratio.toFixed(2)} x the time, ${held.toFixed(2)} to ${free.toFixed(2)} ms`,
      `at most ${GOAL} x`,
      ratio <= GOAL,
    ),
  ]
}

async function pairOf(replica: RunningReplica, url: string, gid: string): Promise<Pair> {
  const requests = await hold(replica, gid)
  const held = await p99Of(url)
  await untilHolds(replica, LIMITS.holds)
  for (const request of requests) request.destroy()
  await untilHolds(replica, 0)
  return { held, free: await p99Of(url) }
}

/** A generation that the replica has heard of and cannot have any more. */
async function announce(origin: RunningDepot, replica: RunningReplica): Promise<{ readonly gid: string }> {
  const watching = origin.client.watch((await origin.client.head()).gid, 60)
  const committed = change(origin, { from: 1, count: ANNOUNCED })
  const head = await watching
  if (head === undefined) throw new Error('nothing was committed')
  await replica.heard(head.gid)
  origin.child.kill('SIGKILL')
  // Its answer may have been on its way.
  await committed.catch(() => undefined)
  return head
}

/** Requests for a newer head than the replica has, all of them held. */
async function hold(replica: RunningReplica, gid: string): Promise<readonly ClientRequest[]> {
  const agent = new Agent({ maxSockets: LIMITS.holds })
  const headers = { [HEADERS.minGeneration]: gid, prefer: `wait=${LIMITS.holdMs / 1000}` }
  const requests = Array.from({ length: LIMITS.holds }, () =>
    get(`${replica.url}${PATHS.channels}`, { agent, headers }).on('error', () => undefined),
  )
  await untilHolds(replica, LIMITS.holds)
  return requests
}

async function untilHolds(replica: RunningReplica, count: number): Promise<void> {
  for (const until = performance.now() + 5_000; ; ) {
    const held = await replica.metric('depot_holds')
    if (held === count) return
    if (performance.now() > until) throw new Error(`it holds ${held} requests and not ${count}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Milliseconds of the slowest hundredth of reads, a few connections asking one after the other. */
async function p99Of(url: string): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })
  const times: number[] = []
  const until = performance.now() + MS
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      while (performance.now() < until) times.push(await timeOf(url, agent))
    }),
  )
  agent.destroy()
  return times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? Number.NaN
}

async function timeOf(url: string, agent: Agent): Promise<number> {
  const began = performance.now()
  const request = get(url, { agent })
  const [answer] = (await once(request, 'response')) as [IncomingMessage]
  answer.resume()
  await once(answer, 'end')
  if (answer.statusCode !== 200) throw new Error(`${url}: ${answer.statusCode}`)
  return performance.now() - began
}
