import { describe, expect, it } from 'vitest'
import { connect, FileFloor, realClock, realRandom } from '../../src/client/index.ts'
import { collect } from '../wire/collect.ts'
import { json } from '../wire/playing-server.ts'
import { FakeDepot } from './fake-depot.ts'
import { clientOf, expectFailure, temporaryFolder } from './world.ts'

describe('a client', () => {
  it('lists generations page after page', async () => {
    await using depot = await FakeDepot.start()
    const newest = [depot.commit([]), ...depot.generations.slice(0, 1)]
    depot.takeOver = ({ response, url }) => {
      const second = url.searchParams.has('before')
      const next = '/v1/generations?before=1'
      const page = { generations: second ? newest.slice(1) : newest.slice(0, 1), ...(second ? {} : { next }) }
      json(response, page, { 'depot-generation': depot.head.gid })
      return true
    }
    expect(await collect(clientOf(depot).client.generations())).toEqual(newest)
  })

  it('finds a generation by gid, number or name, and believes no other', async () => {
    await using depot = await FakeDepot.start()
    const first = depot.head
    depot.commit([])
    const { client } = clientOf(depot)
    expect(await client.generation('0')).toEqual(first)
    expect(await client.generation(first.gid)).toEqual(first)
    expect(await client.generation('head')).toEqual(depot.head)
    depot.takeOver = ({ response }) => {
      json(response, depot.head, { 'depot-generation': depot.head.gid })
      return true
    }
    await expectFailure(client.generation(first.gid), 'answer-invalid')
  })

  it('compares two generations by their gids, whatever they were called', async () => {
    await using depot = await FakeDepot.start()
    const first = depot.head
    depot.commit([])
    const line = {
      op: 'added',
      name: 'x',
      version: '1.0.0',
      manifest: `sha256:${'0'.repeat(64)}`,
      size: 0,
      channel: 'stable',
    }
    depot.takeOver = ({ response, url }) => {
      if (!url.pathname.includes('/diff/')) return false
      response.end(`${JSON.stringify(line)}\n`)
      return true
    }
    const { client } = clientOf(depot)
    expect(await collect(client.diff('0', depot.head.gid, 'a b'))).toEqual([line])
    expect(depot.asked.at(-1)).toBe(`GET /v1/generations/${first.gid}/diff/${depot.head.gid}?channel=a%20b`)
  })

  it('opens a stage also when the node that was asked dies', async () => {
    await using depot = await FakeDepot.start()
    depot.takeOver = ({ request }) => {
      if (depot.asked.length > 1) return false
      request.socket.destroy()
      return true
    }
    expect((await clientOf(depot).client.openStage()).id).toBe('s1')
    expect(depot.asked).toEqual(['POST /v1/stages', 'POST /v1/stages'])
  })

  it('makes, lists and revokes tokens', async () => {
    await using depot = await FakeDepot.start()
    const token = { id: 't1', label: 'ci', scopes: ['publish:stable'], created: 'x', usedBytes: 0 }
    depot.takeOver = ({ request, response, method }) => {
      request.resume().on('end', () => {
        if (method === 'POST') json(response, { ...token, token: 'secret' })
        else if (method === 'GET') json(response, { tokens: [token] })
        else response.writeHead(204).end()
      })
      return true
    }
    const { client } = clientOf(depot)
    expect(await client.createToken({ label: 'ci', scopes: ['publish:stable'] })).toEqual({
      ...token,
      token: 'secret',
    })
    expect(await client.tokens()).toEqual([token])
    await client.revokeToken('t1')
    expect(depot.asked).toEqual(['POST /v1/tokens', 'GET /v1/tokens', 'DELETE /v1/tokens/t1'])
  })

  it('tells a difference once, though the connection breaks in the middle of it', async () => {
    await using depot = await FakeDepot.start()
    const first = depot.head
    depot.commit([])
    const lines = Array.from({ length: 200 }, (_, at) => ({
      op: 'added',
      name: `x${at}`,
      version: '1.0.0',
      manifest: `sha256:${'0'.repeat(64)}`,
      size: 0,
      channel: 'stable',
    }))
    const body = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
    depot.takeOver = ({ response, url }) => {
      if (!url.pathname.includes('/diff/')) return false
      const asked = depot.asked.filter((one) => one.includes('/diff/')).length
      response.writeHead(200, { 'content-length': body.length })
      if (asked > 2) response.end(body)
      else response.write(body.subarray(0, 9_999 * asked), () => setTimeout(() => response.destroy(), 5))
      return true
    }
    expect(await collect(clientOf(depot).client.diff(first.gid, depot.head.gid))).toEqual(lines)
  })

  it('reads a scrub line by line', async () => {
    await using depot = await FakeDepot.start()
    const lines = [
      { kind: 'progress', checked: 1, bytes: 2 },
      { kind: 'damaged', digest: `sha256:${'0'.repeat(64)}`, reason: 'bits' },
      { kind: 'done', checked: 2, bytes: 3, damaged: 1 },
    ]
    const more: object[] = []
    depot.takeOver = ({ response }) => {
      response.end([...lines, ...more].map((line) => `${JSON.stringify(line)}\n`).join(''))
      return true
    }
    expect(await collect(clientOf(depot).client.scrub())).toEqual(lines)
    more.push({ kind: 'unknown' })
    await expectFailure(collect(clientOf(depot).client.scrub()), 'answer-invalid')
  })
})

describe('the front door', () => {
  it('connects with the real clock and chance, and keeps the floor on disk', async () => {
    await using depot = await FakeDepot.start()
    await using folder = await temporaryFolder()
    depot.commit([])
    const floor = new FileFloor({ folder: folder.path, url: depot.url, random: realRandom })
    expect(await connect({ url: depot.url, floor }).head()).toEqual(depot.head)
    expect(await floor.read()).toBe(depot.head.gid)
  })

  it('has a clock that waits, until it is told to stop', async () => {
    const before = realClock.monotonic()
    await realClock.sleep(5)
    expect(realClock.monotonic()).toBeGreaterThan(before)
    expect(realClock.now()).toBeGreaterThan(1.7e12)
    const reason = new Error('enough')
    await expect(realClock.sleep(10_000, AbortSignal.abort(reason))).rejects.toBe(reason)
  })
})
