/**
 * The worker's side of examining a large manifest: the same pure function, and its bytes handed over, not copied.
 */
import { move, transferableSymbol, valueSymbol } from 'piscina'
import { examineManifest } from '../depot/read/examine.ts'
import { formatOf } from '../format/format.ts'
import { DepotError } from '../model/errors.ts'
import type { WorkerOutcome, WorkerTask } from './examine-in-worker.ts'

/** Failures cross over as values: a thrown error would lose its code on the way. */
export function examine({ text, format }: WorkerTask): WorkerOutcome {
  try {
    const examined = examineManifest(text, formatOf(format).order)
    const whole = {
      ...examined,
      bytes: own(examined.bytes),
      rows: own(examined.rows),
      blobs: own(examined.blobs),
    }
    return handOver(
      { kind: 'examined', examined: whole },
      [whole.bytes, whole.rows, whole.blobs, whole.blobSizes].map(({ buffer }) => buffer as ArrayBuffer),
    )
  } catch (error) {
    if (error instanceof DepotError) return { kind: 'failed', code: error.code, details: error.details }
    throw error
  }
}

/** Bytes in a buffer of their own, for a buffer is moved whole. */
function own(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes)
}

/** In the form in which piscina moves the buffers instead of copying them. */
function handOver(outcome: WorkerOutcome, buffers: readonly ArrayBuffer[]): WorkerOutcome {
  const moved = move({
    get [transferableSymbol]() {
      return buffers as unknown as object
    },
    get [valueSymbol]() {
      return outcome
    },
  })
  return moved as unknown as WorkerOutcome
}
