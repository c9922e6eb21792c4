/**
 * A real disk that staging alone fills: it is refused while the reserve is there, and what ends a stage takes from that.
 */
import { open, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it, type TestContext } from 'vitest'
import type { StageId } from '../../src/ledger/ledger.ts'
import type { OpenLedger } from '../../src/ledger/open.ts'
import { digestOf } from '../../src/model/digest.ts'
import { LIMITS } from '../../src/model/limits.ts'
import { smallDisk } from '../support/small-disk.ts'
import { FIRST_MS, flipAfter, flipped, openedLedger, openStage, StandingClock } from './a-ledger.ts'

const FULL = { code: 'disk-full' }
const ROWS = 2_000
const MIB = 1_048_576

/** Somebody else takes all but so many bytes. */
async function fill(path: string, leave: number): Promise<void> {
  const { bavail, bsize } = await statfs(path)
  const file = await open(join(path, 'filler'), 'w')
  await file.write(Buffer.alloc(bavail * bsize - leave))
  await file.close()
}

/** Stages until it is refused, and tells how often it was not. */
async function stagedUntilFull(stage: (at: number) => Promise<void>): Promise<number> {
  for (let at = 0; at < 1_000; at += 1) {
    const error = await stage(at).then(
      () => undefined,
      (refused: unknown) => refused,
    )
    if (error === undefined) continue
    expect(error).toMatchObject(FULL)
    return at
  }
  throw new Error('the disk was never full')
}

async function writeChanges(ledger: OpenLedger, stage: StageId, at: number): Promise<void> {
  const rows = Array.from({ length: ROWS }, (_, n) => ({
    channel: 'stable',
    key: `name-${at}-${n}\u00001.0.0`,
    value: 'x'.repeat(300),
  }))
  await ledger.changes.write(stage, rows)
}

const STAGING: readonly [string, (ledger: OpenLedger, stage: StageId) => (at: number) => Promise<void>][] = [
  [
    'changes',
    (ledger, stage) => async (at) => {
      await writeChanges(ledger, stage, at)
    },
  ],
  [
    'leases',
    (ledger, stage) => async (at) => {
      await ledger.blobs.lease(
        stage,
        Array.from({ length: 1_000 }, (_, n) => digestOf(`${at} ${n}`)),
      )
    },
  ],
  [
    'wanted blobs',
    (ledger, stage) => async (at) => {
      const wanted = Array.from({ length: 1_000 }, (_, n) => ({ digest: digestOf(`${at} ${n}`), size: n }))
      await ledger.blobs.want(stage, digestOf(`manifest ${at}`), wanted)
    },
  ],
]

it.for(STAGING)(
  'a disk that is full of %s takes no more of anything staged, and every stage can end',
  async ([, staging], context: TestContext) => {
    await using disk = await smallDisk(context, 'size=96m')
    const clock = new StandingClock()
    await using ledger = await openedLedger(disk.path, clock)
    const head = await flipped(ledger, 1)
    const [one, two, three] = [
      await openStage(ledger, 's1'),
      await openStage(ledger, 's2'),
      await openStage(ledger, 's3'),
    ]
    await writeChanges(ledger, two, 0)

    const stage = staging(ledger, one)
    expect(await stagedUntilFull(stage)).toBeGreaterThan(3)
    const { bavail, bsize } = await statfs(disk.path)
    // A part of the reserve lies in the file already: blocks behind its last page.
    const { size } = await stat(join(disk.path, 'ledger.lmdb'))
    const ahead = size - ledger.sizes().fileBytes
    expect(bavail * bsize + ahead).toBeGreaterThanOrEqual(LIMITS.diskReserveBytes)
    await fill(disk.path, 8 * MIB)
    clock.advance(1_000) // what was measured is believed for so long
    const before = ledger.changes.count(two)
    await expect(writeChanges(ledger, two, 1)).rejects.toMatchObject(FULL)
    await expect(ledger.blobs.lease(two, [digestOf('new')])).rejects.toMatchObject(FULL)
    await expect(
      ledger.blobs.want(two, digestOf('m'), [{ digest: digestOf('new'), size: 1 }]),
    ).rejects.toMatchObject(FULL)
    expect(ledger.changes.count(two)).toBe(before)
    expect(ledger.blobs.isLeased(digestOf('new'))).toBe(false)

    const idempotency = {
      token: 't',
      stage: two,
      key: 'k',
      bodyDigest: digestOf('{}'),
      gid: head.gid,
      changed: true,
      atMs: FIRST_MS,
    }
    const next = await ledger.generations.flip(
      flipAfter(head, { stage: { id: two, edition: 1 }, idempotency }),
    )
    expect(ledger.generations.head()).toEqual(next)
    expect(ledger.outcomes.recall('t', two, 'k')).toEqual(idempotency)
    await ledger.stages.close(three, 'aborted')
    await ledger.stages.close(one, 'aborted')
    await ledger.swept()
    expect(ledger.blobs.isLeased(digestOf('0 0'))).toBe(false)
  },
)

it('what is staged goes where the rows of ended stages were, for the file never shrinks', async (context) => {
  await using disk = await smallDisk(context, 'size=96m')
  await using ledger = await openedLedger(disk.path)
  const one = await openStage(ledger, 's1')
  const calls = await stagedUntilFull(async (at) => {
    await writeChanges(ledger, one, at)
  })
  await ledger.stages.close(one, 'aborted')
  await ledger.swept()
  const two = await openStage(ledger, 's2')
  for (let at = 0; at < calls / 2; at += 1) await writeChanges(ledger, two, at)
  expect(ledger.changes.count(two)).toBeGreaterThan(0)
})
