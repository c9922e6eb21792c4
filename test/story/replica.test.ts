/**
 * An origin and its replicas as processes of their own: whoever is asked, a generation is whole, and nobody is sent back.
 */
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { publish } from '../support/publish.ts'
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts'
import { type Served, served } from './served.ts'

const QUICK = ['--drain-seconds', '0']
const FILES = 40

let folder: TemporaryFolder
let origin: Served
let upstreamToken = ''
const replicas: Served[] = []

beforeEach(async () => {
  folder = await temporaryFolder()
  origin = await served({ data: join(folder.path, 'origin'), flags: QUICK })
  const { token } = await origin.client.createToken({ label: 'replicas', scopes: ['replicate'] })
  upstreamToken = token
  replicas.push(await replica('r0'), await replica('r1'))
})

afterEach(async () => {
  for (const one of replicas.splice(0)) await one[Symbol.asyncDispose]()
  await origin[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

async function replica(id: string, listen = '127.0.0.1:0'): Promise<Served> {
  const node = await served({
    data: join(folder.path, id),
    flags: [...QUICK, '--role', 'replica', '--upstream', origin.url, '--node-id', id, '--listen', listen],
    environment: { DEPOT_UPSTREAM_TOKEN: upstreamToken },
    token: origin.token,
  })
  await expect.poll(async () => (await fetch(`${node.url}/readyz`)).status, { timeout: 20_000 }).toBe(200)
  return node
}

/** A release whose every file says which one it is. */
async function publishNumber(number: number): Promise<string> {
  const files = Object.fromEntries(Array.from({ length: FILES }, (_, at) => [`f${at}`, `${number} ${at}\n`]))
  const { gid } = await publish(origin.client, { name: 'hello', version: `1.0.${number}`, files })
  return gid
}

function numberOf(gid: string): number {
  return Number(/^g(\d+)\./.exec(gid)?.[1])
}

/** Asks as a client that follows links: the head from one node, everything of it from the others in turn. */
async function session(
  urls: readonly string[],
  at: number,
): Promise<{ readonly gid: string; readonly failed: string[] }> {
  const failed: string[] = []
  const turn = (step: number): string => urls[(at + step) % urls.length] ?? ''
  const head = await fetch(`${turn(0)}/v1/head`)
  const gid = head.headers.get('depot-generation') ?? ''
  if (head.status !== 200) return { gid, failed: [`head ${head.status}`] }
  await head.body?.cancel()
  const number = numberOf(gid)
  if (number === 0) return { gid, failed }
  for (let file = 0; file < 4; file += 1) {
    const path = `/g/${gid}/v1/channels/stable/files/hello/1.0.${number}/f${file}`
    const answer = await fetch(turn(file + 1) + path, { headers: { prefer: 'wait=5' } })
    const text = await answer.text()
    if (answer.headers.get('depot-generation') !== gid || text !== `${number} ${file}\n`)
      failed.push(`${path}: ${answer.status} ${answer.headers.get('depot-generation')} ${text.slice(0, 200)}`)
  }
  return { gid, failed }
}

describe('replicas', () => {
  it('serve every generation whole while others are committed, whoever is asked', async () => {
    const publishing = (async () => {
      for (let number = 1; number <= 12; number += 1) await publishNumber(number)
    })()
    let isOver = false
    void publishing.finally(() => {
      isOver = true
    })
    const urls = replicas.map(({ url }) => url)
    const failed: string[] = []
    const seen = new Set<string>()
    for (let at = 0; !isOver; at += 1) {
      const one = await session(urls, at)
      failed.push(...one.failed)
      seen.add(one.gid)
    }
    await publishing
    expect(failed).toEqual([])
    expect(seen.size).toBeGreaterThan(3)
    for (const { url } of replicas)
      await expect.poll(async () => (await session([url], 0)).gid).toMatch(/^g12\./)
  })

  it('are written through, and have what was written when they say so', async () => {
    const [first] = replicas
    const { gid } = await publish(first!.client, { name: 'hello', version: '1.0.1', files: { f0: '1 0\n' } })
    const answer = await fetch(`${first!.url}/v1/head`, { headers: { 'depot-min-generation': gid } })
    expect([answer.status, answer.headers.get('depot-generation')]).toEqual([200, gid])
    const own = await fetch(`${origin.url}/v1/head`)
    expect(own.headers.get('depot-generation')).toBe(gid)
  })

  it('go on with what they have when the origin is gone, and say so', async () => {
    const gid = await publishNumber(1)
    const [first] = replicas
    // Its own answer, and not one that the origin gave in its place.
    await expect
      .poll(async () => {
        const { headers } = await fetch(`${first!.url}/v1/head`)
        return `${headers.get('depot-generation')} ${/state=(\w+)/.exec(headers.get('depot-node') ?? '')?.[1]}`
      })
      .toBe(`${gid} fresh`)
    await origin.end('SIGKILL')
    await expect.poll(async () => (await fetch(`${first!.url}/readyz`)).status, { timeout: 20_000 }).toBe(503)
    expect((await fetch(`${first!.url}/servez`)).status).toBe(200)
    expect(await session([first!.url], 0)).toEqual({ gid, failed: [] })
    // Nobody can tell that it is nowhere.
    const absent = await fetch(`${first!.url}/v1/channels/stable/manifests/hello/9.9.9`)
    expect([absent.status, absent.headers.get('cache-control')]).toEqual([503, 'no-store'])
    const write = await fetch(`${first!.url}/v1/stages`, { method: 'POST' })
    expect(write.status).toBe(503)
  })

  it('killed at any moment come back and catch up, from what they had', async () => {
    for (let round = 1; round <= 3; round += 1) {
      const committed = publishNumber(round)
      const [first] = replicas
      await first!.end('SIGKILL')
      const gid = await committed
      replicas[0] = await replica('r0')
      const { url } = replicas[0]
      await expect.poll(async () => (await session([url], 0)).gid, { timeout: 20_000 }).toBe(gid)
      expect((await session([url], 0)).failed).toEqual([])
    }
  })
})
