/**
 * Gauges of the process and its stores, read when `/metrics` is asked for.
 */
/* oxlint-disable no-restricted-globals -- what is measured is the process itself */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Depot } from '../depot/depot.ts'
import type { Metrics } from '../http/metrics.ts'
import type { OpenLedger } from '../ledger/open.ts'
import type { DiskStore } from '../pool/open-disk.ts'

/** How often the event loop is looked at. What is told of it may be too small by so much. */
const RESOLUTION_MS = 5
const P99 = 99

export interface Watched {
  readonly depot: Pick<Depot, 'head' | 'ledger' | 'roster'>
  readonly store: Pick<DiskStore, 'sizes'>
  readonly ledger: Pick<OpenLedger, 'sizes'>
  readonly openingSeconds: number
}

/** Disposing of it stops the measuring of the event loop. */
export function watchProcess(
  metrics: Metrics,
  { depot, store, ledger, openingSeconds }: Watched,
): Disposable {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delay.enable()
  const gauge = (name: string, help: string, read: () => number): void => {
    metrics.gauge({ name, help, read })
  }
  gauge('depot_generation_number', 'Number of the head; NaN before there is one.', () =>
    depot.head.isThere() ? depot.head.now().record.number : Number.NaN,
  )
  gauge('depot_opening_seconds', 'How long opening the data folder took.', () => openingSeconds)
  gauge('depot_watchers', 'Requests that wait for the next head.', () => depot.head.waiting())
  gauge('depot_open_stages', 'Stages that are open.', () => depot.ledger.stages.listOpen().length)
  gauge(
    'depot_pool_used_bytes',
    'Bytes in use in pool.lmdb: small blobs and nodes.',
    () => store.sizes().usedBytes,
  )
  gauge('depot_pool_file_bytes', 'Bytes of pool.lmdb, which never shrinks.', () => store.sizes().fileBytes)
  gauge(
    'depot_ledger_used_bytes',
    'Bytes in use in ledger.lmdb: generations, stages, tokens.',
    () => ledger.sizes().usedBytes,
  )
  gauge(
    'depot_ledger_file_bytes',
    'Bytes of ledger.lmdb, which never shrinks.',
    () => ledger.sizes().fileBytes,
  )
  metrics.gauge({
    name: 'depot_nodes',
    help: 'Nodes that follow this one, by what they said of themselves last.',
    read: () => ({ label: 'state', values: countedBy(depot.roster.nodes(), ({ state }) => state) }),
  })
  gauge('depot_event_loop_delay_p99_seconds', 'Delay of the event loop since the last look.', () => {
    // Node tells how much time lay between two looks.
    const ms = delay.percentile(P99) / 1e6 - RESOLUTION_MS
    delay.reset()
    return Math.max(0, ms) / 1000
  })
  gauge('depot_memory_rss_bytes', 'Resident memory, the maps of LMDB included.', () =>
    process.memoryUsage.rss(),
  )
  gauge('depot_memory_heap_bytes', 'Heap in use.', () => process.memoryUsage().heapUsed)
  return {
    [Symbol.dispose]: () => {
      delay.disable()
    },
  }
}

function countedBy<Item>(items: readonly Item[], wordOf: (item: Item) => string): Map<string, number> {
  const groups = Map.groupBy(items, wordOf)
  return new Map(Array.from(groups, ([word, group]) => [word, group.length]))
}
