/**
 * The parts of the demo: a balancer that asks another node, and readers that notice what should not be.
 */
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { DemoReaders } from '../../src/cli/demo/readers.ts'
import { RoundRobin } from '../../src/cli/demo/round-robin.ts'
import { exchange } from '../support/exchange.ts'
import { type FakeReplica, fakeReplica, hangUp, refuse } from '../support/fake-replica.ts'
import { publish } from '../support/publish.ts'
import { runningDepot, type TestDepot } from '../support/running-depot.ts'

const SOON = { timeout: 20_000 }

/** Who answers a row of requests. */
async function answering({ url }: RoundRobin, method = 'GET'): Promise<string> {
  const names: string[] = []
  for (let count = 0; count < 4; count += 1) {
    const answer = await exchange(url, '/v1/head', { method })
    names.push(answer.status === 200 ? (answer.header('depot-node') ?? '') : String(answer.status))
  }
  return names.join(' ')
}

async function started(one: FakeReplica, two: FakeReplica): Promise<RoundRobin> {
  return await RoundRobin.start([one.url, two.url])
}

describe('the balancer of the demo', () => {
  it('asks all in turn that are ready, and all when none is', async () => {
    await using one = await fakeReplica('one')
    await using two = await fakeReplica('two')
    await using balancer = await started(one, two)
    expect(await answering(balancer)).toMatch(/^(?:one two one two|two one two one)$/)
    one.ready = false
    await expect.poll(async () => await answering(balancer), SOON).toBe('two two two two')
    two.ready = false
    await expect.poll(async () => await answering(balancer), SOON).toContain('one')
  })

  it.each([
    ['refuses', refuse],
    ['goes away', hangUp],
  ])('asks the next one when a node %s', async (_, respond) => {
    await using one = await fakeReplica('one')
    await using two = await fakeReplica('two')
    one.respond = respond
    await using balancer = await started(one, two)
    expect(await answering(balancer)).toBe('two two two two')
    expect(await answering(balancer, 'HEAD')).toBe('two two two two')
    expect(one.asked.length).toBeGreaterThan(1)
  })

  it('says so when no node answers, and breaks off what has broken off', async () => {
    await using one = await fakeReplica('one')
    await using two = await fakeReplica('two')
    one.respond = two.respond = hangUp
    await using balancer = await started(one, two)
    expect(await answering(balancer)).toBe('502 502 502 502')
    one.respond = two.respond = (_request, response) => {
      response.writeHead(200, { 'content-length': '10' })
      response.write('half', () => response.destroy())
    }
    await expect(exchange(balancer.url, '/v1/head')).rejects.toThrow()
    one.respond = two.respond = refuse
    expect(await answering(balancer)).toBe('503 503 503 503')
  })

  it('takes reads alone', async () => {
    await using one = await fakeReplica('one')
    await using balancer = await RoundRobin.start([one.url])
    expect((await exchange(balancer.url, '/v1/stages', { method: 'POST' })).status).toBe(405)
    expect(one.asked).toEqual([])
  })
})

type Kind = 'official' | 'following'

/** What readers of this kind have met after a few sessions, through something that changes answers. */
async function metThrough(
  depot: TestDepot,
  kind: Kind,
  change: (url: string, body: Buffer, headers: Record<string, string>) => Buffer | number,
): Promise<string> {
  const server = createServer((request, response) => {
    void passed(depot, request).then(({ status, headers, body }) => {
      const changed = status === 200 ? change(request.url ?? '', body, headers) : status
      if (typeof changed === 'number') response.writeHead(changed).end()
      else response.writeHead(200, headers).end(changed)
    })
  })
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  try {
    const readers = new DemoReaders(url, 'demo')
    const over = new AbortController()
    const reading = readers[kind](over.signal)
    await expect.poll(() => readers.met().sessions, SOON).toBeGreaterThan(2)
    over.abort()
    await reading
    const { mixed, backward, failed } = readers.met()
    return Object.entries({ mixed, backward, failed })
      .flatMap(([what, count]) => (count > 0 ? [what] : []))
      .join(' ')
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

async function passed(
  { url }: TestDepot,
  request: IncomingMessage,
): Promise<{ readonly status: number; readonly headers: Record<string, string>; readonly body: Buffer }> {
  const answer = await fetch(url + request.url, { headers: { 'accept-encoding': 'identity' } })
  const { 'transfer-encoding': _, connection: __, ...headers } = Object.fromEntries(answer.headers)
  return { status: answer.status, headers, body: Buffer.from(await answer.arrayBuffer()) }
}

describe('the readers of the demo', () => {
  it('meet nothing where nothing is wrong, and notice what is', async () => {
    await using depot = await runningDepot()
    for (const version of ['9.0.0', '10.0.0'])
      await publish(
        depot.client,
        ...['left', 'right'].map((name) => ({
          channel: 'demo',
          name,
          version,
          files: { 'version.txt': version },
        })),
      )
    const nothing = (_: string, body: Buffer): Buffer => body
    expect(await metThrough(depot, 'official', nothing)).toBe('')
    expect(await metThrough(depot, 'following', nothing)).toBe('')
    const other = (url: string, body: Buffer): Buffer =>
      body.toString() === '10.0.0' && !url.includes('/files/right/') ? Buffer.from('10.0.1') : body
    // The official client knows the digest, and does not take them at all.
    expect(await metThrough(depot, 'official', other)).toBe('failed')
    expect(await metThrough(depot, 'following', other)).toBe('mixed')
    const refusing = (url: string, body: Buffer): Buffer | number => (url.includes('/catalog') ? 503 : body)
    expect(await metThrough(depot, 'following', refusing)).toBe('failed')
    // A head that goes back, and stays there: the official client goes on with none.
    const older = (await (await depot.ask('/v1/generations/1')).json()) as { readonly gid: string }
    let heads = 0
    const back = (url: string, body: Buffer, headers: Record<string, string>): Buffer => {
      if (!url.startsWith('/v1/head')) return body
      heads += 1
      if (heads === 1) return body
      headers['depot-generation'] = older.gid
      return Buffer.from(JSON.stringify(older))
    }
    expect(await metThrough(depot, 'official', back)).toBe('failed')
  })
})
