/** What the gauges tell of the process. */
import { setTimeout } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { watchProcess } from '../../src/app/gauges.ts'
import { watchFollowing, watchOrigin } from '../../src/app/node-gauges.ts'
import { Metrics } from '../../src/http/metrics.ts'
import { type DepotError, failure } from '../../src/model/errors.ts'
import type { Gid } from '../../src/model/generation.ts'
import { Progress } from '../../src/replica/progress.ts'
import type { ReplicaStanding } from '../../src/replica/replica-node.ts'
import { NODE_CONDITIONS } from '../../src/wire/node-label.ts'
import { engine } from '../depot/an-engine.ts'

const BLOCK_MS = 200

it('the delay of the event loop is how long it was held, and is told once', async () => {
  await using at = await engine()
  const metrics = new Metrics()
  const sizes = (): never => ({ usedBytes: 0, fileBytes: 0 }) as never
  const watching = watchProcess(metrics, { ...at, store: { sizes }, ledger: { sizes }, openingSeconds: 0 })
  const seconds = (): number =>
    Number(/^depot_event_loop_delay_p99_seconds (\S+)$/m.exec(metrics.text())?.[1])
  await setTimeout(20)
  seconds()
  // The look after a reset is not counted.
  await setTimeout(20)
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BLOCK_MS)
  await setTimeout(20)
  const held = seconds()
  expect(held).toBeGreaterThan(0.9 * (BLOCK_MS / 1000))
  await setTimeout(20)
  expect(seconds()).toBeLessThan(held)
  watching[Symbol.dispose]()
})

it('a node without a head has none to show, and all the rest', async () => {
  await using at = await engine({ isReplica: true })
  const metrics = new Metrics()
  const sizes = (): never => ({ usedBytes: 4096, fileBytes: 8192 }) as never
  const watching = watchProcess(metrics, { ...at, store: { sizes }, ledger: { sizes }, openingSeconds: 0 })
  watchOrigin(metrics, at.depot.head, {
    state: () => ({ mode: 'fresh', isDraining: false, whenCut: 'serve', isOrigin: true }),
    known: () => at.depot.head.now().gid,
  })
  const lines = metrics.text().split('\n')
  for (const line of [
    'depot_generation_number NaN',
    'depot_known_generation_number NaN',
    'depot_ledger_used_bytes 4096',
    'depot_ledger_file_bytes 8192',
  ])
    expect(lines).toContain(line)
  watching[Symbol.dispose]()
})

describe('a node that follows', () => {
  const standing: ReplicaStanding = {
    condition: 'lag',
    known: 'g7.k3x7m2q5wz4a.0123456789abcdef' as Gid,
    lagGenerations: 3,
    lagSeconds: 1.5,
    originSeconds: 0.25,
    isIdTaken: true,
  }

  it('shows how it stands, and how far its copy has come', () => {
    const metrics = new Metrics()
    const progress = new Progress(standing.known!)
    progress.nodes.need(5, 0)
    progress.nodes.have(2, 0)
    progress.files.need(10, 1_000)
    progress.files.have(1, 100)
    let isCopying = true
    let refusal: DepotError | undefined
    watchFollowing(metrics, {
      standing: () => standing,
      follower: { state: () => ({ progress: isCopying ? progress.report() : undefined, refusal }) },
      access: { ageMs: () => 2_000 },
      relay: { underWay: 4 },
      counts: { shown: 8, failed: 9 },
    })
    const shown = (): readonly string[] =>
      metrics
        .text()
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('#'))
    expect(shown()).toEqual([
      'depot_known_generation_number 7',
      'depot_lag_generations 3',
      'depot_lag_seconds 1.5',
      'depot_origin_seconds 0.25',
      ...NODE_CONDITIONS.map((state) => `depot_node_state{state="${state}"} ${state === 'lag' ? 1 : 0}`),
      'depot_node_id_taken 1',
      'depot_upstream_refused 0',
      'depot_access_age_seconds 2',
      'depot_relays 4',
      'depot_copy_done 3',
      'depot_copy_needed 15',
      'depot_copies_total 8',
      'depot_copy_failures_total 9',
    ])
    isCopying = false
    refusal = failure('signature-wrong', { wanted: standing.known!, key: 'k1' })
    expect(shown()).toEqual(
      expect.arrayContaining(['depot_copy_done 0', 'depot_copy_needed 0', 'depot_upstream_refused 1']),
    )
  })
})

it('an origin counts the nodes that follow it, by their states', async () => {
  await using at = await engine()
  const metrics = new Metrics()
  const sizes = (): never => ({ usedBytes: 0, fileBytes: 0 }) as never
  const watching = watchProcess(metrics, { ...at, store: { sizes }, ledger: { sizes }, openingSeconds: 0 })
  const report = { role: 'replica', head: null, known: null } as const
  for (const [id, state] of [
    ['r1', 'fresh'],
    ['r2', 'fresh'],
    ['r3', 'drain'],
  ] as const)
    at.depot.roster.hear(id, { ...report, state })
  const lines = metrics.text().split('\n')
  expect(lines.filter((line) => line.startsWith('depot_nodes'))).toEqual([
    'depot_nodes{state="fresh"} 2',
    'depot_nodes{state="drain"} 1',
  ])
  watching[Symbol.dispose]()
})
