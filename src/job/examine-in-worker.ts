/**
 * Examining manifests without holding the event loop: small ones at once, large ones in a worker thread.
 */
import { Piscina } from 'piscina'
import { type Examine, type ExaminedManifest, examineManifest } from '../depot/read/examine.ts'
import type { Format } from '../format/format.ts'
import { DepotError, failure } from '../model/errors.ts'
import type { ErrorCode } from '../model/failures.ts'
import { LIMITS } from '../model/limits.ts'

export interface WorkerTask {
  readonly text: Uint8Array
  readonly format: string
}

export type WorkerOutcome =
  | { readonly kind: 'examined'; readonly examined: ExaminedManifest }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly details: Readonly<Record<string, unknown>> }

const THREADS = 2
const QUEUE = 64
const IDLE_MS = 10_000

export interface Examiner {
  readonly examine: Examine
  close(): Promise<void>
}

/** No thread is started before the first large manifest comes, and none stays long after the last. */
export function openExaminer(format: Format): Examiner {
  let pool: Piscina | undefined
  return {
    examine: async (text) => {
      if (text.length <= LIMITS.manifestInlineBytes) return examineManifest(text, format.order)
      if (text.length > LIMITS.manifestBytes)
        throw failure('limit-exceeded', {
          what: 'bytes of a manifest',
          limit: LIMITS.manifestBytes,
          found: text.length,
        })
      pool ??= startPool()
      if (pool.queueSize >= QUEUE) throw failure('hold-limit', { limit: QUEUE })
      const task: WorkerTask = { text, format: format.name }
      const outcome = (await pool.run(task, { name: 'examine' })) as WorkerOutcome
      if (outcome.kind === 'failed') throw new DepotError(outcome.code, outcome.details)
      return { ...outcome.examined, bytes: Buffer.from(outcome.examined.bytes.buffer) }
    },
    close: async () => {
      await pool?.close()
    },
  }
}

function startPool(): Piscina {
  // Sources run as TypeScript, the built program as JavaScript: the worker lies beside this file in either form.
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  return new Piscina({
    filename: new URL(`./examine.worker.${extension}`, import.meta.url).href,
    minThreads: 0,
    maxThreads: THREADS,
    idleTimeout: IDLE_MS,
    maxQueue: QUEUE,
  })
}
