/**
 * What has to be sent so that the depot has all blobs, and the sending of it: small blobs many in one request, large
 * ones each by itself, a few requests at once.
 */
import type { Digest } from '../../model/digest.ts'
import { digestOf } from '../../model/digest.ts'
import { failure } from '../../model/errors.ts'
import { LIMITS } from '../../model/limits.ts'
import { type BatchedBlob, batchedSize, encodeBatch } from '../../wire/batch.ts'
import { bytesBody, type Caller } from '../../wire/caller.ts'
import type { Answer } from '../../wire/caller-answer.ts'
import { MEDIA } from '../../wire/headers.ts'
import { inParallel } from '../../wire/lanes.ts'
import { stagePath } from '../../wire/paths.ts'
import { StoredManyBody } from '../../wire/schemas.ts'
import type { Progress, Source } from '../client.ts'
import { uploadLarge } from './upload-large.ts'

export type Transfer =
  | { readonly kind: 'large'; readonly source: Source }
  | { readonly kind: 'batch'; readonly sources: readonly Source[] }

const PARALLEL_UPLOADS = 4
/** Well below what a depot takes in one request: several batches are in memory at the same time. */
const BATCH_BYTES = Math.min(8_388_608, LIMITS.batchBytes)

/** Large ones first, for they take longest. The sources are all different. */
export function planTransfers(sources: readonly Source[]): readonly Transfer[] {
  const large = sources.filter(({ size }) => size > LIMITS.smallBlobBytes)
  const batches: Source[][] = []
  let room = 0
  for (const source of sources) {
    if (source.size > LIMITS.smallBlobBytes) continue
    const needed = batchedSize(source.size)
    const last = batches.at(-1)
    if (last === undefined || needed > room || last.length === LIMITS.batchBlobs) {
      batches.push([source])
      room = BATCH_BYTES - needed
    } else {
      last.push(source)
      room -= needed
    }
  }
  return [
    ...large.map((source): Transfer => ({ kind: 'large', source })),
    ...batches.map((batch): Transfer => ({ kind: 'batch', sources: batch })),
  ]
}

export interface Uploading {
  readonly caller: Caller
  readonly stage: string
  readonly onProgress?: ((bytes: Progress) => void) | undefined
}

/** Sends those `sources` that are `missing`. */
export async function uploadAll(
  { caller, stage, onProgress }: Uploading,
  sources: readonly Source[],
  missing: ReadonlySet<Digest>,
  signal?: AbortSignal,
): Promise<void> {
  const total = sources.reduce((sum, { size }) => sum + size, 0)
  const lacking = sources.filter(({ digest }) => missing.has(digest))
  let done = total - lacking.reduce((sum, { size }) => sum + size, 0)
  function advance(bytes: number): void {
    done += bytes
    onProgress?.({ done, total })
  }
  advance(0)
  await inParallel(
    planTransfers(lacking),
    PARALLEL_UPLOADS,
    async (transfer, either) => {
      if (transfer.kind === 'large')
        return await uploadLarge({ caller, stage, advance }, transfer.source, either)
      await sendBatch(caller, stage, transfer.sources, either)
      advance(transfer.sources.reduce((sum, { size }) => sum + size, 0))
    },
    signal,
  )
}

async function sendBatch(
  caller: Caller,
  stage: string,
  sources: readonly Source[],
  signal: AbortSignal,
): Promise<void> {
  const blobs: BatchedBlob[] = []
  for (const source of sources) blobs.push({ digest: source.digest, bytes: await readWhole(source) })
  const path = `${stagePath(stage)}/blobs`
  const body = bytesBody(MEDIA.blobs, encodeBatch(blobs))
  const demandStored = async (answer: Answer): Promise<void> => {
    const stored = new Set((await answer.json(StoredManyBody)).stored)
    const absent = sources.find(({ digest }) => !stored.has(digest))
    if (absent !== undefined) throw answer.invalid(`without having stored ${absent.digest}`)
  }
  await caller.read({ method: 'POST', path, body, repeat: 'always' }, demandStored, signal)
}

/** A small blob is looked at before it is sent, so that one that changed meanwhile does not spoil its batch. */
async function readWhole(source: Source): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of source.open(0)) {
    size += chunk.length
    if (size > source.size) break
    chunks.push(chunk)
  }
  const bytes = Buffer.concat(chunks)
  const found = digestOf(bytes)
  if (found !== source.digest || size !== source.size)
    throw failure('digest-mismatch', { expected: source.digest, found })
  return bytes
}
