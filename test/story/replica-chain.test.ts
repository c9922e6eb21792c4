/**
 * A replica that follows a replica, as processes of their own: bytes come from the one before it, and the origin's word
 * from the origin itself (PROTOCOL §6).
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Chain, fileOf, headAt, publishNumber } from './chain.ts'
import type { Served } from './served.ts'

let chain: Chain
let origin: Served

beforeEach(async () => {
  chain = await Chain.open()
  origin = chain.origin
})

afterEach(async () => {
  await chain[Symbol.asyncDispose]()
})

function asAdmin(): Record<string, string> {
  return { authorization: `Bearer ${origin.token}` }
}

describe('a replica of a replica', () => {
  it('shows what is committed, is written through, and stays right while the one before it is dead', async () => {
    const first = await chain.replica('r1', origin.url)
    const second = await chain.replica('r2', first.url)
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

    const again = await chain.replica('r1', origin.url, new URL(first.url).host)
    expect(again.url).toBe(first.url)
    await expect.poll(async () => await headAt(second), { timeout: 20_000 }).toBe(`200 ${four} r2 fresh`)
    expect(await fileOf(second, four, 4)).toBe(`200 ${four} 4\n`)
  })
})
