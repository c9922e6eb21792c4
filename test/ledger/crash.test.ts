/**
 * L1 and L2 when the process dies at any moment: what was acknowledged is there, and nothing is there by half.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import type { StageId } from '../../src/ledger/ledger.ts'
import type { OpenLedger } from '../../src/ledger/open.ts'
import { digestOf } from '../../src/model/digest.ts'
import { encodeRecord, type Gid, gidOf } from '../../src/model/generation.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { openedLedger, openedStore } from './a-ledger.ts'

const CHILD = fileURLToPath(new URL('./flipping-child.ts', import.meta.url))
const ROUNDS = 10

interface Acknowledged {
  readonly gid: Gid
  readonly stage: StageId
}

describe('a ledger whose process is killed while it flips', () => {
  it('has every acknowledged generation, whole, and the newest of all as its head, ten times over', async () => {
    await using folder = await temporaryFolder()
    const acknowledged: Acknowledged[] = []
    for (let round = 0; round < ROUNDS; round += 1) {
      acknowledged.push(...(await killedAfter(folder.path, `r${round}`, 1 + Math.floor(Math.random() * 60))))
      const ledger = await openedLedger(folder.path)
      expectWhole(ledger, acknowledged)
      await ledger.swept()
      await ledger[Symbol.asyncDispose]()
      await expectNoRowsOfEndedStages(folder.path)
    }
    expect(acknowledged.length).toBeGreaterThanOrEqual(ROUNDS)
  })
})

/** What the child said before it was killed: at the moment when so many lines had come, or a little later. */
async function killedAfter(path: string, name: string, lines: number): Promise<readonly Acknowledged[]> {
  const child = spawn(process.execPath, [CHILD, path, name], { stdio: ['ignore', 'pipe', 'inherit'] })
  const died = once(child, 'exit')
  let text = ''
  for await (const piece of child.stdout as AsyncIterable<Buffer>) {
    text += piece.toString()
    if (text.split('\n').length > lines) child.kill('SIGKILL')
  }
  expect(await died).toEqual([null, 'SIGKILL'])
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => line.split(' '))
    .map(([gid, stage]) => ({ gid: gid as Gid, stage: stage as StageId }))
}

function expectWhole(ledger: OpenLedger, acknowledged: readonly Acknowledged[]): void {
  const log = ledger.generations.list({ kind: 'newest' }, 100_000)
  expect(ledger.generations.head()).toEqual(log[0])
  const gids = new Set(log.map((generation) => generation.gid))
  expect(acknowledged.filter(({ gid }) => !gids.has(gid))).toEqual([])
  for (const [at, { gid, record }] of log.entries()) {
    expect(gidOf(record, encodeRecord(record))).toBe(gid)
    expect(record.number).toBe(log.length - 1 - at)
    expect(record.parent).toBe(log[at + 1]?.gid ?? null)
  }
  for (const { gid, stage } of acknowledged) {
    expect(ledger.stages.get(stage)).toMatchObject({ state: 'committed', committed: gid })
    expect(ledger.outcomes.recall('token-1', stage, 'key')?.gid).toBe(gid)
    expect(ledger.blobs.isLeased(digestOf(stage))).toBe(false)
  }
  for (const { id, edition } of ledger.stages.listOpen()) {
    expect(ledger.changes.count(id)).toBe(edition * 50)
    expect(ledger.changes.list(id, undefined, 1_000)).toHaveLength(edition * 50)
    expect(ledger.outcomes.recall('token-1', id, 'key')).toBeUndefined()
  }
}

async function expectNoRowsOfEndedStages(path: string): Promise<void> {
  await using store = await openedStore(path)
  const { changes, stages, leases, leased, sweeps } = store.tables
  const open = [...stages.getRange()].map(({ value }) => JSON.parse(value.toString()) as { changes: number })
  expect(changes.getKeysCount()).toBe(open.reduce((sum, stage) => sum + stage.changes, 0))
  expect(leases.getKeysCount()).toBe(leased.getKeysCount())
  expect(leases.getKeysCount()).toBeLessThanOrEqual(open.length)
  expect(sweeps.getKeysCount()).toBe(0)
}
