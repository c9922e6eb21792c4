/**
 * A replica that follows a replica, as processes of their own: bytes come from the one before it, and the origin's word
 * from the origin itself (PROTOCOL §6).
 */
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { publish } from '../support/publish.ts'
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts'
import { type Served, served } from './served.ts'

let folder: TemporaryFolder
let origin: Served
let upstreamToken = ''
const nodes: Served[] = []

beforeEach(async () => {
  folder = await temporaryFolder()
  origin = await served({ data: join(folder.path, 'origin') })
  const { token } = await origin.client.createToken({ label: 'replicas', scopes: ['replicate'] })
  upstreamToken = token
})

afterEach(async () => {
  for (const one of nodes.splice(0)) await one[Symbol.asyncDispose]()
  await origin[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

async function replica(id: string, upstream: string, listen = '127.0.0.1:0'): Promise<Served> {
  const node = await served({
    data: join(folder.path, id),
    flags: ['--role', 'replica', '--upstream', upstream, '--node-id', id, '--listen', listen],
    environment: { DEPOT_UPSTREAM_TOKEN: upstreamToken },
    token: origin.token,
  })
  nodes.push(node)
  await expect.poll(async () => (await fetch(`${node.url}/readyz`)).status, { timeout: 20_000 }).toBe(200)
  return node
}

async function publishNumber(at: Served, number: number): Promise<string> {
  const files = { f: `${number}\n` }
  return (await publish(at.client, { name: 'hello', version: `1.0.${number}`, files })).gid
}

/** The generation of its head, as it tells it, and how the node is that told it. */
async function headAt({ url }: Served): Promise<string> {
  const { status, headers } = await fetch(`${url}/v1/head`)
  const [id = ''] = (headers.get('depot-node') ?? '').split(';')
  return `${status} ${headers.get('depot-generation')} ${id} ${stateIn(headers)}`
}

function stateIn(headers: Headers): string {
  return /state=(\w+)/.exec(headers.get('depot-node') ?? '')?.[1] ?? ''
}

async function fileOf({ url }: Served, gid: string, number: number): Promise<string> {
  const answer = await fetch(`${url}/g/${gid}/v1/channels/stable/files/hello/1.0.${number}/f`)
  return `${answer.status} ${answer.headers.get('depot-generation')} ${(await answer.text()).slice(0, 20)}`
}

function asAdmin(): Record<string, string> {
  return { authorization: `Bearer ${origin.token}` }
}

describe('a replica of a replica', () => {
  it('shows what is committed, is written through, and stays right while the one before it is dead', async () => {
    const first = await replica('r1', origin.url)
    const second = await replica('r2', first.url)
    const one = await publishNumber(origin, 1)
    await expect.poll(async () => await headAt(second), { timeout: 10_000 }).toBe(`200 ${one} r2 fresh`)
    const two = await publishNumber(second, 2)
    expect((await fetch(`${origin.url}/v1/head`)).headers.get('depot-generation')).toBe(two)
    await expect.poll(async () => await headAt(second), { timeout: 10_000 }).toBe(`200 ${two} r2 fresh`)
    const known = (await (await fetch(`${origin.url}/v1/nodes`, { headers: asAdmin() })).json()) as {
      nodes: { id: string; state: string }[]
    }
    expect(known.nodes.map(({ id }) => id)).toEqual(['r1', 'r2'])

    await first.end('SIGKILL')
    const three = await publishNumber(origin, 3)
    // Known by a heartbeat to the origin; from then on it never answers from what it has.
    await expect.poll(async () => await headAt(second), { timeout: 10_000 }).toBe(`200 ${three} r2 lag`)
    for (let time = 0; time < 10; time += 1) expect(await headAt(second)).toBe(`200 ${three} r2 lag`)
    expect(await fileOf(second, three, 3)).toBe(`200 ${three} 3\n`)
    expect(await fileOf(second, two, 2)).toBe(`200 ${two} 2\n`)
    const absent = await fetch(`${second.url}/v1/channels/stable/manifests/hello/9.9.9`)
    expect([absent.status, absent.headers.get('depot-generation')]).toEqual([404, three])
    const four = await publishNumber(second, 4)
    expect((await fetch(`${origin.url}/v1/head`)).headers.get('depot-generation')).toBe(four)

    const again = await replica('r1', origin.url, new URL(first.url).host)
    expect(again.url).toBe(first.url)
    await expect.poll(async () => await headAt(second), { timeout: 20_000 }).toBe(`200 ${four} r2 fresh`)
    expect(await fileOf(second, four, 4)).toBe(`200 ${four} 4\n`)
  })
})
