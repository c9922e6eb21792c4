/**
 * The whole catalog of 100,000 releases, as gzip and as plain NDJSON: bytes of NDJSON a second, by a server that has
 * answered a few of them already.
 */

import { rm } from 'node:fs/promises'
import { get } from 'node:http'
import { catalogPath, pinned } from '../src/wire/paths.ts'
import { median } from './measure.ts'
import { runDepot, temporaryData } from './processes.ts'
import { load } from './releases.ts'
import { type Row, row } from './row.ts'

const RELEASES = 100_000
const WARM_UPS = 5
const ROUNDS = 15
const GB = 1e9

export async function catalogs(): Promise<readonly Row[]> {
  const data = await temporaryData()
  await using depot = await runDepot(data)
  const generation = await load(depot.client, 'bench', RELEASES)
  const url = depot.url + pinned(generation.gid, catalogPath('bench'))
  const { bytes } = await (await depot.client.session(generation.gid)).channel('bench')
  const rows: Row[] = []
  for (const [coding, goal] of [
    ['gzip', 1],
    ['identity', 0.15],
  ] as const) {
    const seconds: number[] = []
    for (let round = 0; round < WARM_UPS + ROUNDS; round += 1) {
      const took = await timeOf(url, coding)
      if (round >= WARM_UPS) seconds.push(took)
    }
    const rate = bytes / median(seconds) / GB
    rows.push(
      row(
        `catalog of ${RELEASES} releases, ${coding}, NDJSON a second`,
        `${rate.toFixed(2)} GB/s`,
        `${goal} GB/s`,
        rate >= goal,
      ),
    )
  }
  await rm(data, { recursive: true })
  return rows
}

/** The bytes are counted and thrown away: what the client makes of them is not the question. */
async function timeOf(url: string, coding: string): Promise<number> {
  const began = performance.now()
  await new Promise<void>((resolve, reject) => {
    get(url, { headers: { 'accept-encoding': coding } }, (answer) => {
      answer
        .on('data', () => undefined)
        .on('end', resolve)
        .on('error', reject)
    }).on('error', reject)
  })
  return (performance.now() - began) / 1000
}
