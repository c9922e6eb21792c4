/**
 * The first copy of a large depot into an empty folder: how long it takes, what memory the replica needs for it, and for
 * how long it holds its event loop.
 */
import { rm } from 'node:fs/promises'
import { anonymousBytesOf } from '../measure.ts'
import { runDepot, temporaryData } from '../processes.ts'
import { load } from '../releases.ts'
import { type Row, row } from '../row.ts'
import { runReplica } from './running.ts'

const MIB = 1_048_576
const GOAL_MIB = 250
const SAMPLE_MS = 20

export async function firstCopy(size = 100_000): Promise<readonly Row[]> {
  const [originData, data] = [await temporaryData(), await temporaryData()]
  const rows: Row[] = []
  {
    await using origin = await runDepot(originData)
    const head = await load(origin.client, 'bench', size)
    await using replica = await runReplica(origin, { id: 'r1', data })
    let most = 0
    const timer = setInterval(() => {
      most = Math.max(most, anonymousBytesOf(replica.pid))
    }, SAMPLE_MS)
    const [heard, copied] = [await replica.heard(head.gid), await replica.copied(head.gid)]
    clearInterval(timer)
    // The first look: it covers all of the copy.
    const delay = await replica.metric('depot_event_loop_delay_p99_seconds')
    const seconds = (copied.time - heard.time) / 1000
    const what = `first copy of ${size} releases`
    rows.push(
      row(what, `${seconds.toFixed(1)} s`, 'under 1 min', seconds < 60),
      row(
        `most memory of the replica during ${what}`,
        `${(most / MIB).toFixed(0)} MiB`,
        `under ${GOAL_MIB} MiB`,
        most / MIB < GOAL_MIB,
      ),
      row(
        `event loop delay of the replica, p99, during ${what}`,
        `${(delay * 1000).toFixed(1)} ms`,
        'under 20 ms',
        delay < 0.02,
      ),
    )
  }
  await rm(originData, { recursive: true })
  await rm(data, { recursive: true })
  return rows
}
