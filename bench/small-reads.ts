/**
 * A file and a manifest of 2 KiB, pinned, all headers on: from the cache of ready answers and without it, against bare
 * fastify answering the same number of bytes, and against @fastify/static.
 */
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Manifest, sourceOfBytes } from '../src/client/index.ts'
import { filePath, manifestPath, pinned } from '../src/wire/paths.ts'
import { compare, type Load, type Ratio, type Subject } from './measure.ts'
import { type Running, type RunningDepot, runDepot, runPeer, temporaryData } from './processes.ts'
import { type Row, ratioText, row } from './row.ts'

const BYTES = 2048
const CONNECTIONS = 20
const SECONDS = 3

export async function smallReads(): Promise<readonly Row[]> {
  const data = await temporaryData()
  const folder = await temporaryData()
  await writeFile(join(folder, 'x'), Buffer.alloc(BYTES, 'x'))
  await using bare = await runPeer('bare-fastify', [String(BYTES)])
  await using files = await runPeer('fastify-static', [folder])
  const rows: Row[] = []
  for (const [cache, goal] of [
    ['64', 0.85],
    ['0', 0.65],
  ] as const) {
    await using depot = await runDepot(data, ['--answer-cache-mb', cache])
    const paths = await publishOnce(depot)
    const how = cache === '0' ? 'on a cache miss' : 'from the cache'
    for (const [what, path] of Object.entries(paths)) {
      const ratio = await compare(subject(depot, path), subject(bare, '/x'))
      rows.push(
        row(
          `2 KiB ${what}, pinned, ${how}, to bare fastify`,
          ratioText(ratio),
          `${goal}`,
          meets(ratio, goal),
        ),
      )
    }
    if (cache === '64') {
      const ratio = await compare(subject(depot, paths.file), subject(files, '/x'))
      rows.push(
        row('2 KiB file, pinned, from the cache, to @fastify/static', ratioText(ratio), '4', meets(ratio, 4)),
      )
    }
  }
  await rm(data, { recursive: true })
  await rm(folder, { recursive: true })
  return rows
}

function subject({ pid, url }: Running, path: string): Subject {
  const load: Load = { url: url + path, connections: CONNECTIONS, seconds: SECONDS }
  return { pid, load }
}

function meets(ratio: Ratio, goal: number): boolean {
  return ratio.rate >= goal && ratio.cpu >= goal
}

/** Paths of a file and a manifest of 2 KiB each. */
async function publishOnce({
  client,
}: RunningDepot): Promise<{ readonly file: string; readonly manifest: string }> {
  const staging = await client.openStage()
  const source = sourceOfBytes(Buffer.alloc(BYTES, 'x'))
  await staging.upload([source])
  const plain = {
    name: 'small',
    version: '1.0.0',
    files: [{ path: 'x', digest: source.digest, size: source.size }],
  }
  const filler = 'x'.repeat(BYTES - JSON.stringify({ annotations: { filler: '' }, ...plain }).length)
  await staging.put('bench', { annotations: { filler }, ...plain } as unknown as Manifest)
  const { generation } = await staging.commit()
  return {
    file: pinned(generation.gid, filePath('bench', 'small', '1.0.0', 'x')),
    manifest: pinned(generation.gid, manifestPath('bench', 'small', '1.0.0')),
  }
}
