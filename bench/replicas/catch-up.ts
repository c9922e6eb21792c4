/**
 * A replica that was away for 100 generations, against one that was away for a single one with as many changes: how long
 * it takes from hearing of the head to having it, how many requests, and how many blobs and nodes.
 */
import { rm } from 'node:fs/promises'
import type { Generation } from '../../src/client/index.ts'
import { PATHS } from '../../src/wire/paths.ts'
import { median } from '../measure.ts'
import { type RunningDepot, runDepot, temporaryData } from '../processes.ts'
import { load } from '../releases.ts'
import { type Row, row } from '../row.ts'
import { change, fresh, runReplica } from './running.ts'

const GENERATIONS = 100
const CHANGES = 1_000

interface CaughtUp {
  readonly ms: number
  readonly requests: number
  readonly objects: number
}

export async function catchUp(size = 100_000, rounds = 3): Promise<readonly Row[]> {
  const [originData, data] = [await temporaryData(), await temporaryData()]
  const pairs: { readonly many: CaughtUp; readonly one: CaughtUp }[] = []
  {
    await using origin = await runDepot(originData)
    const loaded = await load(origin.client, 'bench', size)
    {
      await using replica = await runReplica(origin, { id: 'r1', data })
      await fresh(replica, loaded)
    }
    let from = 0
    const after = async (generations: number): Promise<CaughtUp> => {
      let head = loaded
      const count = CHANGES / generations
      for (let time = 0; time < generations; time += 1, from += count)
        head = (await change(origin, { from, count })).generation
      return await catchingUp(origin, data, head)
    }
    for (let round = 0; round < rounds; round += 1)
      pairs.push({ many: await after(GENERATIONS), one: await after(1) })
  }
  await rm(originData, { recursive: true })
  await rm(data, { recursive: true })
  const many = mediansOf(pairs.map((pair) => pair.many))
  const one = mediansOf(pairs.map((pair) => pair.one))
  return [rowOf(size, many, one)]
}

function rowOf(size: number, many: CaughtUp, one: CaughtUp): Row {
  const [time, requests, objects] = [
    many.ms / one.ms,
    many.requests / one.requests,
    many.objects / one.objects,
  ]
  return row(
    `a replica of ${size} releases that is ${GENERATIONS} generations of ${CHANGES / GENERATIONS} changes behind, to one generation of ${CHANGES}`,
    `${many.ms.toFixed(0)} to ${one.ms.toFixed(0)} ms, ${many.requests} to ${one.requests} requests, ${many.objects} to ${one.objects} blobs and nodes`,
    'at most 1.5 x the time, 1.2 x the requests, 1.1 x the objects',
    time <= 1.5 && requests <= 1.2 && objects <= 1.1,
  )
}

/** Starts the replica anew; its log has the times, and the origin counts what it is asked for. */
async function catchingUp(origin: RunningDepot, data: string, head: Generation): Promise<CaughtUp> {
  const before = await requestsOf(origin)
  await using replica = await runReplica(origin, { id: 'r1', data })
  const [heard, copied] = [await replica.heard(head.gid), await replica.copied(head.gid)]
  const requests = (await requestsOf(origin)) - before
  if (copied.copied === undefined) throw new Error('the log does not say what was copied')
  const { nodes, manifests, files } = copied.copied
  return {
    ms: copied.time - heard.time,
    requests,
    objects: nodes.done + manifests.done + files.done,
  }
}

/** What was asked for copies: objects, and the log. */
async function requestsOf({ url }: RunningDepot): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const counts = [
    ...text.matchAll(/^depot_http_request_duration_seconds_count\{.*route="([^"]*)".*\} (\d+)$/gm),
  ]
  return counts
    .filter(([, route]) => route === PATHS.objects || route === PATHS.log)
    .reduce((sum, [, , count]) => sum + Number(count), 0)
}

function mediansOf(values: readonly CaughtUp[]): CaughtUp {
  const of = (what: keyof CaughtUp): number => median(values.map((value) => value[what]))
  return { ms: of('ms'), requests: of('requests'), objects: of('objects') }
}
