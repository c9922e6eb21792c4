/**
 * Many manifests in few requests: lines of NDJSON, as many as one body should have.
 */
import { LIMITS } from '../../model/limits.ts'
import type { Manifest } from '../../model/manifest.ts'

export type ManifestBatch =
  | { readonly kind: 'batch'; readonly count: number; readonly bytes: Buffer }
  /** A manifest that is larger than a batch may be. */
  | { readonly kind: 'single'; readonly count: 1; readonly manifest: Manifest }

/** A depot takes more in one request; smaller ones are less to send again. */
const BATCH_BYTES = Math.min(8_388_608, LIMITS.batchBytes)
const BATCH_COUNT = 10_000

export async function* manifestBatches(
  manifests: Iterable<Manifest> | AsyncIterable<Manifest>,
): AsyncGenerator<ManifestBatch> {
  let lines: Buffer[] = []
  let size = 0
  for await (const manifest of manifests) {
    const line = Buffer.from(`${JSON.stringify(manifest)}\n`)
    if (line.length > LIMITS.batchBytes) {
      yield { kind: 'single', count: 1, manifest }
      continue
    }
    if (lines.length === BATCH_COUNT || (lines.length > 0 && size + line.length > BATCH_BYTES)) {
      yield { kind: 'batch', count: lines.length, bytes: Buffer.concat(lines) }
      lines = []
      size = 0
    }
    lines.push(line)
    size += line.length
  }
  if (lines.length > 0) yield { kind: 'batch', count: lines.length, bytes: Buffer.concat(lines) }
}
