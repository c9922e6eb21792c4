/**
 * The files of a release into a folder: a few at once, each verified while it comes, none of them visible before it
 * is whole. What is there already and right is kept, so a download that was interrupted goes on where it was.
 */
import type { ManifestFile } from '../../model/manifest.ts'
import type { Random } from '../../model/world.ts'
import { inParallel } from '../../wire/lanes.ts'
import type { DownloadRequest } from '../client.ts'
import { Folder } from './folder.ts'

export interface Downloading {
  readonly files: readonly ManifestFile[]
  readonly request: Pick<DownloadRequest, 'folder' | 'os' | 'cpu' | 'onProgress'>
  /** The verified bytes of a file. */
  readonly read: (file: ManifestFile, signal: AbortSignal) => AsyncIterable<Uint8Array>
  readonly random: Random
}

const PARALLEL_DOWNLOADS = 8

export async function downloadFiles(
  { files, request, read, random }: Downloading,
  signal?: AbortSignal,
): Promise<void> {
  const wanted = files.filter((file) => isFor(file, request))
  const total = wanted.reduce((sum, file) => sum + file.size, 0)
  let done = 0
  function advance(bytes: number): void {
    done += bytes
    request.onProgress?.({ done, total })
  }
  const folder = await Folder.open(request.folder, random)
  await inParallel(
    wanted,
    PARALLEL_DOWNLOADS,
    async (file, either) => {
      if (await folder.has(file)) advance(file.size)
      else await folder.write(file, watched(read(file, either), advance))
    },
    signal,
  )
  await folder.sync()
}

function isFor(file: ManifestFile, { os, cpu }: Pick<DownloadRequest, 'os' | 'cpu'>): boolean {
  return fits(file.os, os) && fits(file.cpu, cpu)
}

function fits(named: string | undefined, asked: string | undefined): boolean {
  return named === undefined || asked === undefined || named === asked
}

async function* watched(
  chunks: AsyncIterable<Uint8Array>,
  advance: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    yield chunk
    advance(chunk.length)
  }
}
