/**
 * What the gate and `Depot-Node` add to a small pinned read on a replica: against the same program without them
 * (`peers/without-gate.ts`), for an answer that is ready, for one that is looked up, and for one that goes the long way,
 * which alone passes the gate.
 */
import { rm } from 'node:fs/promises'
import { HEADERS } from '../../src/wire/headers.ts'
import { filePath, pinned } from '../../src/wire/paths.ts'
import { compare } from '../measure.ts'
import { type RunningDepot, runDepot, temporaryData } from '../processes.ts'
import { type Row, ratioText, row } from '../row.ts'
import { change, fresh, nameOf, type RunningReplica, runReplica } from './running.ts'

const LOAD = { connections: 20, seconds: 3 }
const GOAL = 0.95
const WITHOUT_GATE = ['--import', new URL('../peers/without-gate.ts', import.meta.url).href]

type Ask = Readonly<{ what: string; cacheMb: string; headersOf: (gid: string) => Record<string, string> }>

const ASKS: readonly Ask[] = [
  { what: 'from the cache', cacheMb: '64', headersOf: () => ({}) },
  { what: 'on a cache miss', cacheMb: '0', headersOf: () => ({}) },
  { what: 'with a floor', cacheMb: '64', headersOf: (gid) => ({ [HEADERS.minGeneration]: gid }) },
]

export async function gateCost(): Promise<readonly Row[]> {
  const data = await temporaryData()
  const rows: Row[] = []
  {
    await using origin = await runDepot(data)
    const { generation } = await change(origin, { from: 0, count: 1 })
    const { name, version } = nameOf(0)
    const path = pinned(generation.gid, filePath('bench', name, version, 'lib/index.js'))
    for (const ask of ASKS) rows.push(await rowOf(origin, { ...ask, path, gid: generation.gid }))
  }
  await rm(data, { recursive: true })
  return rows
}

async function rowOf(
  origin: RunningDepot,
  { what, cacheMb, headersOf, path, gid }: Ask & { readonly path: string; readonly gid: string },
): Promise<Row> {
  const [gated, free] = [await temporaryData(), await temporaryData()]
  const flags = ['--answer-cache-mb', cacheMb]
  const ratio = await (async () => {
    await using one = await runReplica(origin, { id: 'gated', data: gated, flags })
    await using other = await runReplica(origin, { id: 'free', data: free, flags, nodeFlags: WITHOUT_GATE })
    const head = await origin.client.head()
    await fresh(one, head)
    await other.copied(head.gid)
    const subject = ({ pid, url }: RunningReplica): Parameters<typeof compare>[0] => ({
      pid,
      load: { ...LOAD, url: url + path, headers: headersOf(gid) },
    })
    return await compare(subject(one), subject(other))
  })()
  await rm(gated, { recursive: true })
  await rm(free, { recursive: true })
  return row(
    `small file, pinned, ${what}, on a replica, to the same without its gate`,
    ratioText(ratio),
    `${GOAL}`,
    ratio.rate >= GOAL && ratio.cpu >= GOAL,
  )
}
