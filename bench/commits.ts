/**
 * Commits into a large depot: 1,000 random changes into a million releases and into ten thousand, how long the event
 * loop is held meanwhile, how fast such a depot opens, and what it needs when idle.
 */
import { rm } from 'node:fs/promises'
import type { Generation } from '../src/client/index.ts'
import { anonymousBytesOf, median } from './measure.ts'
import { type RunningDepot, runDepot, temporaryData } from './processes.ts'
import { load, manifests } from './releases.ts'
import { type Row, row } from './row.ts'

const CHANGES = 1_000
const ROUNDS = 7
const SMALL = 10_000
const MIB = 1_048_576

export async function commits(large = 1_000_000): Promise<readonly Row[]> {
  const [smallData, largeData] = [await temporaryData(), await temporaryData()]
  const rows: Row[] = []
  {
    await using little = await runDepot(smallData)
    await using big = await runDepot(largeData)
    await load(little.client, 'bench', SMALL)
    const began = performance.now()
    await load(big.client, 'bench', large)
    console.error(`loaded ${large} releases in ${((performance.now() - began) / 1000).toFixed(0)} s`)
    rows.push(...(await compareCommits(little, big, large)))
  }
  await using reopened = await runDepot(largeData)
  const opening = await reopened.metric('depot_opening_seconds')
  rows.push(
    row(
      `opening a depot with ${large} releases, inside the process`,
      `${(opening * 1000).toFixed(0)} ms`,
      'under 200 ms',
      opening < 0.2,
    ),
  )
  const idle = anonymousBytesOf(reopened.pid) / MIB
  rows.push(row('its idle memory', `${idle.toFixed(0)} MiB`, 'under 150 MiB', idle < 150))
  await rm(smallData, { recursive: true })
  await rm(largeData, { recursive: true })
  return rows
}

async function compareCommits(
  little: RunningDepot,
  big: RunningDepot,
  large: number,
): Promise<readonly Row[]> {
  const times: { readonly little: number; readonly big: number; readonly delay: number }[] = []
  for (let round = 0; round <= ROUNDS; round += 1) {
    const first = await timeCommit(little, round)
    const second = await timeCommit(big, round)
    // The first round fills the caches of both.
    if (round > 0) times.push({ little: first.seconds, big: second.seconds, delay: second.delay })
  }
  const seconds = median(times.map((time) => time.big))
  const ratio = median(times.map((time) => time.big / time.little))
  const delay = median(times.map((time) => time.delay))
  const what = `commit of ${CHANGES} random changes into ${large} releases`
  return [
    row(`${what}, to the same into ${SMALL}`, `${ratio.toFixed(2)} x the time`, 'at most 3 x', ratio <= 3),
    row(what, `${(seconds * 1000).toFixed(0)} ms`, 'under 1 s', seconds < 1),
    row(
      `event loop delay, p99, during ${what}`,
      `${(delay * 1000).toFixed(1)} ms`,
      'under 20 ms',
      delay < 0.02,
    ),
  ]
}

/** Half of the changes are new releases, half take one away: the depot stays as large as it is. */
async function timeCommit(
  depot: RunningDepot,
  round: number,
): Promise<{ readonly seconds: number; readonly delay: number; readonly generation: Generation }> {
  const staging = await depot.client.openStage()
  const fresh = 10_000_000 + round * CHANGES
  await staging.putAll('bench', manifests(CHANGES / 2, fresh))
  const gone = [...manifests(CHANGES / 2, round * CHANGES)]
  for (const { name, version } of gone) await staging.remove('bench', name, version)
  await depot.metric('depot_event_loop_delay_p99_seconds')
  const began = performance.now()
  const { generation } = await staging.commit()
  const seconds = (performance.now() - began) / 1000
  return { seconds, delay: await depot.metric('depot_event_loop_delay_p99_seconds'), generation }
}
