/**
 * A disk that is full, for real: a small tmpfs, on which uploads are refused while everything else goes on, down to
 * the last byte.
 */

import { randomBytes } from 'node:crypto'
import { open, statfs, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, type TestContext } from 'vitest'
import {
  type Client,
  DepotError,
  type Manifest,
  type Staging,
  sourceOfBytes,
} from '../../src/client/index.ts'
import { digestOf } from '../../src/model/digest.ts'
import { publish } from '../support/publish.ts'
import { smallDisk } from '../support/small-disk.ts'
import { served } from './served.ts'
import { verifyDepot } from './verify.ts'

const MIB = 1_048_576

/** Fills the disk so that this many bytes are left. */
async function fill(folder: string, leave: number): Promise<void> {
  await using file = await open(join(folder, 'ballast'), 'a')
  const piece = Buffer.alloc(MIB, 1)
  for (;;) {
    const { bavail, bsize } = await statfs(folder)
    const left = bavail * bsize - leave
    if (left <= 0) return
    const written = await file.write(piece.subarray(0, Math.min(left, MIB))).catch(() => undefined)
    if (written === undefined) return
  }
}

async function outcomeOf(act: Promise<unknown>): Promise<string> {
  try {
    await act
    return 'accepted'
  } catch (error) {
    if (error instanceof DepotError) return error.code
    throw error
  }
}

async function stagedRelease(client: Client, name: string, size: number): Promise<Staging> {
  const staging = await client.openStage()
  const source = sourceOfBytes(randomBytes(size))
  await staging.upload([source])
  const files = [{ path: 'a', digest: source.digest, size }]
  await staging.put('stable', { name, version: '1.0.0', files } as unknown as Manifest)
  return staging
}

describe('a disk that is full', () => {
  it('refuses uploads with 507, goes on reading and committing, and takes more when there is room', async (context: TestContext) => {
    await using disk = await smallDisk(context, 'size=160m')
    await using depot = await served({ data: join(disk.path, 'data') })
    const { client } = depot
    await publish(client, { name: 'before', version: '1.0.0', files: { a: randomBytes(200_000) } })
    const uploaded = await stagedRelease(client, 'uploaded', 100_000)

    // Less than the reserve is left: no more uploads, and no promises either.
    await fill(disk.path, 40 * MIB)
    await expect
      .poll(async () => await outcomeOf(stagedRelease(client, 'refused', 100_000)), { timeout: 10_000 })
      .toBe('disk-full')
    const staging = await client.openStage()
    const declared = { digest: sourceOfBytes(randomBytes(10)).digest, size: 1_000_000 }
    expect(await outcomeOf(staging.missing([declared]))).toBe('disk-full')
    const answer = await fetch(
      `${depot.url}/v1/stages/${staging.id}/blobs/sha256/${declared.digest.slice(7)}`,
      {
        method: 'PUT',
        headers: { authorization: `Bearer ${depot.token}` },
        body: Buffer.alloc(1_000_000),
      },
    )
    expect([answer.status, answer.headers.get('content-type')]).toEqual([
      507,
      expect.stringContaining('problem+json'),
    ])
    await answer.arrayBuffer()
    await verifyDepot(client, { gids: new Set(), manifests: new Set() })

    // What was uploaded before is committed out of the reserve.
    expect(await outcomeOf(uploaded.commit())).toBe('accepted')
    expect((await client.head()).record.number).toBe(2)

    // Not a byte is left: nothing new, and nothing lost.
    await fill(disk.path, 0)
    await expect
      .poll(async () => await outcomeOf(stagedRelease(client, 'full', 100)), { timeout: 10_000 })
      .toBe('disk-full')
    const outcomes = new Set<string>()
    for (let round = 0; round < 20; round += 1) {
      outcomes.add(await outcomeOf(client.openStage()))
      outcomes.add(await outcomeOf(stagedRelease(client, `full-${round}`, 100)))
    }
    for (const outcome of outcomes) expect(['accepted', 'disk-full']).toContain(outcome)
    expect(outcomes).toContain('disk-full')
    await verifyDepot(client, { gids: new Set(), manifests: new Set() })
    expect((await fetch(`${depot.url}/readyz`)).status).toBe(200)

    // Room is made.
    await unlink(join(disk.path, 'ballast'))
    await expect
      .poll(async () => await outcomeOf(stagedRelease(client, 'probe', 100_000)), { timeout: 10_000 })
      .toBe('accepted')
    const { gid } = await publish(client, {
      name: 'after',
      version: '1.0.0',
      files: { a: randomBytes(200_000) },
    })
    const { generations } = await verifyDepot(client, { gids: new Set(), manifests: new Set() })
    expect(generations[0]?.gid).toBe(gid)
    expect(depot.log()).not.toMatch(/"level":(?:50|60)/)
    expect((await depot.end('SIGTERM')).code).toBe(0)
  })

  it('of what is staged takes no more of that with 507, and commits what was staged before', async (context: TestContext) => {
    await using disk = await smallDisk(context, 'size=88m')
    await using depot = await served({ data: join(disk.path, 'data') })
    const { client } = depot
    await publish(client, { name: 'before', version: '1.0.0', files: { a: randomBytes(200_000) } })
    const staged = await stagedRelease(client, 'staged', 100_000)

    // Nothing but rows of the ledger: blobs that are declared, and never come.
    const greedy = await client.openStage()
    const declare = async (): Promise<unknown> =>
      await greedy.missing(
        Array.from({ length: 4_000 }, () => ({ digest: digestOf(randomBytes(32)), size: 1 })),
      )
    let outcome = 'accepted'
    for (let round = 0; outcome === 'accepted' && round < 500; round += 1)
      outcome = await outcomeOf(declare())
    expect(outcome).toBe('disk-full')
    const { bavail, bsize } = await statfs(disk.path)
    expect(bavail * bsize).toBeGreaterThanOrEqual(60 * MIB)

    // Below half of the reserve nobody may count on pages that are free inside of the file. What was measured is believed
    // for a second.
    await fill(disk.path, 20 * MIB)
    const mark = async (): Promise<Response> =>
      await fetch(`${depot.url}/v1/stages/${greedy.id}/channels/stable/manifests/before/1.0.0`, {
        method: 'PATCH',
        headers: { authorization: `Bearer ${depot.token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ status: 'yanked' }),
      })
    await expect.poll(async () => (await mark()).status, { timeout: 10_000 }).toBe(507)
    expect(await (await mark()).json()).toMatchObject({ type: '/problems/disk-full' })
    expect(await outcomeOf(staged.commit())).toBe('accepted')
    expect(await outcomeOf(greedy.abort())).toBe('accepted')
    await verifyDepot(client, { gids: new Set(), manifests: new Set() })
    expect(depot.log()).not.toMatch(/"level":(?:50|60)/)
  })

  it('that is full when the depot starts keeps nobody from reading', async (context: TestContext) => {
    await using disk = await smallDisk(context, 'size=100m')
    const data = join(disk.path, 'data')
    {
      await using depot = await served({ data })
      await publish(depot.client, { name: 'before', version: '1.0.0', files: { a: randomBytes(200_000) } })
      await depot.end('SIGKILL')
    }
    await fill(disk.path, 0)
    await using depot = await served({ data })
    const { generations } = await verifyDepot(depot.client, { gids: new Set(), manifests: new Set() })
    expect(generations.length).toBe(2)
  })
})
