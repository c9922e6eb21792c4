/**
 * A file of 10 MiB, pinned, against nginx serving the same bytes; and the memory of the server while a file of 2 GiB
 * goes up and comes down.
 */
import { randomBytes } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Manifest, type Source, sourceOfBytes } from '../src/client/index.ts'
import { hasher } from '../src/model/digest.ts'
import { filePath, pinned } from '../src/wire/paths.ts'
import { anonymousBytesOf, compare } from './measure.ts'
import { type RunningDepot, runDepot, runNginx, temporaryData } from './processes.ts'
import { type Row, ratioText, row } from './row.ts'

const MIB = 1_048_576
const TEN_MIB = 10 * MIB
const TWO_GIB = 2048 * MIB
const GOAL_MIB = 150

export async function largeFile(): Promise<readonly Row[]> {
  const data = await temporaryData()
  const folder = await temporaryData()
  await using depot = await runDepot(data)
  const rows = [await memoryOfTwoGib(depot), await againstNginx(depot, folder)]
  await rm(data, { recursive: true })
  await rm(folder, { recursive: true })
  return rows
}

async function againstNginx(depot: RunningDepot, folder: string): Promise<Row> {
  const question = '10 MiB file, pinned, to nginx with sendfile'
  await using nginx = await runNginx(folder)
  if (nginx === undefined) return row(question, 'nginx is not installed', '0.8', false)
  const bytes = randomBytes(TEN_MIB)
  await writeFile(join(folder, 'x'), bytes)
  const path = await publish(depot, sourceOfBytes(bytes), 'ten')
  const load = { connections: 4, seconds: 4 }
  const ratio = await compare(
    { pid: depot.pid, load: { ...load, url: depot.url + path } },
    { pid: nginx.pid, load: { ...load, url: `${nginx.url}/x` } },
  )
  return row(question, ratioText(ratio), '0.8', ratio.rate >= 0.8 && ratio.cpu >= 0.8)
}

/** The file is made as it is sent, so that only the server's memory counts. */
async function memoryOfTwoGib(depot: RunningDepot): Promise<Row> {
  const idle = anonymousBytesOf(depot.pid)
  let most = idle
  const timer = setInterval(() => {
    most = Math.max(most, anonymousBytesOf(depot.pid))
  }, 50)
  const path = await publish(depot, pattern(TWO_GIB), 'huge')
  const answer = await fetch(depot.url + path)
  let size = 0
  const body: AsyncIterable<Uint8Array> | null = answer.body
  for await (const piece of body ?? []) size += piece.length
  clearInterval(timer)
  if (size !== TWO_GIB) throw new Error(`${size} bytes came down`)
  const above = (most - idle) / MIB
  return row(
    'memory above idle while 2 GiB go up and down',
    `${above.toFixed(0)} MiB`,
    `under ${GOAL_MIB} MiB`,
    above < GOAL_MIB,
  )
}

function pattern(size: number): Source {
  const piece = randomBytes(MIB)
  async function* open(start: number): AsyncGenerator<Uint8Array> {
    for (let at = start; at < size; ) {
      const from = at % MIB
      const part = piece.subarray(from, Math.min(MIB, from + size - at))
      yield part
      at += part.length
    }
  }
  const sum = hasher()
  for (let at = 0; at < size; at += MIB) sum.update(piece)
  return { digest: sum.digest(), size, open }
}

async function publish({ client }: RunningDepot, source: Source, name: string): Promise<string> {
  const staging = await client.openStage()
  await staging.upload([source])
  const { digest, size } = source
  await staging.put('bench', {
    name,
    version: '1.0.0',
    files: [{ path: 'x', digest, size }],
  } as unknown as Manifest)
  const { generation } = await staging.commit()
  return pinned(generation.gid, filePath('bench', name, '1.0.0', 'x'))
}
