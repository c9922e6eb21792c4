/**
 * `kill -9` in the middle of what makes, saves or changes a depot as a whole: it leaves the old state or the new one, and
 * the same command again brings it to its end.
 */

import { randomBytes, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { cp, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Gid, partsOf } from '../../src/model/generation.ts'
import { linesOf, runProcess, startProcess } from '../cli/run.ts'
import { publish } from '../support/publish.ts'
import { Chain, headAt } from './chain.ts'
import { refused, type Served, served } from './served.ts'

const SOON = { timeout: 20_000 }
const LONG = { timeout: 120_000 }
const ROUNDS = 3
const MIB = 1_048_576
const ALLOWED = ['--allow-unverified']

let chain: Chain
let replica: Served
let first: Gid
let last: Gid

const pathOf = (name: string): string => join(chain.folder.path, name)

/** Small files and large ones, so that a kill hits the middle of them. */
async function publishMuch(from: number): Promise<Gid> {
  const wishes = Array.from({ length: 6 }, (_, at) => ({
    name: `r${from + at}`,
    version: '1.0.0',
    files: { 'small.txt': `${from + at}`, 'large.bin': randomBytes(2 * MIB) },
  }))
  return (await publish(chain.origin.client, ...wishes)).gid
}

function backupTo(to: string): readonly string[] {
  return ['backup', '--data', pathOf('origin'), '--depot', chain.origin.url, '--to', to]
}

function restoreOf(backup: string, data: string): readonly string[] {
  return ['restore', '--from', pathOf(backup), '--data', data]
}

beforeAll(async () => {
  chain = await Chain.open()
  first = await publishMuch(0)
  await timed(backupTo(pathOf('early')))
  await publishMuch(100)
  last = await publishMuch(200)
}, 60_000)
afterAll(async () => {
  await chain[Symbol.asyncDispose]()
})

/** Runs a command to its end, which is to be a good one; how long that takes. */
async function timed(words: readonly string[]): Promise<number> {
  const began = performance.now()
  const { exit, stderr } = await runProcess(words)
  expect([exit, stderr]).toEqual([0, ''])
  return performance.now() - began
}

/** Starts a command and kills it after a while, unless it has ended by then; whether it was killed. */
async function killed(words: readonly string[], afterMs: number): Promise<boolean> {
  const child = startProcess(words)
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  await Promise.race([setTimeout(afterMs), ended])
  child.kill('SIGKILL')
  return (await ended)[1] === 'SIGKILL'
}

/** What a verification finds wrong, and which head it finds; none where there is nothing yet. */
async function verified(folder: string): Promise<{ readonly faults: unknown[]; readonly gid: unknown }> {
  const { stdout, stderr } = await runProcess(['backup', 'verify', '--json', folder])
  if (/is no backup|has no generation/.test(stderr)) return { faults: [], gid: undefined }
  const lines = linesOf(stdout) as Readonly<Record<string, unknown>>[]
  const faults = lines.filter(
    ({ kind, reason }) => kind === 'damaged' || (kind === 'faulty' && !String(reason).includes('cut short')),
  )
  return { faults, gid: lines.find(({ kind }) => kind === 'whole')?.['gid'] }
}

it('a backup is what it was before, or what it is to become', LONG, async () => {
  const to = pathOf('backup')
  const begin = async (): Promise<void> => {
    await rm(to, { recursive: true, force: true })
    await cp(pathOf('early'), to, { recursive: true })
  }
  await timed(backupTo(pathOf('timed')))
  await begin()
  const wholeMs = await timed(backupTo(to))
  await begin()
  let kills = 0
  // One that came too late has killed nobody, and there is nothing left to do in that folder.
  for (let round = 0; kills < ROUNDS && round < 5 * ROUNDS; round += 1) {
    if (await killed(backupTo(to), randomInt(Math.ceil(wholeMs / 4), Math.ceil(wholeMs)))) kills += 1
    else await begin()
    const { faults, gid } = await verified(to)
    expect(faults).toEqual([])
    expect([first, last]).toContain(gid)
  }
  expect(kills).toBe(ROUNDS)
  await timed(backupTo(to))
  expect(await verified(to)).toEqual({ faults: [], gid: last })
  // Nobody serves it, and what runs was not disturbed.
  expect((await refused({ data: to })).log).toContain('it is a backup')
  expect(await headAt(chain.origin)).toBe(`200 ${last} origin fresh`)
})

it('a first backup is none until it is whole', LONG, async () => {
  const to = pathOf('new-backup')
  for (let round = 0; round < ROUNDS; round += 1) {
    await killed(backupTo(to), randomInt(300, 1_200))
    const { faults, gid } = await verified(to)
    expect(faults).toEqual([])
    expect([undefined, last]).toContain(gid)
  }
})

it('a restore is whole, or nobody serves it', LONG, async () => {
  const wholeMs = await timed(restoreOf('early', pathOf('restored-once')))
  const data = pathOf('restored')
  for (let round = 0; round < ROUNDS; round += 1) {
    await rm(data, { recursive: true, force: true })
    await killed(restoreOf('early', data), randomInt(Math.ceil(wholeMs / 3), Math.ceil(wholeMs)))
    const { exit, stderr } = await runProcess(restoreOf('early', data))
    if (exit === 0) {
      // It was not whole before, and goes on where it was.
      await using whole = await served({ data, flags: ALLOWED })
      expect((await whole.client.head()).gid).toBe(first)
    } else expect(stderr).toContain('there is something already')
  }
})

it('a folder into which a restore was cut short is refused', LONG, async () => {
  const data = pathOf('cut-short')
  const child = startProcess(restoreOf('timed', data))
  const ended = once(child, 'close')
  const isBegun = async (): Promise<boolean> =>
    (await readdir(data).catch((): string[] => [])).includes('pool.lmdb')
  while (!(await isBegun())) await setTimeout(2)
  child.kill('SIGKILL')
  expect((await ended)[1]).toBe('SIGKILL')
  expect((await refused({ data, flags: ALLOWED })).log).toContain('cut short')
  expect((await runProcess(['takeover', '--data', data])).stderr).toContain('cut short')
  const doctor = await runProcess(['doctor', '--data', data, '--depot', chain.origin.url])
  expect(doctor.stdout).toMatch(/^fail +kind of folder: a restore into it was cut short/m)
})

it('a replica follows', LONG, async () => {
  replica = await chain.replica('r1', chain.origin.url)
  await expect.poll(async () => await headAt(replica), SOON).toBe(`200 ${last} r1 fresh`)
})

it('an adoption brings all back, or is begun again', LONG, async () => {
  const data = pathOf('rolled-back')
  await timed(restoreOf('early', data))
  let old = await served({ data, flags: ALLOWED })
  const flags = ['--listen', new URL(old.url).host, ...ALLOWED]
  const words = ['adopt', '--data', data, '--depot', old.url, replica.url]
  const environment = { DEPOT_UPSTREAM_TOKEN: chain.token }
  for (let round = 0; round < ROUNDS; round += 1) {
    const adopting = startProcess(words, { environment })
    const ended = once(adopting, 'close')
    await Promise.race([setTimeout(randomInt(400, 1_200)), ended])
    await old.end('SIGKILL')
    adopting.kill('SIGKILL')
    await ended
    old = await served({ data, flags })
    expect([first, last]).toContain((await old.client.head()).gid)
  }
  expect([0, 4]).toContain((await runProcess(words, { environment })).exit)
  expect((await old.client.head()).gid).toBe(last)
  const { exit } = await runProcess(['adopt', '--data', data, '--depot', old.url, 'http://127.0.0.1:1'])
  expect(exit).toBe(1)
  await old.end('SIGKILL')
})

it('a fork has begun another lineage, or not', LONG, async () => {
  const data = pathOf('forking')
  await timed(restoreOf('early', data))
  let old = await served({ data, flags: ALLOWED })
  let before = first
  for (let round = 0; round < ROUNDS; round += 1) {
    const asked = fetch(`${old.url}/v1/fork`, {
      method: 'POST',
      headers: { authorization: `Bearer ${old.token}` },
    }).then(
      async (answer) => ((await answer.json()) as { gid: Gid }).gid,
      () => undefined,
    )
    await setTimeout(randomInt(0, 15))
    await old.end('SIGKILL')
    const told = await asked
    old = await served({ data, flags: ALLOWED })
    const { gid, record } = await old.client.head()
    if (told !== undefined) expect(gid).toBe(told)
    if (gid === before) continue
    expect([record.parent, record.number % 1_000]).toEqual([before, 0])
    before = gid
  }
  await old.end('SIGKILL')
})

it('a takeover has begun another lineage, or is done again', LONG, async () => {
  await replica.end('SIGTERM')
  const words = (data: string): readonly string[] => ['takeover', '--data', data]
  const trial = pathOf('trial')
  await cp(pathOf('r1'), trial, { recursive: true })
  const wholeMs = await timed(words(trial))
  for (let round = 0; round < ROUNDS; round += 1) {
    const data = pathOf(`taken-${round}`)
    await cp(pathOf('r1'), data, { recursive: true })
    await killed(words(data), randomInt(Math.ceil(wholeMs / 2), Math.ceil(wholeMs)))
    const { exit } = await runProcess(words(data))
    expect([0, 4]).toContain(exit)
    await cp(join(pathOf('origin'), 'keys'), join(data, 'keys'), { recursive: true })
    await using taken = await served({ data })
    const { record } = await taken.client.head()
    // Once, however often it was begun.
    expect([record.number, record.parent]).toEqual([1_000, last])
    expect(partsOf(last).lineage).not.toBe(record.lineage)
  }
})
