/**
 * Publishing: one release of 18,000 files of 50 bytes, and how long a small commit takes while four uploads run.
 */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { type Manifest, type Source, sourceOfBytes } from '../src/client/index.ts'
import { hasher } from '../src/model/digest.ts'
import { median } from './measure.ts'
import { type RunningDepot, runDepot, temporaryData } from './processes.ts'
import { manifests, theFile } from './releases.ts'
import { type Row, row } from './row.ts'

const FILES = 18_000
const FILE_BYTES = 50
const MIB = 1_048_576
const UPLOADS = 4
const COMMITS = 40

export async function publishing(): Promise<readonly Row[]> {
  const data = await temporaryData()
  await using depot = await runDepot(data)
  const rows = [...(await manyFiles(depot)), await commitsBesideUploads(depot)]
  await rm(data, { recursive: true })
  return rows
}

async function manyFiles({ client, data }: RunningDepot): Promise<readonly Row[]> {
  const before = inodesIn(data)
  const sources = Array.from({ length: FILES }, (_, at) =>
    sourceOfBytes(Buffer.from(`${at}`.padEnd(FILE_BYTES, '.'))),
  )
  const files = sources.map(({ digest, size }, at) => ({ path: `d${at % 100}/f${at}`, digest, size }))
  const began = performance.now()
  const staging = await client.openStage()
  await staging.upload(sources)
  await staging.put('bench', { name: 'many', version: '1.0.0', files } as unknown as Manifest)
  await staging.commit()
  const seconds = (performance.now() - began) / 1000
  const inodes = inodesIn(data) - before
  const what = `publishing a release of ${FILES} files of ${FILE_BYTES} bytes`
  return [
    row(what, `${seconds.toFixed(2)} s`, 'under 3 s', seconds < 3),
    row(`inodes that it takes`, `${inodes}`, 'under 50', inodes < 50),
  ]
}

async function commitsBesideUploads({ client }: RunningDepot): Promise<Row> {
  const stop = new AbortController()
  const uploads = Array.from({ length: UPLOADS }, async (_, at) => await uploadUntil(client, at, stop.signal))
  const seconds: number[] = []
  for (let at = 0; at < COMMITS; at += 1) {
    const staging = await client.openStage()
    await staging.upload([theFile()])
    await staging.putAll('beside', manifests(1, 50_000_000 + at))
    const began = performance.now()
    await staging.commit()
    seconds.push((performance.now() - began) / 1000)
  }
  stop.abort()
  await Promise.all(uploads)
  const took = median(seconds) * 1000
  return row(
    'commit of one release while four uploads run, p50',
    `${took.toFixed(1)} ms`,
    'under 30 ms',
    took < 30,
  )
}

/** One large blob after the other, each made of other bytes. */
async function uploadUntil(client: RunningDepot['client'], at: number, signal: AbortSignal): Promise<void> {
  const staging = await client.openStage()
  for (let round = 0; !signal.aborted; round += 1)
    await staging.upload([blob(`${at}-${round}`, 64 * MIB)]).catch((error: unknown) => {
      if (!signal.aborted) throw error
    })
}

function blob(seed: string, size: number): Source {
  const piece = randomBytes(MIB)
  piece.write(seed)
  const sum = hasher()
  for (let at = 0; at < size; at += MIB) sum.update(piece)
  return {
    digest: sum.digest(),
    size,
    async *open(start: number): AsyncGenerator<Uint8Array> {
      for (let at = start; at < size; at += MIB - (at % MIB)) yield piece.subarray(at % MIB)
    },
  }
}

function inodesIn(folder: string): number {
  return Number(execFileSync('sh', ['-c', 'find "$1" | wc -l', 'sh', folder]).toString())
}
