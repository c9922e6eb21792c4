/**
 * From the answer to a commit at the origin to the first answer of a replica from that generation: by how much has
 * changed, and by how large the depot is.
 */
import { rm } from 'node:fs/promises'
import { manifestPath, pinned } from '../../src/wire/paths.ts'
import { median } from '../measure.ts'
import { type RunningDepot, runDepot, temporaryData } from '../processes.ts'
import { load } from '../releases.ts'
import { type Row, row } from '../row.ts'
import { change, fresh, isOwn, nameOf, nextHead, type RunningReplica, runReplica } from './running.ts'

const SIZES = [10_000, 100_000]
const CHANGES = [1, 100, 1_000]
const ROUNDS = 7
const GOAL_SECONDS = 1

export async function convergence(): Promise<readonly Row[]> {
  const rows: Row[] = []
  for (const size of SIZES) rows.push(...(await convergenceInto(size)))
  return rows
}

async function convergenceInto(size: number): Promise<readonly Row[]> {
  const [originData, replicaData] = [await temporaryData(), await temporaryData()]
  const rows: Row[] = []
  {
    await using origin = await runDepot(originData)
    const loaded = await load(origin.client, 'bench', size)
    await using replica = await runReplica(origin, { id: 'r1', data: replicaData })
    await fresh(replica, loaded)
    let from = 0
    for (const count of CHANGES) {
      const seconds: number[] = []
      // The first round fills the caches.
      for (let round = 0; round <= ROUNDS; round += 1, from += count) {
        const took = await timeOf(origin, replica, { from, count })
        if (round > 0) seconds.push(took)
      }
      rows.push(rowOf(size, count, seconds))
    }
  }
  await rm(originData, { recursive: true })
  await rm(replicaData, { recursive: true })
  return rows
}

function rowOf(size: number, count: number, seconds: readonly number[]): Row {
  const [usual, most] = [median(seconds), Math.max(...seconds)]
  return row(
    `commit of ${count} new releases into ${size}: from its answer to that of a replica`,
    `${(usual * 1000).toFixed(0)} ms, at most ${(most * 1000).toFixed(0)} ms`,
    `under ${GOAL_SECONDS} s`,
    most < GOAL_SECONDS,
  )
}

/** The replica is asked before the commit, and answers as soon as it has the generation; then for one of its releases. */
async function timeOf(
  origin: RunningDepot,
  replica: RunningReplica,
  numbers: { readonly from: number; readonly count: number },
): Promise<number> {
  const before = await origin.client.head()
  await fresh(replica, before)
  const shown = nextHead(replica, before.gid)
  const { generation, answered } = await change(origin, numbers)
  const { gid, at } = await shown
  const { name, version } = nameOf(numbers.from)
  const url = replica.url + pinned(generation.gid, manifestPath('bench', name, version))
  const answer = await fetch(url)
  if (gid !== generation.gid || answer.status !== 200 || !isOwn(answer.headers, replica.id))
    throw new Error(`${url} gave ${answer.status} where ${generation.gid} was committed`)
  // The answer to the commit may be read after that of the replica.
  return Math.max(0, at - answered) / 1000
}
