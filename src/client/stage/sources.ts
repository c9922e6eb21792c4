/**
 * Bytes to upload: of a file, or at hand.
 */
import { createReadStream } from 'node:fs'
import { digestOf, hasher } from '../../model/digest.ts'
import type { Source } from '../client.ts'
import { diskFailure } from '../durable.ts'

const READ_BYTES = 1_048_576

export function sourceOfBytes(bytes: Uint8Array): Source {
  return {
    digest: digestOf(bytes),
    size: bytes.length,
    async *open(start) {
      yield await Promise.resolve(bytes.subarray(start))
    },
  }
}

/** Reads the file once for its digest, and again when it is sent. Fails with `data-unusable`, then too. */
export async function sourceOfFile(path: string, signal?: AbortSignal): Promise<Source> {
  const hash = hasher()
  let size = 0
  for await (const chunk of readFrom(path, 0, signal)) {
    hash.update(chunk)
    size += chunk.length
  }
  return { digest: hash.digest(), size, open: (start) => readFrom(path, start, signal) }
}

async function* readFrom(path: string, start: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  const options = { start, highWaterMark: READ_BYTES, ...(signal === undefined ? {} : { signal }) }
  try {
    for await (const chunk of createReadStream(path, options)) yield chunk as Buffer
  } catch (error) {
    signal?.throwIfAborted()
    throw diskFailure(path, error)
  }
}
