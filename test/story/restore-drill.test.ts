/**
 * The restore drill of README.md, with real processes: the origin loses its disk after three commits that its backup has
 * not. Nobody goes back, nothing is committed, and both ways out lead on.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { parseGid, partsOf } from '../../src/model/generation.ts'
import { type Ran, runProcess } from '../cli/run.ts'
import { Chain, fileOf, headAt, publishNumber } from './chain.ts'
import { type Served, served } from './served.ts'

const SOON = { timeout: 20_000 }

/** What a command gives with `--json`, which is to end well. */
async function resultOf(ran: Promise<Ran>, exit = 0): Promise<Record<string, unknown>> {
  const { stdout, stderr, exit: found } = await ran
  expect([found, stderr]).toEqual([exit, ''])
  return JSON.parse(stdout) as Record<string, unknown>
}

it('an origin that was restored asks its replicas, and goes on with what they have, or without', {
  timeout: 120_000,
}, async () => {
  await using chain = await Chain.open()
  const { origin, folder } = chain
  const [backup, data] = [join(folder.path, 'backup'), join(folder.path, 'origin')]
  const address = new URL(origin.url).host
  const replicas = [await chain.replica('r1', origin.url), await chain.replica('r2', origin.url)]
  await publishNumber(origin, 1)
  const saved = await publishNumber(origin, 2)

  // The backup is taken while the depot runs, and again.
  const backedUp = async (): Promise<Record<string, unknown>> =>
    await resultOf(runProcess(['backup', '--json', '--data', data, '--depot', origin.url, '--to', backup]))
  expect(await backedUp()).toMatchObject({ gid: saved, online: true, changed: true })
  expect(await backedUp()).toMatchObject({
    gid: saved,
    changed: false,
    blobs: 0,
    nodes: 0,
  })

  const lost: string[] = []
  for (const number of [3, 4, 5]) lost.push(await publishNumber(origin, number))
  const newest = lost.at(-1) ?? ''
  for (const [at, replica] of replicas.entries())
    await expect.poll(async () => await headAt(replica), SOON).toBe(`200 ${newest} r${at + 1} fresh`)

  await origin.end('SIGKILL')
  await rm(data, { recursive: true })
  const restored = await resultOf(runProcess(['restore', '--json', '--from', backup, '--data', data]))
  expect(restored).toMatchObject({ gid: saved, followers: 2 })

  const start = async (): Promise<Served> => await served({ data, flags: ['--listen', address] })
  {
    await using again = await start()
    // Reads go on, at what it has; nothing is committed, and the operator is told the two ways out.
    await expect.poll(async () => await headAt(again), SOON).toBe(`200 ${saved} origin diverged`)
    expect((await fetch(`${again.url}/readyz`)).status).toBe(503)
    expect((await fetch(`${again.url}/servez`)).status).toBe(200)
    const refused = await publishNumber(again, 6).catch((error: Error) => error)
    expect(refused).toMatchObject({ code: 'origin-diverged', details: { generation: saved, seen: newest } })
    expect(String(refused)).toMatch(/depot adopt .*depot fork/)
    for (const [at, replica] of replicas.entries())
      expect(await headAt(replica)).toMatch(new RegExp(`^200 ${newest} r${at + 1} `))
    for (const replica of replicas)
      await expect.poll(async () => (await headAt(replica)).split(' ').at(-1), SOON).toBe('diverged')

    // The first way out: what was lost comes back, and the same lineage goes on.
    const adopted = await runProcess([
      'adopt',
      '--json',
      '--data',
      data,
      '--depot',
      again.url,
      replicas[0]!.url,
    ])
    expect([adopted.exit, adopted.stderr]).toEqual([0, ''])
    expect(JSON.parse(adopted.stdout)).toEqual({ gid: newest, changed: true })
    const next = await publishNumber(again, 6)
    expect(partsOf(parseGid(next))).toMatchObject({ number: 6, lineage: partsOf(parseGid(saved)).lineage })
    for (const [at, replica] of replicas.entries())
      await expect.poll(async () => await headAt(replica), SOON).toBe(`200 ${next} r${at + 1} fresh`)
    for (const number of [3, 4, 5, 6]) expect(await fileOf(again, next, number)).toContain(`${number}\n`)
    await again.end('SIGKILL')
  }

  // And once more from the same backup: now it goes on without.
  await rm(data, { recursive: true })
  expect((await runProcess(['restore', '--from', backup, '--data', data])).exit).toBe(0)
  await using third = await start()
  await expect.poll(async () => await headAt(third), SOON).toBe(`200 ${saved} origin diverged`)
  const forked = await runProcess(['fork', '--json', '--data', data, '--depot', third.url])
  const { gid } = JSON.parse(forked.stdout) as { gid: string }
  expect(partsOf(parseGid(gid)).number).toBe(1_000)
  const after = await publishNumber(third, 7)
  expect(partsOf(parseGid(after))).toMatchObject({ number: 1_001, lineage: partsOf(parseGid(gid)).lineage })
  for (const [at, replica] of replicas.entries())
    await expect.poll(async () => await headAt(replica), SOON).toBe(`200 ${after} r${at + 1} fresh`)

  // Who has seen what is kept goes on, who has seen what is lost is told so, at every node, at once (I33).
  const floor = async (url: string, least: string): Promise<string> => {
    const answer = await fetch(`${url}/v1/head`, { headers: { 'depot-min-generation': least } })
    return `${answer.status} ${((await answer.json()) as { type?: string }).type ?? ''}`
  }
  for (const { url } of [third, ...replicas]) {
    expect(await floor(url, saved)).toBe('200 ')
    expect(await floor(url, newest)).toBe('412 /problems/generation-lost')
    expect((await fetch(`${url}/g/${newest}/v1/channels`)).status).toBe(410)
  }
  const told = await runProcess(['floor', '--depot', third.url], {
    environment: { DEPOT_MIN_GENERATION: newest },
  })
  expect(told.stderr).toContain(`--accept-lineage ${partsOf(parseGid(gid)).lineage}`)
})
