/**
 * A replica becomes the origin: the others go on with what they have, and the old origin, when it comes back, is told
 * that its time is over (PROTOCOL §10, I34).
 */
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { parseGid, partsOf } from '../../src/model/generation.ts'
import { runProcess } from '../cli/run.ts'
import { Chain, headAt, publishNumber } from './chain.ts'
import { refused, type Served, served } from './served.ts'

const SOON = { timeout: 20_000 }

it('others follow it without a new copy, and the old origin commits nothing any more', {
  timeout: 120_000,
}, async () => {
  await using chain = await Chain.open()
  const { origin, folder } = chain
  const dataOf = (name: string): string => join(folder.path, name)
  const first = await chain.replica('r1', origin.url)
  const second = await chain.replica('r2', origin.url)
  for (const number of [1, 2]) await publishNumber(origin, number)
  const last = await publishNumber(origin, 3)
  for (const [at, replica] of [first, second].entries())
    await expect.poll(async () => await headAt(replica), SOON).toBe(`200 ${last} r${at + 1} fresh`)

  // While the replica runs nobody takes it over.
  const early = await runProcess(['takeover', '--data', dataOf('r1')])
  expect([early.exit, early.stderr]).toEqual([1, expect.stringContaining('already running')])
  await origin.end('SIGKILL')
  for (const replica of [first, second]) await replica.end('SIGTERM')
  const taken = await runProcess(['takeover', '--json', '--data', dataOf('r1')])
  expect([taken.exit, taken.stderr]).toEqual([0, ''])
  const { gid, changed } = JSON.parse(taken.stdout) as { gid: string; changed: boolean }
  expect([partsOf(parseGid(gid)).number, changed]).toEqual([1_000, true])

  // A replica has no private key: without that of the depot nobody would believe what it commits.
  const keyless = await refused({ data: dataOf('r1') })
  expect([keyless.code, keyless.log]).toEqual([1, expect.stringContaining('--replace-lost-key')])
  await cp(join(dataOf('origin'), 'keys'), join(dataOf('r1'), 'keys'), { recursive: true })

  const address = new URL(first.url).host
  await using newOrigin = await served({ data: dataOf('r1'), flags: ['--listen', address] })
  expect(await headAt(newOrigin)).toBe(`200 ${gid} origin fresh`)
  const next = await publishNumber(newOrigin, 4)
  const follow = async (upstream: string): Promise<Served> => await chain.replica('r2', upstream)
  {
    await using again = await follow(newOrigin.url)
    await expect.poll(async () => await headAt(again), SOON).toBe(`200 ${next} r2 fresh`)
    // What it had already it did not copy anew: one step led from there to the head.
    expect(await (await fetch(`${again.url}/metrics`)).text()).toMatch(/^depot_copies_total 1$/m)
    await again.end('SIGTERM')
  }

  // The old origin comes back, and a replica that is still pointed to it tells what it has.
  const oldAddress = new URL(origin.url).host
  await using old = await served({ data: dataOf('origin'), flags: ['--listen', oldAddress] })
  const pointedWrong = await chain.follower('r2', old.url)
  await expect.poll(async () => await headAt(old), SOON).toBe(`200 ${last} origin diverged`)
  expect(await publishNumber(old, 5).catch((error: Error) => error)).toMatchObject({
    code: 'origin-superseded',
    details: { generation: last, seen: next },
  })
  // It never goes back.
  await expect.poll(async () => await headAt(pointedWrong), SOON).toBe(`200 ${next} r2 diverged`)
  await pointedWrong.end('SIGKILL')
  await old.end('SIGKILL')

  // And it is of use as a replica of the new one.
  const back = await chain.follower('r3', newOrigin.url, { folder: 'origin', token: newOrigin.token })
  await expect.poll(async () => await headAt(back), SOON).toBe(`200 ${next} r3 fresh`)
})
